package kvsconfig

import (
	"slices"
	"time"

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

	// The ones that only the control plane gives.
	syncing  = "SYNCING"
	deleting = "DELETING"
)

// SyncStatus says how the configuration of a stream fares.
type SyncStatus struct {
	StreamName, StreamARN string
	Status                string
	FailedStatusDetails   string    // a sentence for people; empty when there is nothing to say
	LastUpdated           time.Time // of the version that it is about; zero when that is not known
}

// maxDetails bounds FailedStatusDetails.
const maxDetails = 1000

func shorten(s string) string { return health.Clean(s, maxDetails) }

// publishStatus notes and sends a status.
func (s *Syncer) publishStatus(status SyncStatus) {
	s.statuses[status.StreamName] = status
	s.forgetStrangers(status.StreamName)
	s.o.Publish(status)
}

// repeatStatus sends a stream's last status again. With a time, that rendering of LastUpdatedTime
// is the one to answer with from now on.
func (s *Syncer) repeatStatus(stream string, at time.Time) bool {
	status, ok := s.statuses[stream]
	if !ok {
		return false
	}
	if !at.IsZero() {
		status.LastUpdated = at
	}
	s.publishStatus(status)
	return true
}

// maxStrangers bounds the streams of which something is remembered although they have no configuration for this hub.
const maxStrangers = 1000

// forgetStrangers forgets the statuses and refusals of the streams that were not heard of for the longest time, when there
// are too many without a configuration: messages may name any.
func (s *Syncer) forgetStrangers(but string) {
	if len(s.statuses) <= len(s.desired.streams)+maxStrangers {
		return
	}
	var strangers []string
	for name := range s.statuses {
		if s.desired.streams[name] == nil && name != but {
			strangers = append(strangers, name)
		}
	}
	slices.SortFunc(strangers, func(a, b string) int {
		return s.statuses[a].LastUpdated.Compare(s.statuses[b].LastUpdated)
	})
	for _, name := range strangers[:max(0, len(strangers)-maxStrangers/2)] {
		delete(s.statuses, name)
		s.conditions.acceptable(name)
	}
}
