package recorder

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// scripted is a source whose sessions have these numbers of frames, and end with these results. After the last one it is silent.
type scripted struct {
	frames  []int
	ends    []*accessunit.SessionEnd
	began   []time.Time
	adapted int
}

func (*scripted) Live() bool { return true }

func (s *scripted) Adapt(*accessunit.SessionEnd, int64) { s.adapted++ }

func (s *scripted) Play(ctx context.Context, to accessunit.Sink) error {
	n := len(s.began)
	s.began = append(s.began, time.Now())
	if n == len(s.ends) {
		<-ctx.Done()
		return ctx.Err()
	}
	to.Begin(accessunit.H264, 90_000, [][]byte{realSPS, realPPS}, nil)
	for i := range s.frames[n] {
		nal := slice1
		if i%25 == 0 {
			nal = idr
		}
		to.AccessUnit([][]byte{[]byte(nal)}, uint32(i*3600), time.Now().Add(time.Duration(i)*tick))
	}
	return s.ends[n]
}

// TestPausesBetweenSessions has sessions end in all possible ways, and checks when the next one starts.
func TestPausesBetweenSessions(t *testing.T) {
	t.Parallel()
	const ordinary = 7 * time.Second
	pauses := DefaultPauses()
	end := func(retry accessunit.Retry) *accessunit.SessionEnd {
		return &accessunit.SessionEnd{Fault: health.SystemFault(codeCamera, nil, "The camera is off."), Retry: retry}
	}
	for name, c := range map[string]struct {
		frames  []int
		ends    []*accessunit.SessionEnd
		want    []time.Duration
		adapted int
	}{
		"no video":          {[]int{0}, []*accessunit.SessionEnd{end(accessunit.RetryUsual)}, []time.Duration{ordinary}, 1},
		"a little video":    {[]int{healthyFrames - 1}, []*accessunit.SessionEnd{end(accessunit.RetryUsual)}, []time.Duration{ordinary}, 1},
		"video":             {[]int{healthyFrames}, []*accessunit.SessionEnd{end(accessunit.RetryUsual)}, []time.Duration{pauses.Healthy}, 0},
		"a refusal":         {[]int{0}, []*accessunit.SessionEnd{end(accessunit.RetryRefused)}, []time.Duration{pauses.Refused}, 0},
		"video, but futile": {[]int{healthyFrames}, []*accessunit.SessionEnd{end(accessunit.RetrySlowly)}, []time.Duration{ordinary}, 0},
		"stale, thrice": {
			[]int{0, 0, 0}, slices.Repeat([]*accessunit.SessionEnd{end(accessunit.RetryStale)}, 3),
			[]time.Duration{ordinary, pauses.Stale, ordinary}, 0,
		},
		"stale, then not, then stale": {
			[]int{0, 0, 0}, []*accessunit.SessionEnd{end(accessunit.RetryStale), end(accessunit.RetryUsual), end(accessunit.RetryStale)},
			[]time.Duration{ordinary, ordinary, ordinary}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				source := &scripted{frames: c.frames, ends: c.ends}
				r := New(Options{
					Stream: "door", Source: source, Store: openStore(t, segment.Options{Dir: t.TempDir()}),
					Backoff: backoff.Policy{Min: ordinary, Max: ordinary, Floor: ordinary},
				})
				ctx, cancel := context.WithCancel(t.Context())
				var group sync.WaitGroup
				group.Go(func() { _ = r.Run(ctx) })
				time.Sleep(time.Hour)
				cancel()
				group.Wait()
				var got []time.Duration
				for i := 1; i < len(source.began); i++ {
					got = append(got, source.began[i].Sub(source.began[i-1]))
				}
				if !slices.Equal(got, c.want) || source.adapted != c.adapted {
					t.Errorf("pauses of %v, adapted %d times; want %v and %d", got, source.adapted, c.want, c.adapted)
				}
			})
		})
	}
}

// TestWhatWouldComeAgainFromTheStartIsNotPlayedAgain has a source that is not live break off.
func TestWhatWouldComeAgainFromTheStartIsNotPlayedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := health.UserFault(codeCamera, nil, "The media file is damaged.")
		source := &scripted{frames: []int{30}, ends: []*accessunit.SessionEnd{{Fault: broken, Retry: accessunit.RetryFromStart}}}
		part := health.NewRegistry(time.Now).Component("door", health.JobRecorder)
		r := New(Options{Stream: "door", Source: source, Store: openStore(t, segment.Options{Dir: t.TempDir()}), Health: part})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = r.Run(ctx) })
		time.Sleep(time.Hour)
		if now := part.Snapshot(); now.State != statePaused || len(source.began) != 1 {
			t.Errorf("%q after %d sessions", now.State, len(source.began))
		}
		cancel()
		group.Wait()
	})
}
