package agent

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
)

// orphans are the streams with recordings that are not configured for this hub.
type orphans struct {
	streams *streams
	sources *precedence.Sources
}

// policyText says in a few words what is kept of a stream.
func (a *Agent) policyText(stream string) string {
	policy, known := a.retention.PolicyOf(stream)
	text := policy.Describe(a.settings().DeletesAudited())
	if known {
		return text
	}
	return text + ", the default"
}

// delete deletes the media of a stream that is not configured. An error is a sentence for the caller's user.
func (o orphans) delete(ctx context.Context, stream string) (localapi.DeletedStream, error) {
	if await := o.sources.Unknown(stream); await != "" && o.streams.get(stream) == nil {
		return localapi.DeletedStream{}, health.SystemFault(codeStream, nil,
			"It is not known yet whether stream %s is configured for this hub, so it is not deleted: %s; `kvs-edge-agent status` says more.",
			stream, await)
	}
	return o.streams.removeOrphan(ctx, stream, o.sources.Deletion)
}

// removeOrphan deletes the media of a stream without a configuration. refusal says why that of another is not deleted.
func (s *streams) removeOrphan(ctx context.Context, name string, refusal func(desired.Stream) string) (done localapi.DeletedStream,
	err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if st := s.get(name); st != nil {
		return done, health.UserFault(codeStream, nil, "%s", refusal(st.wanted))
	}
	if !s.workers.media.Holds(name) {
		recorded := s.workers.media.Streams()
		return done, health.UserFault(codeStream, nil, "There are no recordings of a stream %s that is not configured; there are those of: %s.",
			name, humanize.List(slices.DeleteFunc(slices.Clone(recorded), func(n string) bool { return s.get(n) != nil })))
	}
	usage := s.workers.media.Usage(name)
	if err := s.deletion.run(ctx, name); err != nil {
		return done, err
	}
	logevent.RecordingsDeleted.Log(s.workers.log, zap.String("stream", name),
		zap.Int("segments", usage.Segments), zap.Int64("bytes", usage.Bytes), zap.Int64("bytesNotUploaded", usage.PendingBytes))
	return localapi.DeletedStream{Stream: name, Segments: usage.Segments, Bytes: usage.Bytes}, nil
}
