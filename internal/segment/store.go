package segment

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/holding"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/syncqueue"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// DefaultFlushInterval bounds how much of a recording a power cut loses.
const DefaultFlushInterval = 2 * time.Second

// Options are the settings of a Store.
type Options struct {
	// Dir is the recording directory; it is created when it is missing.
	Dir string
	// Log receives messages about recovery and faults. Default: none.
	Log *zap.Logger
	// Health is the store's component of the agent's health. Default: a new one that nobody reads.
	Health *health.Component
	// FlushInterval is how long Run leaves written data unsynced. Default DefaultFlushInterval.
	FlushInterval time.Duration
	// VolumeMemory is a file on another disk than Dir. It remembers that Dir is a mount point, so that
	// the disk below is not filled while nothing is mounted. Default: nothing is remembered.
	VolumeMemory string

	// Version is that of the program, for messages. Optional.
	Version string
	// Now is the wall clock, for when fragments are refused. Default time.Now.
	Now func() time.Time
	// Reserved are the agent's own files and directories, such as its state directory: no stream is recorded into one of
	// them, whatever its name. They need not exist.
	Reserved []string

	// HoldMost is how much all holds may have together on a disk of that size, in bytes. Default: that of hold.Max{}.
	HoldMost func(total uint64) int64

	// Files is the file system that Dir is changed through. Default the real one; tests use file systems that fail.
	Files atomicfile.FileSystem
}

// Store is the recording directory. Safe for concurrent use.
type Store struct {
	dir      string
	log      *zap.Logger
	health   *health.Component
	now      func() time.Time
	readOnly bool
	files    fileSystem
	volume   *volume.Volume
	syncs    *syncqueue.Queue
	holds    *holding.Book

	clocks    *signal.Turn // held to change the notes about a stream's times; taken before mu
	repairing sync.Mutex   // held by repair, as no file may be repaired twice at once; taken before mu

	recovering repair.Opening // used by the loading goroutine

	deleted atomic.Int64 // bytes of media, since Open

	mu      sync.Mutex
	closed  bool
	streams map[string]*streams.Stream // guarded by mu, with everything that they refer to
}

// Open takes the directory for this process, recovers what a crash left, and indexes it. It fails with a *health.Fault when
// another agent has the directory, or when the disk fails. When only the directory of one stream cannot be read, the others
// are usable; Run tries that one again.
func Open(o Options) (*Store, error) {
	s := newStore(o)
	if err := s.volume.Open(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		_ = s.volume.Close()
		return nil, err
	}
	if err := s.keepFormat(); err != nil {
		s.volume.Results.Report(err) // for a full disk; the next segment of such a stream tries again
	}
	s.holds.Keep()
	return s, nil
}

// OpenReadOnly opens the directory for reading, with or without a running agent. It changes nothing: what a crash left is
// not recovered, and segments being written are listed as they are.
func OpenReadOnly(o Options) (*Store, error) {
	s := newStore(o)
	s.readOnly = true
	err := s.volume.OpenReadOnly()
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
		o.Health = health.NewRegistry(time.Now).Component("", health.JobStore)
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
		now: o.Now, dir: o.Dir, log: o.Log, health: o.Health, files: o.Files,
		volume: volume.New(volume.Options{
			Dir: o.Dir, Log: o.Log, Health: o.Health, Files: o.Files, Memory: o.VolumeMemory, Version: o.Version, Reserved: o.Reserved,
		}),
		clocks: signal.NewTurn(), syncs: syncqueue.New(o.FlushInterval), streams: make(map[string]*streams.Stream),
	}
	s.holds = s.newHolds(o.HoldMost)
	return s
}

// Close makes progress durable and releases the directory. Writers must be sealed before.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	err := errors.Join(s.syncs.Drain(s.files), s.SyncProgress())
	if err != nil {
		err = s.SyncProgress() // records whose sync failed are written again
	}
	if !s.readOnly {
		s.keepGaps()
		s.keepClocks()
	}
	var noted []*progress.Progress
	s.mu.Lock()
	for _, st := range s.streams {
		for _, a := range st.Active {
			if a.Progress != nil {
				noted = append(noted, a.Progress)
			}
		}
	}
	s.mu.Unlock()
	for _, p := range noted {
		err = errors.Join(err, p.End())
	}
	return errors.Join(err, s.volume.Close())
}

// stream returns the stream of that name, created in memory on first use. Call with mu held.
func (s *Store) stream(name string) *streams.Stream {
	st := s.streams[name]
	if st == nil {
		st = s.newStream(name)
		s.streams[name] = st
	}
	return st
}

func (s *Store) newStream(name string) *streams.Stream {
	return streams.NewStream(s.files, filepath.Join(s.dir, layout.DirectoryOf(name)), name)
}

func notFound(k Key) error {
	return fmt.Errorf("segment %s of stream %s: %w", k.ID(), k.Stream, ErrNotFound)
}

// SetLimit limits a stream. A limit below the present use applies once enough is deleted.
func (s *Store) SetLimit(stream string, l Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(stream).SetLimit(l)
}

// Pause makes Create fail for the stream with why, until Resume.
func (s *Store) Pause(stream string, why *health.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(stream).Paused = why
}

// Resume ends a pause.
func (s *Store) Resume(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(stream).Paused = nil
}
