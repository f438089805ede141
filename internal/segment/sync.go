package segment

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Run makes what is written durable, one segment after the other: what was flushed at once, all
// else within FlushInterval. It finishes segments that a failing disk left, and takes in streams
// that could not be read, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	var reading sync.WaitGroup // beside the syncs: a disk that fails takes its time to say so
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
	beside("Recovering recordings", s.recoverPostponed) // what was too much to read before the first camera could be recorded
	ticker := time.NewTicker(s.flushInterval())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.flushed.C(): // cameras flush at moments of their own, which staggers the syncs
			if err := s.syncWriters(ctx); err != nil {
				s.report(err)
			}
		case <-s.paced.C():
			ticker.Reset(s.flushInterval())
		case <-ticker.C:
			s.report(errors.Join(s.syncWriters(ctx), s.SyncProgress(), s.repairBroken()))
			s.keepGaps()
			s.keepClocks()
		}
	}
}

// SetFlushInterval changes Options.FlushInterval, which must be above 0, while the store is in use.
func (s *Store) SetFlushInterval(interval time.Duration) {
	s.interval.Store(int64(interval))
	s.paced.Set()
}

func (s *Store) flushInterval() time.Duration { return time.Duration(s.interval.Load()) }

// maxRereading is the longest pause between two tries to read a stream's directory.
const maxRereading = time.Minute

// keepReading reads what Open could not, until there is nothing left of it.
func (s *Store) keepReading(ctx context.Context) {
	wait := backoff.New(backoff.Policy{Min: s.flushInterval(), Max: maxRereading})
	for {
		if len(s.unread.Names()) == 0 || wait.Wait(ctx) != nil {
			return
		}
		s.loadUnread()
	}
}

// syncWriters syncs the open segments in turn, so that they never wait for the disk together.
func (s *Store) syncWriters(ctx context.Context) error {
	s.mu.Lock()
	writers := slices.Collect(maps.Keys(s.writers))
	s.mu.Unlock()
	var all error
	for _, w := range writers {
		if ctx.Err() != nil {
			break
		}
		if err := w.sync(s.flushInterval()); err != nil {
			all = errors.Join(all, volume.Fault(w.stream.Dir, err))
		}
	}
	return all
}

// InDoubt reports whether a sync of the file failed, so that what was written to it may be lost and has to
// be written again, which Seal begins: new media is better off in a new segment.
func (w *Writer) InDoubt() bool { return w.file.InDoubt() }

// sync makes what was written durable, when it is due: a flush is not kept waiting, and nothing
// waits longer than interval. A file in doubt is not synced any more: it would prove nothing.
func (w *Writer) sync(interval time.Duration) error {
	w.mu.Lock()
	due := w.unsynced && (w.urgent || time.Since(w.synced) >= interval)
	if w.shown.Finished() || !due || w.InDoubt() {
		w.mu.Unlock()
		return nil
	}
	w.unsynced, w.urgent = false, false
	w.synced = time.Now()
	w.mu.Unlock()
	err := w.file.Sync()
	if errors.Is(err, os.ErrClosed) {
		return nil // sealed in between, and thereby synced
	}
	if err != nil {
		w.stream.Doubts.Add(w.key.ID())
	}
	return err
}

func (s *Store) report(err error) {
	if err == nil {
		if s.health.OK(health.ScopeDisk) {
			s.log.Info("the recording disk recovered")
		}
		return
	}
	fault := health.FaultOf(err, CodeDisk)
	if s.health.Report(health.ScopeDisk, health.Degraded, fault) {
		s.log.Error("the recording disk fails", zap.String("code", fault.Code), zap.Error(fault), zap.NamedError("cause", fault.Err))
	}
}
