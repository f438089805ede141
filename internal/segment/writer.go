package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Writer records one segment. Its methods are for one goroutine; readers and the store's own
// syncing go on beside it. Errors of the disk are *health.Faults; after one, Seal what there is
// and create a new segment.
type Writer struct {
	store  *Store
	stream *stream
	key    Key
	header mkv.Header
	file   *syncFile
	mkv    *mkv.Writer

	final   atomic.Int64 // what the file will have once it is finished
	allowed atomic.Int64 // what final may be, before the limit is looked at again

	mu        sync.Mutex     // guards what readers and syncing see
	fragments []mkv.Fragment // completed
	sealing   bool           // Seal was called
	done      bool           // no longer being written, and under its last name: fragments is final
	gaps      gapFinder
	unsynced  bool
	urgent    bool      // flushed, to be synced at once
	synced    time.Time // when last
}

// Create begins a segment. It fails with ErrPaused, ErrOverlap (when h.Start is not after
// LastEnd), or a *health.Fault of the disk. The segment is listed once its name and header are
// durable: a power cut never leaves a file that nobody can tell the meaning of.
func (s *Store) Create(streamName string, h mkv.Header) (*Writer, error) {
	start := h.Start.UnixMilli()
	st, epoch, err := s.reserve(streamName, start)
	if err != nil {
		return nil, err
	}
	w := &Writer{store: s, stream: st, key: Key{Stream: streamName, Epoch: epoch, Start: start}, header: h, synced: time.Now()}
	defer func() { // also when something panics
		s.mu.Lock()
		defer s.mu.Unlock()
		st.creating = false
		if w.file != nil {
			st.catalog.Insert(catalog.Entry{ID: w.key.id(), Bytes: w.mkv.Size(), State: Writing})
			st.use(w.key.id()).writer = w
		}
		st.changed()
	}()
	if err := w.create(); err != nil { // without mu: on a slow disk nobody else waits for it
		return nil, diskFault(st.dir, err)
	}
	return w, nil
}

// reserve makes sure that a segment may be created, and the only one of its stream, and gives its epoch.
func (s *Store) reserve(streamName string, start int64) (st *stream, epoch uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.readOnly {
		return nil, 0, fmt.Errorf("cannot record stream %s: the store is %w", streamName, ErrClosed)
	}
	if err := s.unreadOf(streamName); err != nil {
		return nil, 0, err
	}
	st = s.stream(streamName)
	if st.paused != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrPaused, st.paused)
	}
	if st.deleting {
		return nil, 0, fmt.Errorf("%w: %w", ErrPaused, health.SystemFault("deleting", nil, "The media of this stream is being deleted."))
	}
	if err := st.admit(); err != nil {
		return nil, 0, err
	}
	if st.creating || start <= st.catalog.Newest() {
		return nil, 0, fmt.Errorf("a segment at %s of stream %s: %w", layout.Stamp(start), streamName, ErrOverlap)
	}
	st.creating = true
	return st, st.catalog.Epoch, nil
}

// create makes the file with its header, durably.
func (w *Writer) create() error {
	st := w.stream
	if err := w.store.present(); err != nil {
		return err
	}
	if err := w.store.needFormat(layout.FormatOf(w.key.id())); err != nil {
		return err
	}
	if err := w.store.place(st); err != nil {
		return err
	}
	path := filepath.Join(st.dir, layout.WritingName(w.key.id()))
	opened, err := st.files.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, layout.FileMode)
	if err != nil {
		return err
	}
	f := newSyncFile(opened)
	if w.mkv, err = mkv.NewWriter(f, w.header, mkv.WriterOptions{}); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = st.sync()
	}
	if err != nil {
		_ = f.Close()
		w.takeBack(path)
		return err
	}
	w.file = f
	return nil
}

// takeBack removes a file that could not be begun. When the disk does not do that either, Run does it later.
func (w *Writer) takeBack(path string) {
	if err := w.stream.files.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.stream.catalog.Broken = append(w.stream.catalog.Broken, w.key.id())
}

// Key identifies the segment.
func (w *Writer) Key() Key { return w.key }

// Bytes is the size so far, with what is gathered and not written yet.
func (w *Writer) Bytes() int64 { return w.mkv.Size() }

// Written is the number of frames of video that are in the file; those gathered are not yet.
func (w *Writer) Written() int { return w.mkv.Written() }

// BeginFragment begins a fragment at start since the segment's start; see mkv.Writer.
func (w *Writer) BeginFragment(start time.Duration, keyframe bool) error {
	if err := w.mkv.BeginFragment(start, keyframe); err != nil {
		return diskFault(w.stream.dir, err)
	}
	w.final.Store(w.mkv.FinalSize())
	return nil
}

// WriteFrame adds a frame to the open fragment; see mkv.Writer. It gathers in memory and seldom writes.
// It fails with ErrPaused, and leaves the segment as it is, when the stream's limit has no room for it.
func (w *Writer) WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error {
	video := int(track) <= len(w.header.Tracks) && track > 0 && w.header.Tracks[track-1].Kind == mkv.Video
	if err := w.claim(w.mkv.FinalSize()+mkv.FrameSize(video, parts), video); err != nil {
		return err
	}
	if err := w.mkv.WriteFrame(track, t, keyframe, parts); err != nil {
		return diskFault(w.stream.dir, err)
	}
	w.final.Store(w.mkv.FinalSize())
	if track == 1 {
		w.mu.Lock()
		w.gaps.frame(t)
		w.mu.Unlock()
	}
	return nil
}

