package segment

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// DefaultFlushInterval bounds what a power cut takes of a recording.
const DefaultFlushInterval = 2 * time.Second

// Options are the settings of a Store.
type Options struct {
	// Dir is the recording directory; it is made when it is missing.
	Dir string
	// Log is where recovery and faults are told. Default: nowhere.
	Log *zap.Logger
	// Health is the store's part of the agent's health. Default: one of its own.
	Health *health.Part
	// FlushInterval is how long Run leaves what was written unsynced. Default DefaultFlushInterval.
	FlushInterval time.Duration
	// VolumeMemory is a file on another disk than Dir. It remembers that Dir is a mount point, so that
	// the disk below is not filled while nothing is mounted. Default: nothing is remembered.
	VolumeMemory string

	// Version is that of the program, for people. Optional.
	Version string
	// Now is the wall clock, for when fragments are refused. Default time.Now.
	Now func() time.Time
	// Reserved are files and directories of the agent's own, such as its state directory: no stream is recorded into
	// one of them, whatever its name. They need not exist.
	Reserved []string

	// Files is how Dir is changed. Default the real file system; tests put disks that fail in its place.
	Files atomicfile.FileSystem
}

// Store is the recording directory. Safe for concurrent use.
type Store struct {
	dir       string
	log       *zap.Logger
	health    *health.Part
	interval  atomic.Int64  // nanoseconds that Run leaves what was written unsynced
	paced     chan struct{} // interval was changed
	now       func() time.Time
	readOnly  bool
	lock      atomic.Pointer[os.File] // nil when read-only
	memory    string                  // Options.VolumeMemory
	reserved  []string                // Options.Reserved
	device    uint64                  // of dir
	files     fileSystem
	flushed   chan struct{} // a writer wants to be synced
	volume    string        // the mark of the disk; "" when read-only
	version   string        // of the program
	format    atomic.Int32  // of what is stored
	forming   sync.Mutex    // held to change format
	gapsNoted bool          // the agent that had the directory before notes gaps

	proving chan struct{}            // holds one while files of the recording directory are made again
	placing map[string]chan struct{} // by the lower case of names that get their directory now; closed then; guarded by mu
	clocks  sync.Mutex               // held to change what is known of a stream's times; taken before mu
	mending sync.Mutex               // held by mendBroken, as no file may be mended twice at once; taken before mu
	syncing sync.Mutex               // held by SyncProgress

	recovering int64 // bytes of torn files that were found while loading; by who loads

	watched sync.Map // by directory, what is reported of it

	deleted atomic.Int64 // bytes of media, since Open

	mu      sync.Mutex
	closed  bool
	streams map[string]*stream // guarded by mu, with all that hangs on it
	unread  map[string]error   // by directory of a stream, why it could not be read; guarded by mu
}

// stream is one stream's segments.
type stream struct {
	name     string
	dir      string // what it will be, until device is set
	device   uint64 // of dir; 0 until the stream has its directory
	shared   bool   // dir shares the space of the recording directory, though device is another one
	files    fileSystem
	catalog  catalog.Catalog
	untimed  bool // the side file lacks clock
	gaps     gapNotes
	gapping  sync.Mutex // held to write the notes of gaps; taken before the store's mu
	active   map[layout.ID]*active
	refused  refusals
	watchers []chan struct{}
	paused   *health.Fault
	bound    bound
	creating bool // a segment is being created, without mu
	deleting bool
	garbage  []string                // files that are deleted but for their removal
	trash    int64                   // their bytes
	freeing  int64                   // trash, and what is being removed now
	aside    int64                   // bytes of files that were set aside
	doubted  map[layout.ID]rewriting // segments, not finished yet, of whose file a sync failed
}

// active is what the store holds of a segment that is being written, read or uploaded.
type active struct {
	writer   *Writer // nil when finished
	leases   int
	progress *progress // nil when nothing of it is persisted
	moving   *move     // nil unless its file gets another name now
}

// move is a change of a file's name under way, without the store's mu: a disk that hangs in it
// holds up nobody but who changes the same segment. Until it is done, the segment is in the state
// from which it goes.
type move struct {
	to    string
	ended chan struct{} // closed when it is done or has failed
}

// begin says that a segment's file will have another name. Call with mu held, when nothing moves it.
func (a *active) begin(to string) { a.moving = &move{to: to, ended: make(chan struct{})} }

// end says that it has it, or has not got it. Call with mu held.
func (a *active) end() {
	close(a.moving.ended)
	a.moving = nil
}

// Open takes the directory for this process, recovers what a crash left, and indexes it. It fails
// with a *health.Fault when another agent has the directory, or when the disk does not serve. When
// only the directory of a stream cannot be read, the others are served; Run tries it again.
func Open(o Options) (*Store, error) {
	s := newStore(o)
	if err := s.expectVolume(); err != nil {
		return nil, err
	}
	if err := s.expectFormat(); err != nil {
		return nil, err
	}
	if !s.exists(s.dir) {
		if err := s.files.MkdirAll(s.dir, layout.DirectoryMode); err != nil {
			return nil, diskFault(s.dir, err)
		}
	}
	s.gapsNoted = gapsNoted(s.dir) // before the lock says what we do
	held, err := lock(s.dir)
	if err != nil {
		return nil, err
	}
	s.lock.Store(held)
	if err := s.claimVolume(); err != nil {
		_ = held.Close()
		return nil, err
	}
	s.device = device(s.dir)
	if err := s.load(); err != nil {
		_ = held.Close()
		return nil, err
	}
	if err := s.keepFormat(); err != nil {
		s.report(err) // of a full disk; the next segment of such a stream tries again
	}
	return s, nil
}

