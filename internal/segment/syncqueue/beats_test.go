package syncqueue

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// stalling is a part whose disk takes that long for each beat, and notes when they begin.
type stalling struct {
	takes func(beat int) time.Duration
	began []time.Time
}

func (p *stalling) Due() (atomicfile.File, string, bool, error) {
	p.began = append(p.began, time.Now())
	time.Sleep(p.takes(len(p.began)))
	return nil, "", false, nil
}

func (p *stalling) Synced(error) error { return nil }

// TestASlowBeatDoesNotMakeTheNextOnesRare has a disk that is slow once, or always: only while it is slow are beats further apart than
// the interval.
func TestASlowBeatDoesNotMakeTheNextOnesRare(t *testing.T) {
	t.Parallel()
	const interval, quick, stalls = 2 * time.Second, 10 * time.Millisecond, 4 // the fourth beat
	once := func(stall time.Duration) func(int) time.Duration {
		return func(beat int) time.Duration {
			if beat == stalls {
				return stall
			}
			return quick
		}
	}
	for name, c := range map[string]struct {
		takes   func(beat int) time.Duration
		least   time.Duration // between any two beats
		most    time.Duration // between any two but for the one that stalls
		stalled time.Duration // most behind that one
	}{
		"a healthy disk":            {once(quick), interval * 15 / 16, interval * 15 / 16, interval * 15 / 16},
		"one beat of a second":      {once(time.Second), interval / 4, interval, interval},
		"one beat of five seconds":  {once(5 * time.Second), interval / 4, interval, 5 * time.Second * 17 / 16},
		"one beat of half a minute": {once(30 * time.Second), interval / 4, interval, 30 * time.Second * 17 / 16},
		"a disk that is always slow": { // it has time for others
			func(int) time.Duration { return 4 * time.Second }, interval * 15 / 16, 4 * time.Second * 17 / 16, 4 * time.Second * 17 / 16,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, q := &stalling{takes: c.takes}, New(interval)
				q.Add(p, 1)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				q.Run(ctx, Beats{
					Files: atomicfile.OS{}, More: func(uint64) []Part { return nil }, Result: func(uint64, error) {},
					Supervised: func(ctx context.Context, _ string, do func(context.Context)) { do(ctx) },
				})
				var apart []time.Duration
				for i, began := range p.began[1:] {
					apart = append(apart, began.Sub(p.began[i]))
				}
				behind := apart[stalls-1]
				others := slices.Delete(slices.Clone(apart), stalls-1, stalls)
				if shortest, longest := slices.Min(apart), slices.Max(others); shortest < c.least || longest > c.most || behind > c.stalled {
					t.Errorf("beats are %s to %s apart, and %s behind the one that stalled: want %s to %s, and at most %s",
						shortest, longest, behind, c.least, c.most, c.stalled)
				}
				if last := apart[len(apart)-1]; last != apart[0] {
					t.Errorf("beats were %s apart in the beginning, and are %s apart in the end", apart[0], last)
				}
			})
		})
	}
}
