package segment

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Run makes what is written durable every FlushInterval, one segment after the other, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.report(errors.Join(s.syncWriters(ctx), s.SyncProgress()))
		}
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
		if err := w.sync(); err != nil {
			all = errors.Join(all, diskFault(w.stream.dir, err))
		}
	}
	return all
}

func (s *Store) report(err error) {
	if err == nil {
		if s.health.Clear(CodeDisk) {
			s.log.Info("the recording disk serves again")
		}
		return
	}
	fault := health.FaultOf(err, CodeDisk)
	if s.health.Raise(health.Degraded, fault) {
		s.log.Error("the recording disk fails", zap.Error(fault), zap.NamedError("cause", fault.Err))
	}
}
