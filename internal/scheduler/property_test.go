package scheduler

import (
	"math/rand/v2"
	"testing"
	"time"
)

// naiveLimit is how far the naive search looks.
const naiveLimit = 10 * 365 * 24 * time.Hour

func TestNextIsTheFirstSecondThatTheFieldsAllow(t *testing.T) {
	t.Parallel()
	for i := range uint64(4000) {
		w := writer{rand.New(rand.NewPCG(5, i))}
		n := w.schedule()
		e := mustParse(t, n.text, time.UTC)
		at := time.Unix(int64(w.between(1767225600, 1900000000)), 0).UTC()
		for range 4 {
			limit := at.Add(naiveLimit)
			want, found := n.next(at, limit)
			got := e.Next(at)
			if !found {
				if !got.IsZero() && !got.After(limit) {
					t.Errorf("seed %d: %q after %v: got %v, want none before %v", i, n.text, at, got, limit)
				}
				break
			}
			if !got.Equal(want) {
				t.Errorf("seed %d: %q after %v: got %v, want %v", i, n.text, at, got, want)
				break
			}
			at = got
		}
	}
}

// Around changes of the clock Quartz has answers of its own. Away from them the fields alone
// decide, and everywhere next is later than what it is asked for, satisfies the fields, and is the
// same from wherever before it one asks, so that it never passes over a time found from later on.
func TestNextAroundChangesOfTheClock(t *testing.T) {
	t.Parallel()
	for _, zone := range vectorZones(t) {
		t.Run(zone.String(), func(t *testing.T) {
			t.Parallel()
			for i := range uint64(500) {
				w := writer{rand.New(rand.NewPCG(7, i))}
				n := w.schedule()
				e := mustParse(t, n.text, zone)
				at := w.nearChange(zone)
				for range 20 {
					got := e.Next(at)
					if got.IsZero() {
						break
					}
					if !got.After(at) {
						t.Fatalf("seed %d: %q after %v: got %v, which is not later", i, n.text, at, got)
					}
					if !n.matches(got) {
						t.Errorf("seed %d: %q after %v: got %v, which the fields do not allow", i, n.text, at, got)
					}
					between := time.Unix(at.Unix()+w.Int64N(got.Unix()-at.Unix()), 0)
					if again := e.Next(between); !again.Equal(got) {
						t.Errorf("seed %d: %q: after %v comes %v, but after %v comes %v", i, n.text, at, got, between.In(zone), again)
					}
					if quiet(at, got.Add(24*time.Hour)) {
						if want, ok := n.next(at, got); !ok || !want.Equal(got) {
							t.Errorf("seed %d: %q after %v: got %v, want %v", i, n.text, at, got, want)
						}
					}
					at = got
				}
			}
		})
	}
}

// nearChange is a time within two days of a change of the zone's offset, if it has any.
func (w writer) nearChange(zone *time.Location) time.Time {
	at := time.Unix(int64(w.between(1767225600, 1900000000)), 0).In(zone)
	if _, end := at.ZoneBounds(); !end.IsZero() {
		at = end
	}
	return at.Add(time.Duration(w.between(-48*3600, 48*3600)) * time.Second)
}

// quiet reports whether the offset stays the same from a day before from to to.
func quiet(from, to time.Time) bool {
	_, end := from.Add(-24 * time.Hour).ZoneBounds()
	return end.IsZero() || end.After(to)
}
