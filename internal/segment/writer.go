package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/room"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Writer records one segment. Its methods are for one goroutine; readers and the store's own syncing work concurrently.
// Errors of the disk are *health.Faults; after one, Seal the segment and create a new one.
type Writer struct {
	store  *Store
	stream *streams.Stream
	key    Key
	file   *repair.File
	ahead  *room.File // within file
	mkv    *mkv.Writer
	shown  *streams.Recording // the view of its readers

	mu       *signal.Turn // held to write: the beats write what is in memory; taken before that of the store
	sealing  bool         // Seal was called
	unsynced bool
	due      int64 // bytes of the file that the sync under way makes durable
}

// Create begins a segment. It fails with ErrPaused, ErrOverlap (when h.Start is not after LastEnd), or a *health.Fault of
// the disk. The segment is listed once its name and header are durable, so that a power cut never leaves a file without a
// header.
func (s *Store) Create(streamName string, h mkv.Header) (*Writer, error) {
	start := h.Start.UnixMilli()
	st, epoch, err := s.reserve(streamName, start)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		store:  s,
		stream: st,
		key:    Key{Stream: streamName, Epoch: epoch, Start: start},
		shown:  streams.NewRecording(h),
		mu:     signal.NewTurn(),
	}
	defer func() { // also when something panics
		s.mu.Lock()
		defer s.mu.Unlock()
		st.Creating = false
		if w.file != nil {
			st.Catalog.Insert(catalog.Entry{ID: w.key.ID(), Bytes: w.mkv.Size(), State: Writing})
			st.Use(w.key.ID()).Recording = w.shown
			s.syncs.Add(w, s.disk(st))
		}
		st.Watchers.Notify()
	}()
	if err := w.create(); err != nil { // without mu, so that on a slow disk only this stream waits
		return nil, volume.Fault(st.Dir, err)
	}
	return w, nil
}

// reserve makes sure that a segment may be created, as the only one of its stream, and returns its epoch.
func (s *Store) reserve(streamName string, start int64) (st *streams.Stream, epoch uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.readOnly {
		return nil, 0, fmt.Errorf("cannot record stream %s: the store is %w", streamName, ErrClosed)
	}
	if err := s.volume.Unread.Of(streamName); err != nil {
		return nil, 0, err
	}
	st = s.stream(streamName)
	if err := st.Admit(); err != nil {
		return nil, 0, err
	}
	if st.Creating || start <= st.Catalog.Newest() {
		return nil, 0, fmt.Errorf("a segment at %s of stream %s: %w", layout.Stamp(start), streamName, ErrOverlap)
	}
	st.Creating = true
	return st, st.Catalog.Epoch, nil
}

// create creates the file with its header, durably.
func (w *Writer) create() error {
	st := w.stream
	if err := w.store.volume.Present(); err != nil {
		return err
	}
	if err := w.store.volume.NeedFormat(layout.FormatOf(w.key.ID())); err != nil {
		return err
	}
	if err := w.store.ensureDirectory(st); err != nil {
		return err
	}
	path := filepath.Join(st.Dir, layout.WritingName(w.key.ID()))
	opened, err := st.Files.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, layout.FileMode)
	if err != nil {
		return err
	}
	ahead := room.New(opened, w.store.volume.RoomOf(w.store.SameDisk(st.Name)))
	f := repair.NewFile(ahead)
	if w.mkv, err = mkv.NewWriter(f, w.shown.Header, mkv.WriterOptions{}); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = st.Sync()
	}
	if err != nil {
		_ = f.Close()
		w.takeBack(path)
		return err
	}
	w.file, w.ahead = f, ahead
	return nil
}

// takeBack removes a file that could not be created completely. When that fails too, Run does it later.
func (w *Writer) takeBack(path string) {
	if err := w.stream.Files.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.stream.Catalog.Broken = append(w.stream.Catalog.Broken, w.key.ID())
}

// Key identifies the segment.
func (w *Writer) Key() Key { return w.key }

// Bytes returns the size so far, including data in memory that is not written yet.
func (w *Writer) Bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mkv.Size()
}

// Written returns the number of video frames in the file, without those still in memory.
func (w *Writer) Written() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mkv.Written()
}

// BeginFragment begins a fragment at start since the segment's start; see mkv.Writer.
func (w *Writer) BeginFragment(start time.Duration, keyframe bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.mkv.BeginFragment(start, keyframe); err != nil {
		return volume.Fault(w.stream.Dir, err)
	}
	w.shown.Grow(w.mkv.FinalSize())
	return nil
}

// WriteFrame adds a frame to the open fragment; see mkv.Writer. It collects frames in memory and seldom writes. It fails
// with ErrPaused, and leaves the segment as it is, when the stream's limit has no room for it.
func (w *Writer) WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	tracks := w.shown.Header.Tracks
	video := int(track) <= len(tracks) && track > 0 && tracks[track-1].Kind == mkv.Video
	if err := w.claim(w.mkv.FinalSize()+mkv.FrameSize(video, parts), video); err != nil {
		return err
	}
	if err := w.mkv.WriteFrame(track, t, keyframe, parts); err != nil {
		return volume.Fault(w.stream.Dir, err)
	}
	w.shown.Grow(w.mkv.FinalSize())
	if track == 1 {
		w.shown.Frame(t)
	}
	return nil
}

