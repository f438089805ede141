package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// In a rest the agent does the same each time: it records and uploads all streams, and nothing else happens. What it holds then can
// be compared with what it held in other rests, to a few descriptors; beside all that happens at random it cannot.
const (
	// calm is until connections that nobody uses are closed, on either side: 90 s.
	calm = 100 * time.Second
	// restLength is how long the agent is sampled in a rest.
	restLength = time.Minute
	// calmBacklog is what is left to upload, in bytes, where uploads follow the recordings: two segments of each stream.
	calmBacklog = 3_000_000
)

// rest ends all that is wrong, waits until the agent does what it does without that, and samples it.
func (s *soak) rest(ctx context.Context) {
	s.rests++
	s.endFaults()
	if err := s.likeAtFirst(ctx); err != nil && ctx.Err() == nil {
		s.found("rest %d: %v", s.rests, err)
	}
	s.await(ctx, fmt.Sprintf("the end of all conditions in rest %d", s.rests), s.healthy)
	s.await(ctx, fmt.Sprintf("the upload of the backlog in rest %d", s.rests), s.followed)
	s.http.CloseIdleConnections()
	s.watchFor(ctx, calm, 0)
	s.watchFor(ctx, restLength, s.rests)
}

// likeAtFirst has the settings of the start, and all streams configured and uploading without pause.
func (s *soak) likeAtFirst(ctx context.Context) error {
	s.firstSettings()
	if err := s.writeSettings(); err != nil {
		return err
	}
	if _, err := s.api.Reload(ctx); err != nil {
		return err
	}
	return s.eachCamera(ctx, func(ctx context.Context, c *camera) error {
		config := s.configuration(c)
		config.UploaderConfig = &edgeconfig.UploaderConfig{ScheduleConfig: &always}
		return s.configure(ctx, c.stream, config)
	})
}

// reopenWindows has the streams that upload in windows do so again.
func (s *soak) reopenWindows(ctx context.Context) {
	err := s.eachCamera(ctx, func(ctx context.Context, c *camera) error {
		if c.upload == always {
			return nil
		}
		return s.configure(ctx, c.stream, s.configuration(c))
	})
	if err != nil && ctx.Err() == nil {
		s.found("after rest %d: %v", s.rests, err)
	}
}

func (s *soak) watchFor(ctx context.Context, length time.Duration, rest int) {
	ctx, cancel := context.WithTimeout(ctx, s.short(length))
	defer cancel()
	s.watch(ctx, rest)
}

// followed returns how much is left to upload, where that is more than uploads are behind.
func (s *soak) followed(ctx context.Context) error { return s.leftAtMost(ctx, calmBacklog) }
