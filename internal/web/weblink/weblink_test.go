package weblink

import (
	"strings"
	"testing"
	"time"
)

var (
	now  = time.Date(2026, 11, 28, 22, 0, 0, 500_000_000, time.UTC)
	from = time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC)
)

func TestTokensAreForOneStreamAndRange(t *testing.T) {
	t.Parallel()
	clock := now
	m := New(func() time.Time { return clock })
	token, expires, err := m.Make("front-door", from, from.Add(10*time.Minute))
	if err != nil || expires.Sub(now) > MaxTime || expires.Sub(now) < MaxTime-time.Second {
		t.Fatal(expires, err)
	}
	g, ok := m.Read(token)
	if !ok {
		t.Fatal("the token is not valid")
	}
	for _, c := range []struct {
		what, stream string
		from, to     time.Time
		want         bool
	}{
		{"the same", "front-door", from, from.Add(10 * time.Minute), true},
		{"a part", "front-door", from.Add(time.Minute), from.Add(2 * time.Minute), true},
		{"another stream", "back-door", from, from.Add(10 * time.Minute), false},
		{"earlier", "front-door", from.Add(-time.Millisecond), from.Add(10 * time.Minute), false},
		{"later", "front-door", from, from.Add(10*time.Minute + time.Millisecond), false},
		{"without start", "front-door", time.Time{}, from.Add(time.Minute), false},
		{"without end", "front-door", from, time.Time{}, false},
	} {
		if got := g.Covers(c.stream, c.from, c.to); got != c.want {
			t.Errorf("%s: %t, want %t", c.what, got, c.want)
		}
	}
	text, sum, _ := strings.Cut(token, ".")
	longer, _, err := New(func() time.Time { return now }).Make("front-door", from, from.Add(20*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	body, other, _ := strings.Cut(longer, ".")
	for what, bad := range map[string]string{"empty": "", "without sum": text, "another content": body + "." + sum,
		"another sum":    text + "." + other,
		"of another hub": longer, "long": strings.Repeat("x", maxToken) + token, "two": token + "." + sum} {
		if _, ok := m.Read(bad); ok {
			t.Errorf("a token that is %s is valid", what)
		}
	}
	for _, at := range []time.Time{expires, now.Add(-2 * time.Hour)} {
		clock = at
		if _, ok := m.Read(token); ok {
			t.Errorf("the token is valid at %v", at)
		}
	}
}

func TestWhatGetsNoToken(t *testing.T) {
	t.Parallel()
	m := New(func() time.Time { return now })
	for _, c := range []struct {
		stream   string
		from, to time.Time
	}{
		{"", from, from.Add(time.Minute)}, {"a", time.Time{}, from}, {"a", from, time.Time{}}, {"a", from, from},
		{"a", from, from.Add(MaxRange + precision)},
	} {
		if _, _, err := m.Make(c.stream, c.from, c.to); err == nil {
			t.Errorf("%+v gets a token", c)
		}
	}
}

func FuzzRead(f *testing.F) {
	m := New(func() time.Time { return now })
	token, _, err := m.Make("front-door", from, from.Add(time.Minute))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token + "x")
	f.Add(".")
	f.Add("e30.")
	f.Fuzz(func(t *testing.T, text string) {
		if g, ok := m.Read(text); ok && text != token {
			t.Errorf("%q is valid: %+v", text, g)
		}
	})
}