// claim makes sure that the file may have that many bytes once it is finished.
func (w *Writer) claim(final int64, video bool) error {
	if w.shown.Fits(final) {
		return nil
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.stream.Allow(w.key.ID(), w.shown, final, video)
}

// EndFragment completes the open fragment: from now on it can be read and uploaded.
func (w *Writer) EndFragment() (mkv.Fragment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, err := w.mkv.EndFragment()
	if err != nil {
		return f, volume.Fault(w.stream.Dir, err)
	}
	w.completed(f)
	return f, nil
}

// MoveGOP moves the newest GOP of the open fragment into a fragment of its own; see mkv.Writer. ok is false, too, where the stream's
// limit has no room for a second copy: nothing is deleted for it.
func (w *Writer) MoveGOP(least time.Duration) (m mkv.Moved, ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.shown.Fits(w.mkv.FinalSize() + w.mkv.NewestGOP()) {
		return m, false, nil
	}
	if m, ok, err = w.mkv.MoveGOP(least); ok {
		w.completed(m.Completed)
	}
	w.shown.Grow(w.mkv.FinalSize())
	return m, ok, volume.Fault(w.stream.Dir, err)
}

// completed publishes a completed fragment. Call with mu held.
func (w *Writer) completed(f mkv.Fragment) {
	w.shown.Complete(f)
	w.unsynced = true

	s, st := w.store, w.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := st.Catalog.Find(w.key.ID()); ok {
		e := st.Catalog.Entries[i]
		e.Bytes = f.Offset + f.Size
		e.Length = max(e.Length, uint32(min(f.Last.Milliseconds(), layout.MaxLength)))
		st.Catalog.Replace(i, e)
	}
	st.Watchers.Notify()
}

// Flush writes the frames of the open fragment that are in memory, so that the next beat makes them durable. It leaves that to the beat
// when Run is at work, and then only notices a file that is gone.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.store.syncs.Running() {
		if err := w.write(); err != nil {
			return volume.Fault(w.stream.Dir, err)
		}
	}
	if w.file.Unlinked() {
		return health.SystemFault(CodeDisk, fs.ErrNotExist,
			"Somebody deleted the file that stream %s was being recorded to in %s: recording continues in a new one.", w.stream.Name, w.stream.Dir)
	}
	return nil
}

// Seal ends the open fragment, finishes and syncs the file and renames it to sealed. A segment without a frame is removed.
// When the disk fails, Run finishes the file as soon as the disk has recovered; the segment is no longer being written in
// any case. A file of which a sync failed is first written again completely, by Seal when it is small, else by Run.
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
	empty := len(w.shown.SoFar()) == 0
	var err error
	switch {
	case w.InDoubt():
		err = w.rewrite(finishErr)
	case finishErr != nil:
		err = w.abandonFile(finishErr)
	case empty:
		err = errors.Join(closeErr, w.discard())
	default:
		err = errors.Join(closeErr, w.sealed())
	}
	return volume.Fault(w.stream.Dir, err)
}

// finish brings the file into its final form and syncs it.
func (w *Writer) finish() error {
	_, err := w.EndFragment()
	if err != nil && !errors.Is(err, mkv.ErrNoFragment) {
		return err
	}
	if err := w.file.Failure(); err != nil {
		return err // the copy is finished
	}
	w.ahead.Free()
	if err := w.mkv.Close(); err != nil {
		return err
	}
	return w.file.Sync()
}

// sealed renames the finished file.
func (w *Writer) sealed() error {
	s, st := w.store, w.stream
	s.mu.Lock()
	i, ok := st.Catalog.Find(w.key.ID())
	if !ok {
		w.finishWriting()
		s.mu.Unlock()
		return notFound(w.key)
	}
	e := st.Catalog.Entries[i] // not changed by others: it is being written
	e.State, e.Bytes = Sealed, w.mkv.Size()
	a := st.Use(e.ID)
	a.Begin(e.Name())
	s.mu.Unlock()
	s.noteGaps(st, e.ID, w.shown.Gaps())
	err := st.Rename(layout.WritingName(e.ID), e.Name())
	s.mu.Lock()
	a.End()
	i, _ = st.Catalog.Find(e.ID)
	if err == nil {
		st.Catalog.Replace(i, e)
	} else {
		st.Catalog.Detach(i)
	}
	w.finishWriting()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return st.Sync()
}

// discard removes a segment without a frame.
func (w *Writer) discard() error {
	s, st := w.store, w.stream
	err := st.Files.Remove(filepath.Join(st.Dir, layout.WritingName(w.key.ID())))
	s.mu.Lock()
	defer s.mu.Unlock()
	defer w.finishWriting()
	if i, ok := st.Catalog.Find(w.key.ID()); ok {
		st.Catalog.Remove(i)
	}
	return err
}

// finishWriting records that the segment is no longer being written. Call it only after the last rename, otherwise an
// uploader that is done with all fragments would rename the file before it. Call with the store's mu held.
func (w *Writer) finishWriting() {
	w.shown.Finish()
	w.store.syncs.Remove(w)
	w.stream.Use(w.key.ID()).Recording = nil
	w.stream.Release(w.key.ID())
	w.stream.Watchers.Notify()
}
