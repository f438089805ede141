// Package streamfile owns the streams that files on the hub configure: one JSON file for each stream, in a directory that the
// package reads, checks and watches. It must not know what recording or uploading is. docs/stream-files.md says what users see.
//
// Each pass reads the directory (directory.go), parses what changed (document.go), decides which file each stream comes from
// and applies the streams (pass.go), reports what is wrong (conditions.go), and keeps the last good contents for the next
// start (lastgood.go).
//
// The directory is read every two seconds with the contents of its files: for a hub's few small files that takes less than a
// millisecond. inotify would be faster, but does not report changes on network file systems, of bind mounts that are replaced,
// and of files below a mount. It would need polling in addition, and polling alone works everywhere.
package streamfile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
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
	// readPatience is how long reading the directory may take. If it is on a server that does not answer, reading may never end.
	readPatience = 3 * time.Second
)

// Applier makes streams run.
type Applier interface {
	// Apply receives all streams that the files configure. It runs them, stops those of earlier calls that are not among them, and
	// returns an outcome for each.
	Apply(ctx context.Context, wanted desired.Set) []desired.Outcome
}

// Options of Files.
type Options struct {
	Dir       string // the directory with the stream files. Required
	ThingName string // the hub's thing in AWS IoT, which a HubDeviceArn must name. Required, unless NoCloud
	NoCloud   bool   // nothing is uploaded, and no secret can be read
	// State keeps the last good content of each file. Required.
	State statefile.Dir
	// Applier makes streams run. Required.
	Applier Applier
	// OutcomeChanged delivers a value when Applier would return other outcomes for the same streams than last time. Default: never.
	OutcomeChanged <-chan struct{}
	// Applied is called after each Apply, and after each pass that changed nothing. all says that every stream that the files
	// configure is known, except those in unclear: their files are wrong and no good content of them is known. It must not
	// block. Required.
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
	kept     bool              // the state file was read or written, so it is written again if somebody removes it
	known    bool              // files was filled, from the state file or from the directory
	others   int               // how many stream files are not read, as there are too many
	reading  <-chan listing    // receives the result of the reading that is under way; nil: none is
	late     bool              // that reading took longer than readPatience
	statuses map[string]edgeconfig.SyncStatus

	mu    sync.Mutex
	syncs map[string]edgeconfig.SyncStatus // see Sync; guarded by mu
	paths map[string]string                // see Deletion; guarded by mu

	once   sync.Once // see load
	loaded chan struct{}
}

// file is what is known of one stream file.
type file struct {
	sum    [sha256.Size]byte // of the content that was read last
	judged bool              // whether that content was found good or wrong, so that it need not be parsed again
	unsure int               // how many wrong contents were passed over since the last right one; at most mostUnsure
	good   *good             // the last content that was right; nil: there was none
	held   *fileDocument     // where good is nil: the content in the state file, which was right once and is wrong now; nil: none
	wants  string            // the StreamName in the last content that has one, needed where good is nil; empty: there was none
	// nameless says that the StreamName in the present content cannot be read, so that it may be any.
	nameless bool
	wrong    string    // what is wrong with the present content, which was wrong at two readings; empty: nothing
	note     string    // the members of good that have no effect
	gone     time.Time // when it was first missing; zero: it is not missing
}

// good is a content without faults.
type good struct {
	stream   desired.Stream
	data     []byte
	modified time.Time
}

// New returns Files that have the last good contents of earlier runs, and have not read the directory yet.
func New(o Options) *Files {
	f := &Files{
		o: o, place: place{thing: o.ThingName, noCloud: o.NoCloud}, files: make(map[string]*file), owners: make(map[string]string),
		statuses: make(map[string]edgeconfig.SyncStatus), loaded: make(chan struct{}), read: readDirectory,
	}
	f.restore()
	return f
}

// Restored returns the streams that the last good contents configure. Call it before Run.
func (f *Files) Restored() desired.Set { return f.wanted() }

// Sync returns the status of the file that configures a stream; zero if none does. It is safe for concurrent use.
func (f *Files) Sync(stream string) edgeconfig.SyncStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.syncs[stream]
}

// Deletion says why the media of a stream that a file configures cannot be deleted, and what to do first: a sentence for
// people. It is safe for concurrent use.
func (f *Files) Deletion(stream string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("Stream %s is configured for this hub by a stream file (%s): remove that first, and %.0f s later the stream's "+
		"recordings can be deleted.", stream, cmp.Or(f.paths[stream], f.o.Dir), vanishAfter.Seconds())
}

// Place names the stream file that contains the URL of a stream's media, for sentences. It is safe for concurrent use.
func (f *Files) Place(stream string) address.Place {
	f.mu.Lock()
	defer f.mu.Unlock()
	return address.InFile(f.paths[stream])
}

// Loaded is closed when Run has tried to read the directory for the first time, and applied the streams that are known then. It
// is closed too if Run ends before that.
func (f *Files) Loaded() <-chan struct{} { return f.loaded }

// load makes the first pass, in which a missing file counts as deleted, and applies the streams. It does so once, also if Run
// is called again after a panic.
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

// Run follows the directory until ctx ends. It waits at most readPatience for a directory that hangs: the goroutine that
// reads it may outlive Run.
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
	File   string         // its name, without the directory
	Stream desired.Stream // zero if the file cannot be parsed
	Wrong  string         // what is wrong, as a clause; empty: nothing
	Note   string         // the members that have no effect
}

// Check reads a directory once, and changes nothing. It returns the files by name. Of two with one StreamName the second is wrong,
// whichever of them a running agent follows, and so are those beyond maxFiles. A directory that hangs is an error.
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
			if c.Stream, c.Note, err = (place{thing: thing, noCloud: noCloud}).judge(s.data, s.modified); err != nil {
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
	for name := range l.unread {
		list = append(list, Checked{File: name, Wrong: fmt.Sprintf("The file is not read, as the directory has more than %d stream files: "+
			"remove those that nobody needs", maxFiles)})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].File < list[j].File })
	return list, nil
}