// OpenReadOnly reads the directory beside a running agent, or without one. It changes nothing:
// what a crash left is not recovered, and segments being written are listed as they are.
func OpenReadOnly(o Options) (*Store, error) {
	s := newStore(o)
	s.readOnly, s.gapsNoted, s.device = true, gapsNoted(s.dir), device(s.dir)
	err := s.expectFormat()
	if err == nil {
		err = s.load()
	}
	if err != nil {
		return nil, s.reading(err)
	}
	return s, nil
}

func newStore(o Options) *Store {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(time.Now).Part("", health.JobStore)
	}
	if o.FlushInterval <= 0 {
		o.FlushInterval = DefaultFlushInterval
	}
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.Files == nil {
		o.Files = osFiles{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{
		now: o.Now,
		dir: o.Dir, memory: o.VolumeMemory, reserved: o.Reserved, log: o.Log, health: o.Health, files: o.Files, version: o.Version,
		proving: make(chan struct{}, 1), placing: make(map[string]chan struct{}),
		flushed: make(chan struct{}, 1), paced: make(chan struct{}, 1), streams: make(map[string]*stream), unread: make(map[string]error),
	}
	s.interval.Store(int64(o.FlushInterval))
	return s
}

// Close makes progress durable and gives the directory back. Writers must be sealed before.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	err := s.SyncProgress()
	if err != nil {
		err = s.SyncProgress() // what a failed sync left is written again
	}
	if !s.readOnly {
		s.keepGaps()
		s.keepClocks()
	}
	var noted []*progress
	s.mu.Lock()
	for _, st := range s.streams {
		for _, a := range st.active {
			if a.progress != nil {
				noted = append(noted, a.progress)
			}
		}
	}
	s.mu.Unlock()
	for _, p := range noted {
		err = errors.Join(err, s.endNotes(p))
	}
	if held := s.lock.Load(); held != nil {
		err = errors.Join(err, held.Close())
	}
	return err
}

// Streams lists the streams that have segments, or files that were set aside, by name.
func (s *Store) Streams() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.streams))
	for name, st := range s.streams {
		if len(st.catalog.Entries) > 0 || st.aside > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Segments lists a stream's segments that have media recorded in [from, to), oldest first; a zero time is
// unbounded. O(log n) for each epoch, plus what it returns.
func (s *Store) Segments(stream string, from, to time.Time) []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return nil
	}
	list := []Info{}
	for r := range st.catalog.Overlapping(from, to) {
		list = slices.Grow(list, r.To-r.From)
		for _, e := range st.catalog.Entries[r.From:r.To] {
			list = append(list, st.info(e))
		}
	}
	return list
}

// NextPending gives a stream's oldest segment of those that are not uploaded, come after `after` (see
// Before) and have media recorded in [from, to); a zero time is unbounded. It costs the same however many segments there are.
func (s *Store) NextPending(after Key, from, to time.Time) (Key, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[after.Stream]
	if st == nil {
		return Key{}, false
	}
	if e, ok := st.catalog.NextPending(after.id(), from, to); ok {
		return st.key(e), true
	}
	return Key{}, false
}

func (st *stream) key(e catalog.Entry) Key {
	return Key{Stream: st.name, Epoch: e.Epoch, Start: e.Start}
}

func (st *stream) info(e catalog.Entry) Info {
	info := Info{
		Key:     st.key(e),
		End:     time.UnixMilli(e.End()).UTC(),
		Bytes:   e.Bytes,
		State:   e.State,
		Refused: e.Refused,
	}
	info.RefusedFragments, info.RefusedBytes = st.refused.sum(e.ID)
	if e.State != Uploaded {
		info.PendingBytes = st.active[e.ID].left(e).bytes
	}
	st.date(&info, e)
	spans := st.gaps.of[e.ID]
	info.GapsKnown = st.gaps.knows(e.ID) && e.State != Writing
	if a := st.active[e.ID]; a != nil && a.writer != nil {
		spans, info.GapsKnown = a.writer.pauses(), true
	}
	info.Gaps = within(info.Key, spans)
	return info
}

// LastEnd is the newest producer time that the stream's epoch ever had: a new segment must start after
// it. Zero when there is none.
func (s *Store) LastEnd(stream string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return time.Time{}
	}
	last := st.catalog.Newest()
	if last == math.MinInt64 {
		return time.Time{}
	}
	return time.UnixMilli(last).UTC()
}

// stream gives the stream of that name, made in memory on first use. Call with mu held.
func (s *Store) stream(name string) *stream {
	st := s.streams[name]
	if st == nil {
		st = s.newStream(name)
		s.streams[name] = st
	}
	return st
}

func (s *Store) newStream(name string) *stream {
	return &stream{
		name: name, dir: filepath.Join(s.dir, layout.DirectoryOf(name)), files: s.files,
		catalog: catalog.NewCatalog(), active: make(map[layout.ID]*active), doubted: make(map[layout.ID]rewriting),
	}
}

// use gives a segment's active part, made on first use. Call with mu held.
func (st *stream) use(k layout.ID) *active {
	a := st.active[k]
	if a == nil {
		a = &active{}
		st.active[k] = a
	}
	return a
}

// unuse forgets an active part that nothing needs any more. Call with mu held.
func (st *stream) unuse(k layout.ID) {
	if a := st.active[k]; a != nil && a.writer == nil && a.leases == 0 && a.progress == nil && a.moving == nil {
		delete(st.active, k)
	}
}

func notFound(k Key) error {
	return fmt.Errorf("segment %s of stream %s: %w", k.id(), k.Stream, ErrNotFound)
}
