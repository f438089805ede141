package segment

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/syncqueue"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Run makes written data durable within FlushInterval, for all segments of a disk together. It finishes segments that a failing disk
// left, and loads streams that could not be read, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	supervised := func(ctx context.Context, what string, do func(context.Context)) {
		o := supervise.Options{What: what, Component: s.health, Log: s.log}
		_ = supervise.Keep(ctx, o, func(ctx context.Context) error { do(ctx); return nil })
	}
	s.syncs.Run(ctx, syncqueue.Beats{
		Files: s.files, Dir: s.dir, Supervised: supervised, More: s.unsavedOn, Result: s.volume.Results.Set,
		Beside: map[string]func(context.Context){ // parallel to the syncs, as a failing disk may be slow
			"Reading the recordings":           func(ctx context.Context) { s.volume.Unread.Keep(ctx, s.syncs.Pause(), s.loadUnread) },
			"Watching the recording directory": s.watchDirectories,
			"Recovering recordings":            s.repairBroken, // files that were too large to read before the first camera could be recorded
			"Repairing recordings":             s.keepRepairing,
		},
	})
	return nil
}

// SetFlushInterval changes Options.FlushInterval, which must be above 0, while the store is in use.
func (s *Store) SetFlushInterval(interval time.Duration) { s.syncs.SetPause(interval) }

// SyncLag returns how long it took at most, since the last call, to sync what was due, and how often that is done.
func (s *Store) SyncLag() (longest, beat time.Duration) { return s.syncs.Longest(), s.syncs.Pause() }

// repairs and rereads stand for repairBroken and readNotes among the disks of which there is a result.
const repairs, rereads = ^uint64(0), ^uint64(0) - 1

// keepRepairing finishes segments that a failing disk left, and writes the notes that it refused.
func (s *Store) keepRepairing(ctx context.Context) {
	for s.syncs.Wait(ctx) {
		s.repairBroken(ctx)
		s.volume.Results.Set(rereads, s.readNotes(ctx))
		s.keepGaps()
		s.keepClocks()
	}
}

// disk returns by which number the disk of a stream is known to the beats. Call with mu held.
func (s *Store) disk(st *streams.Stream) uint64 {
	if s.onDisk(st) {
		return 0
	}
	return st.Device
}

// InDoubt reports whether a sync of the file failed, so that data written to it may be lost and has to be written again,
// which Seal begins: new media should be recorded to a new segment.
func (w *Writer) InDoubt() bool { return w.file.InDoubt() }

// Due implements syncqueue.Part: it writes what is in memory. A file of which a sync failed is not synced again, as that would prove
// nothing.
func (w *Writer) Due() (f file, dir string, due bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealing || w.InDoubt() {
		return w.file, "", false, nil
	}
	if err := w.write(); err != nil {
		return w.file, "", false, volume.Fault(w.stream.Dir, err)
	}
	due, w.unsynced, w.due = w.unsynced, false, w.shown.Flushed()
	return w.file, "", due, nil
}

// write writes what is in memory. Call with mu held.
func (w *Writer) write() error {
	if w.mkv.Empty() {
		return nil
	}
	err := w.mkv.Flush()
	if size := w.mkv.Size(); err == nil && size > w.shown.Flushed() {
		w.shown.Flush(size)
		w.unsynced = true
	}
	return err
}

// Synced implements syncqueue.Part.
func (w *Writer) Synced(err error) error {
	w.mu.Lock()
	due, sealing := w.due, w.sealing
	w.mu.Unlock()
	switch {
	case err == nil:
		w.shown.Sync(due)
	case sealing || errors.Is(err, os.ErrClosed):
		return nil // Seal syncs it, and has the result
	default:
		w.stream.Doubts.Add(w.key.ID())
	}
	return volume.Fault(w.stream.Dir, err)
}
