package jsonfault_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/jsonfault"
)

type request struct {
	Stream string    `json:"stream"`
	Keep   bool      `json:"keep"`
	Count  int       `json:"count"`
	Size   uint64    `json:"size"`
	Share  *float64  `json:"share"`
	From   time.Time `json:"from"`
	List   []struct {
		Name string `json:"name"`
	} `json:"list"`
}

func TestWhatIsWrongIsSaidInWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                     "it must be an object with members",
		`"PLANTED"`:              "it must be an object with members",
		`{"stream":1}`:           "stream must be a text",
		`{"keep":"PLANTED"}`:     "keep must be true or false",
		`{"count":1.5}`:          "count must be a whole number",
		`{"count":"PLANTED"}`:    "count must be a whole number",
		`{"size":-1}`:            "size must be a whole number that is not negative",
		`{"share":"PLANTED"}`:    "share must be a number",
		`{"from":"PLANTED"}`:     "a time must be a text such as 2026-11-27T08:00:00Z",
		`{"from":5}`:             "a time must be a text such as 2026-11-27T08:00:00Z",
		`{"list":{}}`:            "list must be a list",
		`{"list":[{"name":{}}]}`: "list.name must be a text",
		`{"stream":PLANTED}`:     "it is not JSON, at byte 11",
		`{"stream":`:             "it is not JSON, at byte 10",
		``:                       "it ends before it is complete",
		`{"others":1}`:           `it has a member "others", which is not known`,
	} {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		var in request
		err := json.Unmarshal([]byte(text), &in)
		if strings.Contains(text, "others") {
			err = decoder.Decode(&in)
		}
		if err == nil {
			t.Errorf("%s is taken", text)
			continue
		}
		if got := jsonfault.Of(err); got != want {
			t.Errorf("%s: %q, want %q (%v)", text, got, want, err)
		}
	}
}
