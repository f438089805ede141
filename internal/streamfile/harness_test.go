package streamfile

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const password = "hunter2"

// documentOf is a right file of a stream, kept for so many hours.
func documentOf(stream string, hours int) string {
	return fmt.Sprintf(`{"StreamName":%q,"EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{"MediaURI":"rtsp://admin:%s@10.0.0.7/1"}},
  "DeletionConfig":{"EdgeRetentionInHours":%d}}}`, stream, password, hours)
}

// hub is a hub with stream files, in synctest's time. It notes what is applied.
type hub struct {
	t        *testing.T
	dir      string
	stateDir string
	edit     func(*Options)
	hangs    atomic.Pointer[chan struct{}] // the directory does until that is closed; nil: it does not
	readings atomic.Int32                  // of the directory, begun
	health   *health.Registry
	files    *Files
	cancel   context.CancelFunc
	ended    sync.WaitGroup
	mu       sync.Mutex
	running  desired.Set
	applied  int      // calls of Apply
	known    bool     // all that the files want, as they said last
	unclear  []string // but of these
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t, dir: filepath.Join(t.TempDir(), "streams.d"), stateDir: filepath.Join(t.TempDir(), "state")}
	must(t, os.Mkdir(h.dir, 0o750))
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Apply implements Applier.
func (h *hub) Apply(_ context.Context, wanted desired.Set) (outcomes []desired.Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = maps.Clone(wanted)
	h.applied++
	for _, name := range wanted.Names() {
		outcomes = append(outcomes, desired.Outcome{Stream: name})
	}
	return outcomes
}

// start is a start of the agent.
func (h *hub) start() {
	h.t.Helper()
	state, err := statefile.Open(h.stateDir, atomicfile.OS{})
	must(h.t, err)
	h.health = health.NewRegistry(time.Now)
	h.mu.Lock()
	h.running, h.applied, h.known, h.unclear = nil, 0, false, nil
	h.mu.Unlock()
	o := Options{
		Dir: h.dir, ThingName: "hub-1", State: state, Applier: h, Applied: h.noteApplied,
		Now: time.Now, Log: zap.NewNop(), Health: h.health.Component("", health.JobConfig),
	}
	if h.edit != nil {
		h.edit(&o)
	}
	f := New(o)
	f.read = h.read
	h.files = f
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.ended.Go(func() { f.Run(ctx) })
	<-f.Loaded()
}

// read is a directory on a server that may be away.
func (h *hub) read(dir string, first map[string]bool) listing {
	h.readings.Add(1)
	if away := h.hangs.Load(); away != nil {
		<-*away
	}
	return readDirectory(dir, first)
}

// hang has the directory hang until answer is called, which may be called again.
func (h *hub) hang() (answer func()) {
	away := make(chan struct{})
	h.hangs.Store(&away)
	return sync.OnceFunc(func() { h.hangs.Store(nil); close(away) })
}

func (h *hub) stop() {
	h.cancel()
	h.ended.Wait()
}

// elapse lets time pass.
func (h *hub) elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (h *hub) path(name string) string { return filepath.Join(h.dir, name) }

func (h *hub) write(name, text string) {
	h.t.Helper()
	must(h.t, os.WriteFile(h.path(name), []byte(text), 0o640))
	must(h.t, os.Chmod(h.path(name), 0o640))
}

// expect compares the streams that run: "door 5h, yard 7h".
func (h *hub) expect(when, want string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, name := range h.running.Names() {
		s := h.running[name]
		list = append(list, fmt.Sprintf("%s %gh", name, s.Keep.MaxAge.Hours()))
		if s.Origin != desired.File {
			h.t.Errorf("%s: %s is of %q", when, name, s.Origin)
		}
	}
	if got := strings.Join(list, ", "); got != want {
		h.t.Errorf("%s: %q run, want %q", when, got, want)
	}
}

// says compares the conditions: each is to hold one of the texts, none is one too many.
func (h *hub) says(when string, wants ...string) {
	h.t.Helper()
	var texts []string
	for _, c := range h.health.Component("", health.JobConfig).Snapshot().Conditions {
		texts = append(texts, c.Text)
	}
	for _, want := range wants {
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, want) }) {
			h.t.Errorf("%s: no condition says %q: %q", when, want, texts)
		}
	}
	if len(texts) != len(wants) {
		h.t.Errorf("%s: %d conditions, want %d: %q", when, len(texts), len(wants), texts)
	}
	if strings.Contains(strings.Join(texts, " "), password) {
		h.t.Errorf("%s: the password is shown: %q", when, texts)
	}
}

// of is what runs of a stream.
func (h *hub) of(stream string) desired.Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running[stream]
}

func (h *hub) noteApplied(all bool, unclear []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known, h.unclear = all, slices.Sorted(slices.Values(unclear))
}

// knows compares what is known of what the files want: "all", "all but gate", "not all".
func (h *hub) knows(when, want string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	got := "not all"
	if h.known {
		got = strings.TrimSuffix("all but "+strings.Join(h.unclear, ", "), " but ")
	}
	if got != want {
		h.t.Errorf("%s: %s of what the files want is known, want %s", when, got, want)
	}
}

func (h *hub) calls() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.applied
}

func (h *hub) sync(stream string) string {
	status := h.files.Sync(stream)
	return strings.TrimSpace(status.Status + " " + status.FailedStatusDetails)
}
