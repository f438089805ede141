package edgeconfig

import (
	"encoding/json"
	"testing"
	"time"
)

func TestEpochTimesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"1700000000":           time.Unix(1700000000, 0),
		"1700000000.123":       time.Unix(1700000000, 123_000_000),
		"1700000000.123456789": time.Unix(1700000000, 123_456_789),
		"0.5":                  time.Unix(0, 500_000_000),
	} {
		var e Epoch
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !e.Equal(want) {
			t.Errorf("%s: got %v, want %v", text, e.Time, want)
		}
		if back, err := json.Marshal(e); err != nil || string(back) != text {
			t.Errorf("%s comes back as %s, %v", text, back, err)
		}
	}
	var e Epoch
	if err := json.Unmarshal([]byte("1.7000000001234e9"), &e); err != nil || !e.Equal(time.UnixMilli(1700000000123)) {
		t.Errorf("an exponent: got %v, %v", e.Time, err)
	}
	if text, err := json.Marshal(Epoch{}); err != nil || string(text) != "0" {
		t.Errorf("no time: got %s, %v", text, err)
	}
}

func TestWhatIsNoEpochTimeIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`"2026-01-01T00:00:00Z"`, `"1700000000"`, "null", "true", "{}", "[]", "-1", "0", "1700000000000",
		"1e400", "1e999999999", "NaN"} {
		var e Epoch
		if err := e.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was interpreted as %v", text, e.Time)
		}
	}
}

func TestTheSDKsRoundingDoesNotMakeATimeNewer(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 123_456_789)
	if Newer(at, at.Truncate(time.Millisecond)) || Newer(at.Truncate(time.Millisecond), at) {
		t.Error("the same time, cut to milliseconds, counts as another")
	}
	if !Newer(at.Add(10*time.Millisecond), at) || Newer(at, at.Add(10*time.Millisecond)) {
		t.Error("10 ms later is not newer")
	}
}
