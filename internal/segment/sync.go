package segment

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Run makes written data durable, one segment after the other: flushed data at once, everything else within FlushInterval.
// It finishes segments that a failing disk left, and loads streams that could not be read, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	var reading sync.WaitGroup // parallel to the syncs, as a failing disk may be slow
	defer reading.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beside := func(what string, do func(context.Context)) {
		o := supervise.Options{What: what, Component: s.health, Log: s.log}
		reading.Go(func() {
			_ = supervise.Keep(ctx, o, func(ctx context.Context) error { do(ctx); return nil })
		})
	}
	beside("Reading the recordings", s.keepReading)
	beside("Watching the recording directory", s.watchDirectories)
	beside("Recovering recordings", s.recoverPostponed) // files that were too large to read before the first camera could be recorded
	ticker := time.NewTicker(s.syncs.Pause())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.syncs.Asked(): // cameras flush at different moments, which staggers the syncs
			if err := s.syncs.Run(ctx, (*Writer).sync); err != nil {
				s.report(err)
			}
		case <-s.syncs.Paced():
			ticker.Reset(s.syncs.Pause())
		case <-ticker.C:
			s.report(errors.Join(s.syncs.Run(ctx, (*Writer).sync), s.SyncProgress(), s.repairBroken()))
			s.keepGaps()
			s.keepClocks()
		}
	}
}

// SetFlushInterval changes Options.FlushInterval, which must be above 0, while the store is in use.
func (s *Store) SetFlushInterval(interval time.Duration) { s.syncs.SetPause(interval) }

// SyncLag returns how long it took at most, since the last call, to sync what was due, and how often that is done.
func (s *Store) SyncLag() (longest, beat time.Duration) { return s.syncs.Longest(), s.syncs.Pause() }

// maxRereading is the longest pause between two tries to read a stream's directory.
const maxRereading = time.Minute

// keepReading tries the directories that Open could not read, until all are read.
func (s *Store) keepReading(ctx context.Context) {
	wait := backoff.New(backoff.Policy{Min: s.syncs.Pause(), Max: maxRereading})
	for {
		if len(s.volume.Unread.Names()) == 0 || wait.Wait(ctx) != nil {
			return
		}
		s.loadUnread()
	}
}

// report reports whether the recording disk is well, or what is wrong with it.
func (s *Store) report(err error) {
	if err == nil {
		if s.health.OK(health.ScopeDisk) {
			logevent.DiskRecovered.Log(s.log)
		}
		return
	}
	fault := health.FaultOf(err, CodeDisk)
	if s.health.Report(health.ScopeDisk, health.Degraded, fault) {
		logevent.Condition(s.log, fault)
	}
}

// InDoubt reports whether a sync of the file failed, so that data written to it may be lost and has to be written again,
// which Seal begins: new media should be recorded to a new segment.
func (w *Writer) InDoubt() bool { return w.file.InDoubt() }

// sync makes written data durable when it is due: a flush at once, everything else after interval at the latest. A file of
// which a sync failed is not synced again, as that would prove nothing.
func (w *Writer) sync(interval time.Duration) error {
	w.mu.Lock()
	due := w.unsynced && (w.urgent || time.Since(w.synced) >= interval)
	if w.shown.Finished() || !due || w.InDoubt() {
		w.mu.Unlock()
		return nil
	}
	w.unsynced, w.urgent = false, false
	w.synced = time.Now()
	flushed := w.shown.Flushed()
	w.mu.Unlock()
	err := w.file.Sync()
	if errors.Is(err, os.ErrClosed) {
		return nil // sealed meanwhile, and thereby synced
	}
	if err != nil {
		w.stream.Doubts.Add(w.key.ID())
	} else {
		w.shown.Sync(flushed)
	}
	return volume.Fault(w.stream.Dir, err)
}
