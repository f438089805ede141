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
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
)

// orphans are the streams with recordings that are not configured for this hub.
type orphans struct {
	streams *streams
	known   func() bool // whether the configurations are known
}

// policyText says in a few words what is kept of a stream.
func policyText(keeper *retention.Keeper, stream string) string {
	policy, known := keeper.PolicyOf(stream)
	if !known {
		return policy.String() + ", the default"
	}
	return policy.String()
}

// delete deletes the media of a stream that is not configured. An error is a sentence for the caller's user.
func (o orphans) delete(ctx context.Context, stream string) (localapi.DeletedStream, error) {
	if !o.known() {
		return localapi.DeletedStream{}, health.SystemFault(codeStream, nil,
			"It is not known yet which streams are configured for this hub, so none is deleted: wait until the cloud has answered; "+
				"`kvs-edge-agent status` says whether it does.")
	}
	return o.streams.removeOrphan(ctx, stream)
}

// removeOrphan deletes the media of a stream without a configuration.
func (s *streams) removeOrphan(ctx context.Context, name string) (done localapi.DeletedStream, err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	switch st := s.get(name); {
	case st != nil && st.wanted.Origin == desired.File:
		return done, health.UserFault(codeStream, nil,
			"Stream %s is configured for this hub by a stream file: remove that first, and 10 s later the stream's recordings can be deleted.", name)
	case st != nil:
		return done, health.UserFault(codeStream, nil,
			"Stream %s is configured for this hub: delete its edge configuration (aws kinesisvideo delete-edge-configuration --stream-name %s), "+
				"which deletes its recordings too.", name, name)
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
