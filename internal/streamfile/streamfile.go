// Package streamfile owns the streams that files on the hub want: one JSON file a stream in a directory, which it reads,
// checks and watches. It must not know what recording or uploading is.
//
// The directory is read every two seconds, contents and all, which takes a hub's few small files less than a millisecond.
// inotify would be sooner, but says nothing of network file systems, of bind mounts that are replaced, and of what a mount
// hides; then both would be needed, and polling alone is right everywhere.
package streamfile

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	// readEvery is how soon a change is seen.
	readEvery = 2 * time.Second
	// vanishAfter is how long a file may be missing, as programs save by removing and renaming.
	vanishAfter = 10 * time.Second
)

// Applier makes streams run.
type Applier interface {
	// Apply is given the whole desired set of the files and does what is missing. It returns an outcome for each member.
	Apply(ctx context.Context, wanted desired.Set) []desired.Outcome
}

// Options of Files.
type Options struct {
	Dir       string // with the stream files. Required
	ThingName string // of the hub in AWS IoT, which a HubDeviceArn must name. Required
	NoCloud   bool   // nothing is uploaded, and no secret can be read
	// State keeps the last good content of each file. Required.
	State statefile.Dir
	// Applier makes streams run. Required.
	Applier Applier
	// OutcomeChanged receives when Applier has other outcomes than before for the same set. Default never.
	OutcomeChanged <-chan struct{}
	// Known is called when what the files want is known and applied. It must not wait. Required.
	Known func()
	// Publish is notified of how the file of a stream fares. It must not wait. Required.
	Publish func(edgeconfig.SyncStatus)
	Now     func() time.Time // required
	Log     *zap.Logger      // required
	Health  *health.Component
}

// Files are the stream files of a hub.
type Files struct {
	o     Options
	place place
	any   atomic.Bool // they want a stream

	// For Run.
	files    map[string]*file  // by name
	owners   map[string]string // the file that decides about a stream, by the stream's name
	applied  desired.Set       // nil: nothing was applied yet
	unsaved  bool              // the state lacks a change
	kept     bool              // the state was read or written
	statuses map[string]edgeconfig.SyncStatus

	once   sync.Once // see load
	loaded chan struct{}
}

// file is what is known of a file.
type file struct {
	sum    [sha256.Size]byte // of the content that was read last
	judged bool              // that content was
	good   *good             // the last content that was right; nil: there was none
	wrong  string            // what is wrong with the content of now, and was twice in a row; empty: nothing
	note   string            // what of good has no effect
	gone   time.Time         // since when it is missing; zero: it is not
}

// good is a content that was right.
type good struct {
	stream   desired.Stream
	data     []byte
	modified time.Time
}

// New returns Files that have read nothing yet.
func New(o Options) *Files {
	return &Files{
		o: o, place: place{thing: o.ThingName, noCloud: o.NoCloud}, files: make(map[string]*file), owners: make(map[string]string),
		statuses: make(map[string]edgeconfig.SyncStatus), loaded: make(chan struct{}),
	}
}

// Any reports whether the files want a stream. It is safe for concurrent use.
func (f *Files) Any() bool { return f.any.Load() }

// Loaded is closed when Run has read the directory for the first time, and what the files want is applied.
func (f *Files) Loaded() <-chan struct{} { return f.loaded }

// load reads the state and the directory for the first time, and has what they want applied; once only.
func (f *Files) load(ctx context.Context) {
	f.once.Do(func() {
		defer close(f.loaded)
		f.restore()
		f.pass(true)
		f.apply(ctx)
		f.save()
	})
}

// Run follows the directory until ctx ends.
func (f *Files) Run(ctx context.Context) {
	f.load(ctx)
	again := time.NewTicker(readEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.o.OutcomeChanged:
			f.applied = nil
		case <-again.C:
			f.pass(false)
		}
		f.apply(ctx)
		f.save()
	}
}
