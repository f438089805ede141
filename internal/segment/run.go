package segment

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
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
	reading.Go(func() {
		o := supervise.Options{What: "Reading the recordings", Part: s.health, Log: s.log}
		_ = supervise.Keep(ctx, o, func(ctx context.Context) error { s.keepReading(ctx); return nil })
	})
	reading.Go(func() {
		o := supervise.Options{What: "Watching the recording directory", Part: s.health, Log: s.log}
		_ = supervise.Keep(ctx, o, func(ctx context.Context) error { s.watchDirectories(ctx); return nil })
	})
	reading.Go(func() { // what was too much to read before the first camera could be recorded
		o := supervise.Options{What: "Recovering recordings", Part: s.health, Log: s.log}
		_ = supervise.Keep(ctx, o, func(ctx context.Context) error { s.recoverPostponed(ctx); return nil })
	})
	ticker := time.NewTicker(s.flushInterval())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.flushed: // cameras flush at moments of their own, which staggers the syncs
			if err := s.syncWriters(ctx); err != nil {
				s.report(err)
			}
		case <-s.paced:
			ticker.Reset(s.flushInterval())
		case <-ticker.C:
			s.report(errors.Join(s.syncWriters(ctx), s.SyncProgress(), s.mendBroken()))
			s.keepGaps()
			s.keepClocks()
		}
	}
}

// SetFlushInterval changes Options.FlushInterval, which must be above 0, while the store is in use.
func (s *Store) SetFlushInterval(interval time.Duration) {
	s.interval.Store(int64(interval))
	select {
	case s.paced <- struct{}{}:
	default:
	}
}

func (s *Store) flushInterval() time.Duration { return time.Duration(s.interval.Load()) }

// maxRereading is the longest pause between two tries to read a stream's directory.
const maxRereading = time.Minute

// keepReading reads what Open could not, until there is nothing left of it.
func (s *Store) keepReading(ctx context.Context) {
	wait := backoff.New(backoff.Policy{Min: s.flushInterval(), Max: maxRereading})
	for {
		s.mu.Lock()
		left := len(s.unread)
		s.mu.Unlock()
		if left == 0 || wait.Wait(ctx) != nil {
			return
		}
		s.loadUnread()
	}
}

// syncWriters syncs the open segments in turn, so that they never wait for the disk together.
func (s *Store) syncWriters(ctx context.Context) error {
	s.mu.Lock()
	var writers []*Writer
	for _, st := range s.streams {
		for _, a := range st.active {
			if a.writer != nil {
				writers = append(writers, a.writer)
			}
		}
	}
	s.mu.Unlock()
	var all error
	for _, w := range writers {
		if ctx.Err() != nil {
			break
		}
		if err := w.sync(s.flushInterval()); err != nil {
			all = errors.Join(all, diskFault(w.stream.dir, err))
		}
	}
	return all
}

// mendBroken finishes the segments whose writers had to give them up. They stay among the broken
// meanwhile: what is acknowledged of them just then is noted like that of any other.
func (s *Store) mendBroken() error { return s.mendWhile(func() bool { return true }) }

// mendWhile is mendBroken for as long as goOn says so before each segment.
func (s *Store) mendWhile(goOn func() bool) error {
	if !s.mending.TryLock() {
		return nil // Run comes back to what is not being mended now
	}
	defer s.mending.Unlock()
	s.mu.Lock()
	broken := make(map[*stream][]layout.ID)
	for _, st := range s.streams {
		if len(st.catalog.Broken) > 0 && !st.deleting {
			broken[st] = slices.Clone(st.catalog.Broken)
		}
	}
	s.mu.Unlock()
	var all error
	for st, list := range broken {
		for _, k := range list {
			if goOn() {
				all = errors.Join(all, s.mend(st, k))
			}
		}
	}
	return all
}

// recoverPostponed recovers what Open left.
func (s *Store) recoverPostponed(ctx context.Context) {
	if err := s.mendWhile(func() bool { return ctx.Err() == nil }); err != nil {
		s.report(err)
	}
}

// mend finishes a segment. When it fails the segment stays among the broken.
func (s *Store) mend(st *stream, k layout.ID) error {
	e, err := s.recoverFile(st, k)
	mended := err == nil
	var disk *health.Fault
	switch {
	case mended:
	case errors.Is(err, errLater):
		return nil
	case errors.Is(err, mkv.ErrEmpty):
		err = nil
	case errors.Is(err, fs.ErrNotExist):
		err = s.streamPresent(st) // the file is not gone when its disk is
	case !errors.As(err, &disk):
		err = s.setAside(st, layout.WritingName(k), err)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	st.catalog.Broken = slices.DeleteFunc(st.catalog.Broken, func(other layout.ID) bool { return other == k })
	if mended {
		st.catalog.Insert(e)
		st.catalog.SetClock(st.catalog.Clock) // it may be of an epoch that has ended since
		st.recheck()
		st.changed()
	}
	s.mu.Unlock()
	s.noDoubt(st, k)
	if !mended {
		return nil
	}
	return diskFault(st.dir, st.sync())
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
		s.log.Error("the recording disk fails", zap.Error(fault), zap.NamedError("cause", fault.Err))
	}
}
