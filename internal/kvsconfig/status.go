package kvsconfig

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The sync statuses that are published. Source: KVS API, SyncStatus; Deleted is ours and says
// that the media is gone and the record may go.
const (
	Acknowledged         = "ACKNOWLEDGED"
	InSync               = "IN_SYNC"
	SyncFailed           = "SYNC_FAILED"
	DeletingAcknowledged = "DELETING_ACKNOWLEDGED"
	DeleteFailed         = "DELETE_FAILED"
	Deleted              = "DELETED"

	// The ones that only the control plane has.
	syncing  = "SYNCING"
	deleting = "DELETING"
)

// SyncStatus says how the configuration of a stream fares; its Status is one of those above.
type SyncStatus = edgeconfig.SyncStatus

// maxDetails bounds FailedStatusDetails.
const maxDetails = 1000

func shorten(s string) string { return health.Clean(s, maxDetails) }

// statuses are those that were published of each stream, to be published again. One goroutine changes them, and reads
// last without mu.
type statuses struct {
	send func(SyncStatus)

	mu   sync.Mutex
	last map[string]SyncStatus // changes are guarded by mu
}

func newStatuses(send func(SyncStatus)) *statuses {
	return &statuses{last: make(map[string]SyncStatus), send: send}
}

// publish notes and sends a status.
func (s *statuses) publish(status SyncStatus) {
	s.mu.Lock()
	s.last[status.StreamName] = status
	s.mu.Unlock()
	s.send(status)
}

// forget drops what was published of a stream.
func (s *statuses) forget(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, stream)
}

// Sync says how the configuration of a stream fares; zero while that is not known. It is safe for concurrent use.
func (s *Syncer) Sync(stream string) SyncStatus {
	s.statuses.mu.Lock()
	defer s.statuses.mu.Unlock()
	return s.statuses.last[stream]
}

// Deletion says why the media of a stream that the cloud wants cannot be deleted, and how it can: a sentence for people.
func (s *Syncer) Deletion(stream string) string {
	return fmt.Sprintf("Stream %s is configured for this hub: delete its edge configuration (aws kinesisvideo delete-edge-configuration "+
		"--stream-name %s), which deletes its recordings too.", stream, stream)
}

// repeat sends a stream's last status again. With a time, that rendering of LastUpdated is the one to answer with from
// now on.
func (s *statuses) repeat(stream string, at time.Time) bool {
	status, ok := s.last[stream]
	if !ok {
		return false
	}
	if !at.IsZero() {
		status.LastUpdated = at
	}
	s.publish(status)
	return true
}

// publishStatus notes and sends a status.
func (s *Syncer) publishStatus(status SyncStatus) {
	s.statuses.publish(status)
	s.forgetStrangers(status.StreamName)
}

// maxStrangers bounds the streams of which something is remembered although they have no configuration for this hub.
const maxStrangers = 1000

// forgetStrangers forgets the oldest statuses and refusals of streams without a configuration when there are too many:
// messages may name any stream.
func (s *Syncer) forgetStrangers(but string) {
	if len(s.statuses.last) <= len(s.versions.streams)+maxStrangers {
		return
	}
	var strangers []string
	for name := range s.statuses.last {
		if s.versions.streams[name] == nil && name != but {
			strangers = append(strangers, name)
		}
	}
	slices.SortFunc(strangers, func(a, b string) int {
		return s.statuses.last[a].LastUpdated.Compare(s.statuses.last[b].LastUpdated)
	})
	for _, name := range strangers[:max(0, len(strangers)-maxStrangers/2)] {
		s.statuses.forget(name)
		s.conditions.acceptable(name)
	}
}
