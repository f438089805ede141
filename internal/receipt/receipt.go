// Package receipt owns which fragments the service acknowledged as persisted, with their numbers: a journal of 32 bytes a fragment for
// each stream, the oldest of which go first when it is full. A lost receipt loses no media: an audit then compares time and length. It
// must not know how fragments are sent, nor what their receipts are used for.
package receipt

import (
	"context"
	"math"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

const (
	// maxBytes is the most that the receipts of a stream use: two million.
	maxBytes = 64_000_000
	// share of a stream's space that they use at most: half a per cent.
	share = 200
	// leastBytes is what they may always use.
	leastBytes = 2 * maxFile
	// waiting is how many receipts wait for the disk at most; those that come then are dropped.
	waiting = 4096
)

// Options of a Store.
type Options struct {
	Dir   string                // made with the first receipt; required
	Files atomicfile.FileSystem // default atomicfile.OS
	// Space is how many bytes the recordings of a stream may use; 0 when that is not known.
	Space func(stream string) int64
	Log   *zap.Logger // default none
}

// Store has the receipts of all streams. Safe for concurrent use.
type Store struct {
	o       Options
	arrived chan noted

	mu      *signal.Turn        // held while a journal is read or written
	streams map[string]*journal // guarded by mu, as what they point to
}

// noted is a receipt on its way to the disk.
type noted struct {
	stream string
	Receipt
	flushed chan struct{} // closed when all before it is written; nil for a receipt
}

// New returns a store of what the directory holds. Run writes.
func New(o Options) *Store {
	if o.Files == nil {
		o.Files = atomicfile.OS{}
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &Store{o: o, mu: signal.NewTurn(), arrived: make(chan noted, waiting), streams: make(map[string]*journal)}
}

// Note keeps a receipt. It never waits: while the disk is too slow receipts are dropped.
func (s *Store) Note(stream string, r Receipt) {
	select {
	case s.arrived <- noted{stream: stream, Receipt: r}:
	default:
	}
}

// Run writes receipts until ctx ends, and then those that wait.
func (s *Store) Run(ctx context.Context) error {
	defer s.close()
	for {
		select {
		case first := <-s.arrived:
			s.write(first)
		case <-ctx.Done():
			for {
				select {
				case first := <-s.arrived:
					s.write(first)
				default:
					return nil
				}
			}
		}
	}
}

// write writes a receipt and all others that wait.
func (s *Store) write(first noted) {
	batch := make(map[string][]Receipt)
	var flushed []chan struct{}
	take := func(n noted) {
		if n.flushed != nil {
			flushed = append(flushed, n.flushed)
			return
		}
		batch[n.stream] = append(batch[n.stream], n.Receipt)
	}
	take(first)
	for more := true; more; {
		select {
		case next := <-s.arrived:
			take(next)
		default:
			more = false
		}
	}
	for stream, list := range batch {
		limit := s.limit(stream)
		s.mu.Lock()
		err := s.of(stream).append(list, limit)
		s.mu.Unlock()
		if err != nil {
			s.o.Log.Debug("receipts not written", zap.String("stream", stream), zap.Error(err))
		}
	}
	for _, done := range flushed {
		close(done)
	}
}

// Flush waits until all receipts that were noted before are written. Run must be running.
func (s *Store) Flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case s.arrived <- noted{flushed: done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// limit is how many bytes the receipts of a stream may use.
func (s *Store) limit(stream string) int64 {
	space := int64(math.MaxInt64)
	if s.o.Space != nil {
		if known := s.o.Space(stream); known > 0 {
			space = known
		}
	}
	return max(leastBytes, min(maxBytes, space/share))
}

// Read calls each with the receipts of a stream for media with producer timestamps in [from, to), in any order. Those that were noted
// within the last moment may be missing.
func (s *Store) Read(stream string, from, to time.Time, each func(Receipt)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(stream).read(from, to, each)
}

// Forget deletes the receipts of a stream.
func (s *Store) Forget(stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.of(stream).forget()
	delete(s.streams, stream)
	return err
}

// of returns the journal of a stream. Call with mu held.
func (s *Store) of(stream string) *journal {
	j := s.streams[stream]
	if j == nil {
		j = &journal{files: s.o.Files, dir: filepath.Join(s.o.Dir, layout.DirectoryOf(stream))}
		s.streams[stream] = j
	}
	return j
}

func (s *Store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.streams {
		j.close()
	}
}

// Scan calls each with the receipts of a file, and returns the earliest and the latest of their producer timestamps, in Unix ms; the
// earliest is after the latest when there are none. Damaged records are left out, and so is a file that this version does not read.
func Scan(data []byte, each func(Receipt)) (first, last int64) {
	first, last = math.MaxInt64, math.MinInt64
	from, ok := readHead(data)
	if !ok {
		return first, last
	}
	for data = data[headSize:]; len(data) >= recordSize; data = data[recordSize:] {
		r, ok := from.record(data[:recordSize])
		if !ok {
			continue
		}
		at := r.Producer.UnixMilli()
		first, last = min(first, at), max(last, at)
		each(r)
	}
	return first, last
}
