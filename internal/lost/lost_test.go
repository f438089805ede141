package lost

import (
	"testing"
	"time"
)

var begin = time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)

// TestTimesAreBounded and in their order, whatever the order of the deletions.
func TestTimesAreBounded(t *testing.T) {
	t.Parallel()
	var times Times
	for i := range 3 * MaxRanges {
		at := begin.Add(time.Duration(3*MaxRanges-i) * time.Minute)
		times.Add("door", Range{at, at.Add(time.Second), "of space"})
	}
	got := times.Within("door", begin, begin.Add(24*time.Hour))
	if len(got) != MaxRanges || !got[0].From.Equal(begin.Add(time.Minute)) || !got[1].From.Equal(begin.Add(2*time.Minute)) {
		t.Errorf("%d are kept, from %v on", len(got), got[0])
	}
	at := begin.Add(time.Minute - time.Second)
	times.Add("door", Range{at, at.Add(time.Second), "of age"})
	if got := times.Within("door", at, at.Add(time.Second)); len(got) != 1 || got[0].Reason != "of age" {
		t.Errorf("another reason is another loss: %v", got)
	}
	times.Set("door", nil)
	if got := times.Within("door", begin, begin.Add(24*time.Hour)); got != nil {
		t.Errorf("of a stream that is forgotten: %v", got)
	}
}

func TestTheShareThatWasLost(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return begin.Add(time.Duration(second) * time.Second) }
	list := []Range{{at(10), at(20), "of age"}, {at(30), at(40), "of space"}}
	for _, c := range []struct {
		from, to int
		want     time.Duration
		reason   string
	}{
		{0, 50, 20 * time.Second, "of space"}, {12, 18, 6 * time.Second, "of age"}, {15, 32, 7 * time.Second, "of space"},
		{0, 10, 0, ""}, {20, 30, 0, ""}, {40, 50, 0, ""},
	} {
		if got, reason := Share(list, at(c.from), at(c.to)); got != c.want || reason != c.reason {
			t.Errorf("%d to %d: %v, because %q; want %v, because %q", c.from, c.to, got, reason, c.want, c.reason)
		}
	}
}
