package segment

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
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
	ticker := time.NewTicker(s.syncs.pause())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.syncs.asked.C(): // cameras flush at moments of their own, which staggers the syncs
			if err := s.syncs.run(ctx); err != nil {
				s.report(err)
			}
		case <-s.syncs.paced.C():
			ticker.Reset(s.syncs.pause())
		case <-ticker.C:
			s.report(errors.Join(s.syncs.run(ctx), s.SyncProgress(), s.repairBroken()))
			s.keepGaps()
			s.keepClocks()
		}
	}
}

// SetFlushInterval changes Options.FlushInterval, which must be above 0, while the store is in use.
func (s *Store) SetFlushInterval(interval time.Duration) { s.syncs.setPause(interval) }

// maxRereading is the longest pause between two tries to read a stream's directory.
const maxRereading = time.Minute

// keepReading reads what Open could not, until there is nothing left of it.
func (s *Store) keepReading(ctx context.Context) {
	wait := backoff.New(backoff.Policy{Min: s.syncs.pause(), Max: maxRereading})
	for {
		if len(s.volume.Unread.Names()) == 0 || wait.Wait(ctx) != nil {
			return
		}
		s.loadUnread()
	}
}

// report says how the recording disk is: well, or what is wrong with it.
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
