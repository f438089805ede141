package segment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Writer records one segment. Its methods are for one goroutine; readers and the store's own
// syncing go on beside it. Errors of the disk are *health.Faults; after one, Seal what there is
// and create a new segment.
type Writer struct {
	store  *Store
	stream *stream
	key    Key
	header mkv.Header
	file   *os.File
	mkv    *mkv.Writer
	last   time.Duration // newest block time in the open fragment and before

	mu        sync.Mutex     // guards what readers and syncing see
	fragments []mkv.Fragment // completed
	done      bool           // sealed: fragments is final
	unsynced  bool
	named     bool // the file's name is durable
}

// Create begins a segment. It fails with ErrPaused, ErrOverlap (when h.Start is not after
// LastEnd), or a *health.Fault of the disk.
func (s *Store) Create(streamName string, h mkv.Header) (*Writer, error) {
	start := h.Start.UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.readOnly {
		return nil, fmt.Errorf("cannot record stream %s: the store is %w", streamName, ErrClosed)
	}
	st := s.stream(streamName)
	if st.paused != nil {
		return nil, fmt.Errorf("%w: %w", ErrPaused, st.paused)
	}
	if st.deleting {
		return nil, fmt.Errorf("%w: %w", ErrPaused, health.SystemFault("deleting", nil, "The media of this stream is being deleted."))
	}
	if last := max(st.highest, st.index.lastEnd()); start <= last {
		return nil, fmt.Errorf("a segment at %s of stream %s: %w", stamp(start), streamName, ErrOverlap)
	}
	if err := st.makeDirectory(); err != nil {
		return nil, diskFault(st.dir, err)
	}
	path := filepath.Join(st.dir, writingName(start))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if err != nil {
		return nil, diskFault(st.dir, err)
	}
	w := &Writer{store: s, stream: st, key: Key{Stream: streamName, Start: start}, header: h, file: file}
	if w.mkv, err = mkv.NewWriter(file, h, mkv.WriterOptions{}); err != nil {
		_ = file.Close()
		_ = os.Remove(path)
		return nil, diskFault(st.dir, err)
	}
	w.unsynced = true
	st.index.insert(entry{start: start, bytes: w.mkv.Size(), state: Writing})
	st.use(start).writer = w
	return w, nil
}

// Key identifies the segment.
func (w *Writer) Key() Key { return w.key }

// Bytes is the size so far, with what is gathered and not written yet.
func (w *Writer) Bytes() int64 { return w.mkv.Size() }

// BeginFragment begins a fragment at start since the segment's start; see mkv.Writer.
func (w *Writer) BeginFragment(start time.Duration, keyframe bool) error {
	if err := w.mkv.BeginFragment(start, keyframe); err != nil {
		return diskFault(w.stream.dir, err)
	}
	w.last = max(w.last, start)
	return nil
}

// WriteFrame adds a frame to the open fragment; see mkv.Writer. It gathers in memory and seldom writes.
func (w *Writer) WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error {
	if err := w.mkv.WriteFrame(track, t, keyframe, parts); err != nil {
		return diskFault(w.stream.dir, err)
	}
	w.last = max(w.last, t)
	return nil
}

// EndFragment completes the open fragment: from now on it is read and uploaded.
func (w *Writer) EndFragment() (mkv.Fragment, error) {
	f, err := w.mkv.EndFragment()
	if err != nil {
		return f, diskFault(w.stream.dir, err)
	}
	w.mu.Lock()
	w.fragments = append(w.fragments, f)
	w.unsynced = true
	w.mu.Unlock()

	s, st := w.store, w.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := st.index.find(w.key.Start); ok {
		e := st.index.entries[i]
		e.bytes = f.Offset + f.Size
		e.length = max(e.length, uint32(min(f.Last.Milliseconds(), maxLength)))
		st.index.replace(i, e)
	}
	st.changed()
	return f, nil
}

// Flush writes what is gathered of the open fragment, so that the next sync saves it from a power cut.
func (w *Writer) Flush() error {
	if err := w.mkv.Flush(); err != nil {
		return diskFault(w.stream.dir, err)
	}
	w.mu.Lock()
	w.unsynced = true
	w.mu.Unlock()
	return nil
}

// Seal ends the open fragment, finishes and syncs the file and renames it to sealed. A segment
// without a frame is removed. When the disk fails, what is on it is left for Recover at the next
// attempt; the segment is no longer being written in any case.
func (w *Writer) Seal() error {
	w.mu.Lock()
	if w.done {
		w.mu.Unlock()
		return ErrClosed
	}
	w.mu.Unlock()
	err := w.finish()
	if err = w.sealed(err); err == nil {
		err = syncDirectory(w.stream.dir)
	}
	return diskFault(w.stream.dir, err)
}

// sealed takes the segment out of writing; finishErr says whether the file could be finished.
func (w *Writer) sealed(finishErr error) error {
	s, st := w.store, w.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	w.mu.Lock()
	w.done = true
	empty := len(w.fragments) == 0
	w.mu.Unlock()
	st.use(w.key.Start).writer = nil
	defer st.unuse(w.key.Start)
	defer st.changed()
	closeErr := w.file.Close()
	i, found := st.index.find(w.key.Start)
	if !found {
		return notFound(w.key)
	}
	switch {
	case finishErr != nil:
		// Repair what there is as after a crash. If even that fails now, it is tried when the store
		// is opened again: the media is out of sight until then, but not lost.
		st.index.remove(i)
		if e, err := s.recoverFile(st, w.key.Start); err == nil {
			st.index.insert(e)
		}
		return finishErr
	case empty:
		st.index.remove(i)
		return errors.Join(closeErr, os.Remove(filepath.Join(st.dir, writingName(w.key.Start))))
	}
	e := st.index.entries[i]
	e.state, e.bytes = Sealed, w.mkv.Size()
	if err := errors.Join(closeErr, st.rename(writingName(e.start), e.name())); err != nil {
		return err
	}
	st.index.replace(i, e)
	return nil
}

// finish brings the file into its final form and syncs it.
func (w *Writer) finish() error {
	_, err := w.EndFragment()
	if err != nil && !errors.Is(err, mkv.ErrNoFragment) {
		return err
	}
	if err := w.mkv.Close(); err != nil {
		return err
	}
	return w.file.Sync()
}

// sync makes what was written durable, and at the first time the file's name.
func (w *Writer) sync() error {
	w.mu.Lock()
	if w.done || !w.unsynced {
		w.mu.Unlock()
		return nil
	}
	w.unsynced = false
	named := w.named
	w.named = true
	w.mu.Unlock()
	err := w.file.Sync()
	if err == nil && !named {
		err = syncDirectory(w.stream.dir)
	}
	if errors.Is(err, os.ErrClosed) {
		return nil // sealed in between, and thereby synced
	}
	return err
}

// completed copies the list of completed fragments; finished says that it is final.
func (w *Writer) completed() (list []mkv.Fragment, finished bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.fragments), w.done
}

// makeDirectory makes the stream's directory with its marker, durably.
func (st *stream) makeDirectory() error {
	marker := filepath.Join(st.dir, markerName)
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	if err := os.MkdirAll(st.dir, directoryMode); err != nil {
		return err
	}
	if err := st.writeMarker(); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(st.dir))
}
