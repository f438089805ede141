package volume

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// CodeUnread is raised while the recordings of a stream cannot be read.
const CodeUnread = "recordings-unreadable"

// scopeUnread is for reading the directories of all streams.
const scopeUnread health.Scope = "unread"

// Unread has the directories of streams that could not be read. Safe for concurrent use.
type Unread struct {
	dir    string // the recording directory
	log    *zap.Logger
	health *health.Component

	mu  sync.Mutex
	why map[string]error // by name
}

// newUnread returns the empty set of a recording directory.
func newUnread(dir string, log *zap.Logger, component *health.Component) *Unread {
	return &Unread{dir: dir, log: log, health: component, why: make(map[string]error)}
}

// Set records why a directory could not be read; nil when it was.
func (u *Unread) Set(name string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.why[name] = err; err == nil {
		delete(u.why, name)
	}
}

// Names returns the directories.
func (u *Unread) Names() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Sorted(maps.Keys(u.why))
}

// maxRereading is the longest pause between two tries to read a stream's directory.
const maxRereading = time.Minute

// Keep has the directories read again until all are read.
func (u *Unread) Keep(ctx context.Context, pause time.Duration, read func()) {
	wait := backoff.New(backoff.Policy{Min: pause, Max: maxRereading})
	for len(u.Names()) > 0 && wait.Wait(ctx) == nil {
		read()
	}
}

// Of returns why a stream's recordings could not be read; nil when they were.
func (u *Unread) Of(stream string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, name := range layout.DirectoriesOf(stream) {
		if err := u.why[name]; err != nil {
			return err
		}
	}
	return nil
}

// Report reports which directories cannot be read.
func (u *Unread) Report() {
	u.mu.Lock()
	names := slices.Sorted(maps.Keys(u.why))
	all := slices.Collect(maps.Values(u.why))
	u.mu.Unlock()
	causes := errors.Join(all...)
	if len(names) == 0 {
		if u.health.OK(scopeUnread) {
			logevent.RecordingsReadable.Log(u.log)
		}
		return
	}
	fault := health.SystemFault(CodeUnread, causes,
		"The recordings in %s of %s cannot be read, so these streams are neither recorded nor uploaded until they can; this is "+
			"retried: %s.", strings.Join(names, ", "), u.dir, advice(all))
	if u.health.Report(scopeUnread, health.Failed, fault) {
		logevent.Condition(u.log, fault)
	}
}
