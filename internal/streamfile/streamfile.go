// Package streamfile owns the streams that files on the hub want: one JSON file a stream in a directory, which it reads,
// checks and watches. It must not know what recording or uploading is.
//
// The directory is read every two seconds, contents and all, which takes a hub's few small files less than a millisecond.
// inotify would be sooner, but does not report changes on network file systems, of bind mounts that are replaced, and of
// files below a mount; then both would be needed, and polling alone is right everywhere.
package streamfile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
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
	// readPatience is how long the directory may take to be read. One on a server that is away may take for ever.
	readPatience = 3 * time.Second
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
	// Applied is called when what is known of the files is applied. all says that this is all that they want, but for the
	// streams in unclear, whose files are wrong and have no content from before. It must not wait. Required.
	Applied func(all bool, unclear []string)
	Now     func() time.Time // required
	Log     *zap.Logger      // required
	Health  *health.Component
}

// Files are the stream files of a hub.
type Files struct {
	o     Options
	place place
	read  func(dir string, first map[string]bool) listing

	// For Run.
	files    map[string]*file  // by name
	owners   map[string]string // the file that decides about a stream, by the stream's name
	applied  desired.Set       // nil: nothing was applied yet
	unsaved  bool              // the state lacks a change
	kept     bool              // the state was read or written
	known    bool              // the state was read, or the directory
	others   int               // files that are not read, as there are too many
	reading  <-chan listing    // of the directory, which is under way; nil: none is
	late     bool              // reading took too long
	statuses map[string]edgeconfig.SyncStatus

	mu    sync.Mutex
	syncs map[string]edgeconfig.SyncStatus // see Sync; guarded by mu
	paths map[string]string                // see Deletion; guarded by mu

	once   sync.Once // see load
	loaded chan struct{}
}

// file is what is known of a file.
type file struct {
	sum    [sha256.Size]byte // of the content that was read last
	judged bool              // that content was
	unsure int               // how often in a row the content was neither right nor that of before
	good   *good             // the last content that was right; nil: there was none
	held   *fileDocument     // the last content that was right once, as the disk has it, where good is nil; nil: there is none
	wants  string            // the stream of a content that is wrong; empty: unknown
	wrong  string            // what is wrong with the content of now, and was twice in a row; empty: nothing
	note   string            // names the members of good that have no effect
	gone   time.Time         // since when it is missing; zero: it is not
}

// good is a content that was right.
type good struct {
	stream   desired.Stream
	data     []byte
	modified time.Time
}

// New returns Files with the last good contents from before, that have not read the directory yet.
func New(o Options) *Files {
	f := &Files{
		o: o, place: place{thing: o.ThingName, noCloud: o.NoCloud}, files: make(map[string]*file), owners: make(map[string]string),
		statuses: make(map[string]edgeconfig.SyncStatus), loaded: make(chan struct{}), read: readDirectory,
	}
	f.restore()
	return f
}

// Restored is what the last good contents want. It is for before Run.
func (f *Files) Restored() desired.Set { return f.wanted() }

// Sync says how the file of a stream fares; zero when none wants it. It is safe for concurrent use.
func (f *Files) Sync(stream string) edgeconfig.SyncStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.syncs[stream]
}

// Deletion says why the media of a stream that a file wants cannot be deleted, and how it can: a sentence for people. It is safe
// for concurrent use.
func (f *Files) Deletion(stream string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("Stream %s is configured for this hub by a stream file (%s): remove that first, and %.0f s later the stream's "+
		"recordings can be deleted.", stream, cmp.Or(f.paths[stream], f.o.Dir), vanishAfter.Seconds())
}

// Place is where the URL of a stream's media is written, if it is in a file. It is safe for concurrent use.
func (f *Files) Place(stream string) address.Place {
	f.mu.Lock()
	defer f.mu.Unlock()
	return address.InFile(f.paths[stream])
}

// Loaded is closed when Run has read the directory for the first time, or that took too long, and what the files want is
// applied.
func (f *Files) Loaded() <-chan struct{} { return f.loaded }

// load reads the directory for the first time, and has what the files want applied; once only.
func (f *Files) load(ctx context.Context) {
	f.once.Do(func() {
		defer close(f.loaded)
		if f.pass(ctx, true); ctx.Err() != nil {
			return
		}
		f.apply(ctx)
		f.save()
	})
}

// Run follows the directory until ctx ends. It does not wait for a directory that hangs: the goroutine that reads that may
// outlive it.
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
			if f.pass(ctx, false); ctx.Err() != nil {
				return
			}
		}
		f.apply(ctx)
		f.save()
	}
}

// Checked is a stream file as a check finds it.
type Checked struct {
	File   string
	Stream desired.Stream // zero when it is wrong
	Wrong  string         // what is wrong, as a clause; empty: nothing
	Note   string         // what has no effect
}

// Check reads a directory once, by the files' names, and changes nothing. One that hangs is an error.
func Check(dir, thing string, noCloud bool) ([]Checked, error) {
	var l listing
	select {
	case l = <-begin(readDirectory, dir, nil):
	case <-time.After(readPatience):
		return nil, errSlow
	}
	if err := errors.Join(l.err, l.broken); err != nil {
		return nil, err
	}
	found := l.found
	var list []Checked
	owners := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		s := found[name]
		c := Checked{File: name, Wrong: strings.TrimSpace("The file " + s.problem)}
		if s.problem == "" {
			c.Wrong = ""
			var err error
			if c.Stream, c.Note, err = (place{thing: thing, noCloud: noCloud}).parse(s.data, s.modified); err != nil {
				c.Wrong = err.Error()
			}
		}
		if other, taken := owners[c.Stream.Name]; c.Wrong == "" && taken {
			c.Wrong = fmt.Sprintf("StreamName is %q, but must not be that of another file, as it is of %s", c.Stream.Name, other)
		} else if c.Wrong == "" {
			owners[c.Stream.Name] = name
		}
		list = append(list, c)
	}
	return list, nil
}
