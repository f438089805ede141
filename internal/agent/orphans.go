package agent

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// codeStream is that of streams that cannot be deleted as a person wishes.
const codeStream = "stream"

// policyText says in a few words what is kept of a stream.
func (a *Agent) policyText(stream string) string {
	policy, known := a.retention.PolicyOf(stream)
	if !known {
		return policy.String() + ", the default"
	}
	return policy.String()
}

// deleteOrphan deletes the media of a stream that is not configured. An error is a sentence for whoever asked.
func (a *Agent) deleteOrphan(ctx context.Context, stream string) (status.DeletedStream, error) {
	if !a.retention.Known() {
		return status.DeletedStream{}, health.SystemFault(codeStream, nil,
			"It is not known yet which streams are configured for this hub, so none is deleted: wait until the cloud has answered; "+
				"`kvs-edge-agent status` says whether it does.")
	}
	return a.streams.removeOrphan(ctx, stream)
}

// removeOrphan deletes the media of a stream without a configuration.
func (s *streams) removeOrphan(ctx context.Context, name string) (done status.DeletedStream, err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.get(name) != nil {
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
	if err := s.deleteMedia(ctx, name); err != nil {
		return done, err
	}
	s.workers.log.Warn("the recordings of a stream that is not configured were deleted on request", zap.String("stream", name),
		zap.Int("segments", usage.Segments), zap.Int64("bytes", usage.Bytes), zap.Int64("bytesNotUploaded", usage.PendingBytes))
	return status.DeletedStream{Stream: name, Segments: usage.Segments, Bytes: usage.Bytes}, nil
}

// deleteMedia deletes all media of a stream and forgets what is known of it.
func (s *streams) deleteMedia(ctx context.Context, name string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.deleting(cancel) {
		return health.SystemFault(codeStream, nil, "The agent stops: delete stream %s once it runs again.", name)
	}
	defer s.deleting(nil)
	if err := s.workers.media.DeleteStream(ctx, name); err != nil {
		return fmt.Errorf("cannot delete the media of stream %s: %w", name, err)
	}
	s.workers.retention.Forget(name)
	s.workers.health.RemoveStream(name)
	return nil
}

// deleting notes how the deletion under way is broken off, nil once it has ended. It is false when none may begin.
// Call with applying held, so that there is one at a time.
func (s *streams) deleting(cancelDelete func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelDelete = cancelDelete
	return !s.stopping
}

func (s *streams) isStopping() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stopping
}

// stopDeleting breaks the deletion of media off and lets no other begin: that of a large stream takes minutes on a
// slow disk, and what is left of it is deleted after the next start.
func (s *streams) stopDeleting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	if s.cancelDelete != nil {
		s.cancelDelete()
	}
}
