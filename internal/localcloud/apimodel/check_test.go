package apimodel

import (
	"errors"
	"testing"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	members := []Member{May("i", Whole("I", 1, 10)), May("l", &Shape{Name: "L", Kind: Long, Min: 1, Max: 1 << 53}), May("d", Of("D", Double)),
		May("t", Of("T", Time)), May("s", Text("S", 0, 3, ""))}
	for body, want := range map[string]string{
		`{"i":10}`: `{"i":10}`, `{"i":11}`: "invalid", `{"i":1.5}`: "malformed", `{"i":"1"}`: "malformed", `{"i":2147483648}`: "malformed",
		`{"l":2147483648}`: `{"l":2147483648}`, `{"l":1700000000.25}`: `{"l":1700000000}`, `{"l":0}`: "invalid", `{"l":1e300}`: "malformed",
		`{"d":-1.5e3}`: `{"d":-1.5e3}`, `{"d":1e400}`: "malformed", `{"d":"NaN"}`: "malformed", `{"d":true}`: "malformed",
		`{"t":1700000000.123}`: `{"t":1700000000.123}`, `{"t":"2026-11-28T00:00:00Z"}`: "malformed",
		`{"s":"äöü"}`: `{"s":"äöü"}`, `{"s":"abcd"}`: "invalid", `{"s":""}`: `{"s":""}`, `{"x":1}`: `{}`,
	} {
		known, _, err := Read(members, []byte(body))
		got := string(known)
		var malformed *Malformed
		var invalid *Invalid
		switch {
		case errors.As(err, &malformed):
			got = "malformed"
		case errors.As(err, &invalid):
			got = "invalid"
		}
		if got != want {
			t.Errorf("%s is %s (%v), want %s", body, got, err, want)
		}
	}
}
