package sitewise

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// TagHub is the tag of streams that the agent creates: the thing of the hub that created it.
const TagHub = "kvs-edge:hub"

// codeStream says that a stream does not exist and cannot be created.
const codeStream = "sitewise-stream"

const scopeStream health.Scope = "sitewise-stream"

const (
	streamRetry = 10 * time.Second
	streamMost  = 5 * time.Minute
)

// StreamOptions of Streams. All are required.
type StreamOptions struct {
	Source *Source
	// Ensure creates a stream that does not exist, and returns when it is active.
	Ensure func(ctx context.Context, stream string) (created bool, err error)
	// Meaning says what an error of Ensure means, and which right is missing by it.
	Meaning func(err error) (meaning awserr.Error, right string)
	Health  *health.Registry
	Log     *zap.Logger
}

// EnsureStreams creates the streams of the cameras that do not exist, until ctx ends.
func EnsureStreams(ctx context.Context, o StreamOptions) {
	changes, stop := o.Source.Changed()
	defer stop()
	done := make(map[string]bool)
	wait := backoff.New(backoff.Policy{Min: streamRetry, Max: streamMost})
	for ctx.Err() == nil {
		failed := false
		cameras := o.Source.Cameras()
		for _, c := range cameras {
			if done[c.Stream] || ctx.Err() != nil {
				continue
			}
			created, err := o.Ensure(ctx, c.Stream)
			if ctx.Err() != nil {
				return
			}
			done[c.Stream] = err == nil
			failed = failed || err != nil
			o.reportStream(c.Stream, created, err)
		}
		for stream := range done { // one that is configured later may have been deleted meanwhile
			if !slices.ContainsFunc(cameras, func(c Camera) bool { return c.Stream == stream }) {
				delete(done, stream)
				o.Health.Component(stream, health.JobConfig).OK(scopeStream)
			}
		}
		again := time.NewTimer(time.Hour)
		if failed {
			again.Reset(wait.Next())
		} else {
			wait.Reset()
		}
		select {
		case <-changes:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
	}
}

// reportStream reports whether a stream exists now.
func (o StreamOptions) reportStream(stream string, created bool, err error) {
	component := o.Health.Component(stream, health.JobConfig)
	if err == nil {
		component.OK(scopeStream)
		if created {
			logevent.StreamCreated.Log(o.Log, zap.String("stream", stream))
		}
		return
	}
	fault := o.streamFault(stream, err)
	if component.Report(scopeStream, health.Degraded, fault) {
		logevent.Condition(o.Log, fault, zap.String("stream", stream))
	}
}

func (o StreamOptions) streamFault(stream string, err error) *health.Fault {
	m, right := o.Meaning(err)
	const meanwhile = "it is recorded, and not uploaded before the stream exists"
	switch {
	case m.RightMissing():
		return health.UserFault(codeStream, err, "Stream %s cannot be looked for or created (%s): allow the hub's role %s, or create the stream.",
			stream, meanwhile, right)
	case m.Kind == awserr.Limit:
		return health.UserFault(codeStream, err, "Stream %s cannot be created, as the account has as many streams as it may have (%s): have the "+
			"quota raised, or delete streams that nobody needs.", stream, meanwhile)
	case m.Kind == awserr.Unreachable:
		return health.SystemFault(codeStream, err, "Kinesis Video Streams cannot be reached to look whether stream %s exists; the agent keeps "+
			"trying.", stream)
	default:
		return health.SystemFault(codeStream, err, "Stream %s cannot be created (%s), as Kinesis Video Streams answers with HTTP status %d %s; "+
			"the agent keeps trying.", stream, meanwhile, m.Status, m.Name)
	}
}