// pauses lists the gaps so far.
func (w *Writer) pauses() []span {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gaps.all()
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
	if i, ok := st.catalog.Find(w.key.id()); ok {
		e := st.catalog.Entries[i]
		e.Bytes = f.Offset + f.Size
		e.Length = max(e.Length, uint32(min(f.Last.Milliseconds(), layout.MaxLength)))
		st.catalog.Replace(i, e)
	}
	st.changed()
	return f, nil
}

// Flush writes what is gathered of the open fragment and has it synced soon, which saves it from
// a power cut.
func (w *Writer) Flush() error {
	if err := w.mkv.Flush(); err != nil {
		return diskFault(w.stream.dir, err)
	}
	if w.unlinked() {
		return health.SystemFault(CodeDisk, fs.ErrNotExist,
			"Somebody deleted the file that stream %s was being recorded to in %s: recording goes on in a new one.", w.stream.name, w.stream.dir)
	}
	w.mu.Lock()
	w.unsynced, w.urgent = true, true
	w.mu.Unlock()
	select {
	case w.store.flushed <- struct{}{}:
	default:
	}
	return nil
}

// Seal ends the open fragment, finishes and syncs the file and renames it to sealed. A segment
// without a frame is removed. When the disk fails, what is on it is finished by Run, as soon as
// the disk serves again; the segment is no longer being written in any case. A file in doubt is first
// written again as a whole, by Seal when it is small, else by Run.
func (w *Writer) Seal() error {
	w.mu.Lock()
	if w.sealing {
		w.mu.Unlock()
		return ErrClosed
	}
	w.sealing = true
	w.mu.Unlock()
	finishErr := w.finish()
	closeErr := w.file.Close()
	w.mu.Lock()
	empty := len(w.fragments) == 0
	w.mu.Unlock()
	var err error
	switch {
	case w.InDoubt():
		err = w.writeAgain(finishErr)
	case finishErr != nil:
		err = w.giveUp(finishErr)
	case empty:
		err = errors.Join(closeErr, w.discard())
	default:
		err = errors.Join(closeErr, w.sealed())
	}
	return diskFault(w.stream.dir, err)
}

// Abandon is for a segment that Seal cannot be trusted with, as something panicked: what is in the
// file is finished as after a crash. What is only gathered is lost. It does nothing to a segment
// that is no longer being written.
func (w *Writer) Abandon() error {
	w.mu.Lock()
	done := w.done
	w.sealing = true
	w.mu.Unlock()
	if done {
		return nil
	}
	err := w.file.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return diskFault(w.stream.dir, w.giveUp(err))
}

// finish brings the file into its final form and syncs it.
func (w *Writer) finish() error {
	_, err := w.EndFragment()
	if err != nil && !errors.Is(err, mkv.ErrNoFragment) {
		return err
	}
	if why := w.file.failed.Load(); why != nil {
		return *why // the copy is finished
	}
	if err := w.mkv.Close(); err != nil {
		return err
	}
	return w.file.Sync()
}

// sealed gives the finished file its name.
func (w *Writer) sealed() error {
	s, st := w.store, w.stream
	s.mu.Lock()
	i, ok := st.catalog.Find(w.key.id())
	if !ok {
		w.leave()
		s.mu.Unlock()
		return notFound(w.key)
	}
	e := st.catalog.Entries[i] // nobody else changes it: it is being written
	e.State, e.Bytes = Sealed, w.mkv.Size()
	a := st.use(e.ID)
	a.begin(e.Name())
	s.mu.Unlock()
	s.noteGaps(st, e.ID, w.pauses())
	err := st.rename(layout.WritingName(e.ID), e.Name())
	s.mu.Lock()
	a.end()
	i, _ = st.catalog.Find(e.ID)
	if err == nil {
		st.catalog.Replace(i, e)
	} else {
		st.catalog.Detach(i)
	}
	w.leave()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return st.sync()
}

// discard removes a segment without a frame.
func (w *Writer) discard() error {
	s, st := w.store, w.stream
	err := st.files.Remove(filepath.Join(st.dir, layout.WritingName(w.key.id())))
	s.mu.Lock()
	defer s.mu.Unlock()
	defer w.leave()
	if i, ok := st.catalog.Find(w.key.id()); ok {
		st.catalog.Remove(i)
	}
	return err
}

// giveUp leaves a file that could not be finished: it is repaired as after a crash.
func (w *Writer) giveUp(why error) error {
	w.abandonFile()
	_ = w.store.mendBroken() // Run tries again
	return why
}

// leave says that the segment is no longer being written. Only after the last rename, or whoever
// is done with all fragments would give the file another name before it. Call with the store's mu
// held.
func (w *Writer) leave() {
	w.mu.Lock()
	w.done = true
	w.mu.Unlock()
	w.stream.use(w.key.id()).writer = nil
	w.stream.unuse(w.key.id())
	w.stream.changed()
}

// completed copies the list of completed fragments; finished says that it is final.
func (w *Writer) completed() (list []mkv.Fragment, finished bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.fragments), w.done
}
