package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// storm adds, changes and removes streams, one upon the other.
func (s *soak) storm(ctx context.Context, random *rand.Rand) error {
	var failed error
	for range 6 {
		c := s.pick(random, func(c *camera) bool { return c.storm })
		if c.goes && random.IntN(2) == 0 {
			failed = errors.Join(failed, s.remove(ctx, c))
		} else {
			failed = errors.Join(failed, s.change(ctx, c, random))
		}
		_ = s.pause(ctx, between(random, 0, 4*time.Second))
	}
	return failed
}

// deletionWithin is how long the hub may take to know that a configuration is deleted: as long as lines are cut.
const deletionWithin = 4 * time.Minute

// remove deletes the configuration of a stream; the hub then deletes its media, uploaded or not.
func (s *soak) remove(ctx context.Context, c *camera) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s.strike(c.stream)
	c.mu.Lock()
	c.purged = time.Now().Add(deletionWithin)
	c.mu.Unlock()
	return s.user.Unconfigure(ctx, c.stream)
}

// change configures a stream with other limits and windows.
func (s *soak) change(ctx context.Context, c *camera, random *rand.Rand) error {
	config := s.configuration(c)
	upload := *config.UploaderConfig.ScheduleConfig
	if c.storm && random.IntN(3) == 0 {
		upload.ScheduleExpression, upload.DurationInSeconds = "0 0/5 * * * ? *", 60+60*random.IntN(4)
	}
	config.UploaderConfig.ScheduleConfig = &upload
	deletion := c.deletion
	if hours := *deletion.EdgeRetentionInHours; hours > 1 { // what is deleted by age stays, so that the disk is flat
		hours += random.IntN(2)
		deletion.EdgeRetentionInHours = &hours
	}
	if random.IntN(2) == 0 {
		config.RecorderConfig.ScheduleConfig = &always
	}
	config.DeletionConfig = &deletion
	return s.configure(ctx, c.stream, config)
}

// reconfigure changes the configuration of a stream that stays.
func (s *soak) reconfigure(ctx context.Context, random *rand.Rand) error {
	return s.change(ctx, s.pick(random, lastingCamera), random)
}

// cutLine has all connections to the cloud reset, and refused for a while.
func (s *soak) cutLine(ctx context.Context, random *rand.Rand) error {
	s.strike("")
	s.cloud.Faults().CutOff()
	defer s.cloud.Faults().Restore()
	_ = s.pause(ctx, between(random, time.Second, 150*time.Second))
	return nil
}

// stopMedia has the data plane down, for one stream or for all.
func (s *soak) stopMedia(ctx context.Context, random *rand.Rand) error {
	stream := ""
	if random.IntN(2) == 0 {
		stream = s.pick(random, anyCamera).stream
	}
	s.strike(stream)
	faults := s.cloud.Media().Faults()
	faults.Down(stream)
	defer faults.Up(stream)
	_ = s.pause(ctx, between(random, time.Second, 90*time.Second))
	return nil
}

// mediaFault has one session, or a few, fail in one of the ways that the service has.
func (s *soak) mediaFault(ctx context.Context, random *rand.Rand) error {
	const internalError, archivalError = 5000, 5001
	points := []media.Point{media.BeforeBody, media.AtFragmentStart, media.MidFragment, media.AfterReceived, media.AfterStored}
	point := points[random.IntN(len(points))]
	faults := []media.Fault{
		media.Refuse(http.StatusInternalServerError, "").Times(2),
		media.Refuse(http.StatusServiceUnavailable, "ServiceUnavailableException").Times(1),
		media.ErrorAt(media.AtFragmentStart, internalError).Times(1),
		media.ErrorAt(media.AfterReceived, archivalError).Times(1),
		media.ResetAt(point).Times(1),
		media.BlackHoleAt(point).Times(1),
		media.DelayPersisted(3 * time.Second).Times(10),
		media.Slow(40_000).Times(1),
	}
	stream := s.pick(random, anyCamera).stream
	s.strike(stream)
	injected := s.cloud.Media().Faults().Inject(stream, faults[random.IntN(len(faults))])
	defer injected.Clear()
	_ = s.pause(ctx, between(random, 30*time.Second, 2*time.Minute))
	return nil
}

// refuseOperation has an operation of the control plane fail.
func (s *soak) refuseOperation(ctx context.Context, random *rand.Rand) error {
	operations := []string{
		"DescribeStream", "GetDataEndpoint", "ListTagsForStream", "ListEdgeAgentConfigurations", "DescribeEdgeConfiguration",
		"GetSecretValue", "PutMetricData",
	}
	operation := operations[random.IntN(len(operations))]
	s.cloud.Faults().RefuseOperation(operation, http.StatusInternalServerError, "InternalFailure")
	defer s.cloud.Faults().RefuseOperation(operation, 0, "")
	_ = s.pause(ctx, between(random, time.Second, 2*time.Minute))
	return nil
}

// endFaults has everything work again. What is under way was ended with the context of the deeds.
func (s *soak) endFaults() {
	s.cloud.Faults().Restore()
	s.cloud.Media().Faults().Clear()
	for _, c := range s.cameras {
		_ = c.Plug() // one that cannot be plugged in shows as a condition
		c.Resume()
		c.Mute(false)
	}
}
