package scheduler

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// naiveLimit is how far the naive search looks.
const naiveLimit = 10 * 365 * 24 * time.Hour

func TestNextIsTheFirstSecondThatTheFieldsAllow(t *testing.T) {
	t.Parallel()
	draws := testtools.Proof(t, "schedules", testtools.Sizes[uint64]{Short: 600, Middle: 4000, Long: 200_000})
	for i := range draws {
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
// decide, and everywhere next is later than what it is asked for and satisfies the fields. For windows
// it is also the same from wherever before it one asks: no firing is ever passed over.
func aroundChangesOfTheClock(t *testing.T) {
	t.Parallel()
	for _, zone := range vectorZones(t) {
		t.Run(zone.String(), func(t *testing.T) {
			t.Parallel()
			for i := range uint64(700) {
				w := writer{rand.New(rand.NewPCG(7, i))}
				n := w.schedule()
				e := mustParse(t, n.text, zone)
				f := firings{rules: e.rules, offsets: &offsets{zone: zone}}
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
					if first, ok := f.next(at.Unix()); ok {
						between := at.Unix() + w.Int64N(min(first-at.Unix(), 4*3600))
						if again, ok := f.next(between); !ok || again != first {
							t.Errorf("seed %d: %q: the firing after %v is %v, but after %v it is %v",
								i, n.text, at, time.Unix(first, 0).In(zone), time.Unix(between, 0).In(zone), time.Unix(again, 0).In(zone))
						}
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

// nearChange is a time around a change of the zone's offset, if it has any.
func (w writer) nearChange(zone *time.Location) time.Time {
	at := time.Unix(int64(w.between(1767225600, 1900000000)), 0).In(zone)
	if _, end := at.ZoneBounds(); !end.IsZero() {
		at = end
	}
	return at.Add(time.Duration(w.between(-9*3600, 3*3600)) * time.Second)
}

// quiet reports whether the offset stays the same from a day before from to to.
func quiet(from, to time.Time) bool {
	_, end := from.Add(-24 * time.Hour).ZoneBounds()
	return end.IsZero() || end.After(to)
}
