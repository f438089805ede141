package uploader

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// calendar is a clock that a test sets.
type calendar struct {
	mu  sync.Mutex
	now time.Time
}

func (c *calendar) Time() (time.Time, bool) { return c.Now(), true }

func (c *calendar) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *calendar) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// metered has the uploader's connections counted, within a cap without overhead.
func (w *rig) metered(cap string) (m *meter.Meter, days *calendar) {
	w.t.Helper()
	dir, err := statefile.Open(filepath.Join(w.t.TempDir(), "state"), atomicfile.OS{})
	must(w.t, err)
	days = &calendar{now: begin}
	m = meter.Open(meter.Options{Dir: dir, Clock: days, Cap: lineCap(w.t, cap), Zone: time.UTC})
	w.network.through(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return m.Count(conn), nil
	})
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = m.Run(ctx) })
	w.t.Cleanup(func() { stop(); group.Wait() })
	return m, days
}

func lineCap(tb testing.TB, text string) meter.Cap {
	tb.Helper()
	c, err := meter.Parse(text + ", overhead=1")
	must(tb, err)
	return c
}

// use counts up to that many bytes.
func use(tb testing.TB, m *meter.Meter, bytes int64) {
	tb.Helper()
	near, far := net.Pipe()
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			if _, err := far.Read(buffer); err != nil {
				return
			}
		}
	}()
	_, err := m.Count(near).Write(make([]byte, bytes-m.State().Used))
	must(tb, err)
	must(tb, near.Close())
}

// awaitState waits until the stream's upload is in that state.
func (w *rig) awaitState(state string) {
	w.t.Helper()
	changes, stop := w.health.Watch()
	defer stop()
	timeout := time.After(patience)
	for w.health.Component(door, health.JobUploader).Snapshot().State != state {
		select {
		case <-changes:
		case <-timeout:
			w.t.Fatalf("the state is %q, want %q", w.health.Component(door, health.JobUploader).Snapshot().State, state)
		}
	}
}

// recordLarge records fragments of 50 kB.
func (w *rig) recordLarge(fragments int) {
	w.t.Helper()
	writer := w.create(640)
	for range fragments {
		w.fragment(writer, 2*time.Second, 10_000)
	}
	must(w.t, writer.Seal())
}

// TestTheBacklogEndsAtItsShare and resumes when the cap is raised, and when the period has ended: each fragment is uploaded once.
func TestTheBacklogEndsAtItsShare(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		start func(*rig, *Uploader) (stop func())
	}{
		"without an end": {(*rig).run},
		"drained": {func(w *rig, u *Uploader) func() {
			done := make(chan struct{})
			go func() { defer close(done); _ = u.Drain(w.context()) }()
			return func() { <-done }
		}},
		"live": {(*rig).runLive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			m, days := w.metered("1MB/day")
			w.recordLarge(60)
			stop := row.start(w, w.uploader(func(o *Options) { o.Cap, o.IdleTimeout = m, 200*time.Millisecond }))
			w.awaitState(stateCapped)
			first := m.State()
			if first.Used > 950_000 || first.Used < 800_000 {
				t.Errorf("%d bytes are used", first.Used)
			}
			if name != "live" && first.Used > 900_000 {
				t.Errorf("the backlog used %d bytes", first.Used)
			}
			sent := len(w.stored())
			m.Follow(lineCap(t, "2MB/day"))
			w.await(sent + 1)
			w.awaitState(stateCapped)
			if second := m.State(); second.Used < 1_700_000 || second.Used > 1_900_000 {
				t.Errorf("%d bytes are used of the raised cap", second.Used)
			}
			days.pass(24 * time.Hour)
			w.await(60)
			stop()
			if name == "live" {
				w.expectAll()
				if n := len(w.stored()); n != 60 {
					t.Errorf("%d fragments were sent, want 60", n)
				}
				return
			}
			w.expectOnce()
		})
	}
}

// TestALiveUploadKeepsItsSessionWhileTheBacklogIsHeldBack, and ends it when the backlog may be sent again.
func TestALiveUploadKeepsItsSessionWhileTheBacklogIsHeldBack(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	m, _ := w.metered("20MB/day")
	w.recordLarge(4)
	use(t, m, 18_500_000)
	stop := w.runLive(w.uploader(func(o *Options) { o.Cap = m }))
	w.await(1) // the last of the recordings is the newest
	writer := w.create(640)
	for i := range 6 {
		w.fragment(writer, 2*time.Second, 300)
		w.await(2 + i)
	}
	if n := w.number(health.UploadSessions); n != 1 {
		t.Errorf("7 live fragments took %d sessions", n)
	}
	m.Follow(lineCap(t, "40MB/day"))
	w.await(10)
	must(t, writer.Seal())
	stop()
	w.expectAll()
}

// TestEachClassIsHeldBackAtItsShare while the others are sent.
func TestEachClassIsHeldBackAtItsShare(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	m, days := w.metered("20MB/day")
	w.recordLarge(4)
	use(t, m, 18_500_000)
	u := w.uploader(func(o *Options) { o.Cap = m })
	stop := w.runLive(u)
	w.await(1) // the last of the recordings is the newest
	writer := w.create(640)
	for i := range 3 { // the newest are sent, and the backlog waits between them
		w.fragment(writer, 2*time.Second, 10_000)
		w.await(i + 2)
	}
	newest := w.want[3:]
	if got := w.stored(); !slices.Equal(got, newest) {
		t.Errorf("the service has %v\nwant %v", w.relative(got), w.relative(newest))
	}
	use(t, m, 19_200_000)
	w.fragment(writer, 2*time.Second, 10_000)
	w.awaitState(stateCapped)
	from, to := time.UnixMilli(w.want[0]), time.UnixMilli(w.want[1])
	must(t, u.Range(t.Context(), from, to, func(Progress) {}))
	if got, want := w.stored(), append(slices.Clone(newest), w.want[0]); !slices.Equal(got, want) {
		t.Errorf("after a request the service has %v\nwant %v", w.relative(got), w.relative(want))
	}
	use(t, m, 20_000_000)
	err := u.Range(t.Context(), to, time.UnixMilli(w.want[2]), func(Progress) {})
	if fault := new(health.Fault); !errors.As(err, &fault) || fault.Code != meter.CodeReached {
		t.Errorf("a request of another fragment ends with %v", err)
	}
	days.pass(24 * time.Hour)
	w.await(len(w.want))
	must(t, writer.Seal())
	stop()
	w.drain(w.uploader())
	w.expectUploaded(0)
	w.expectAll()
}
