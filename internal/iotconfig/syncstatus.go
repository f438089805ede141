package iotconfig

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// SyncStatus says how the configuration of a stream fares.
type SyncStatus struct {
	StreamName, StreamARN string
	Status                string    // a SyncStatus of the KVS API
	FailedStatusDetails   string    // a sentence for people; empty when there is nothing to say
	LastUpdated           time.Time // of the version that it is about; zero when that is not known
}

// syncStatus is the payload of config/status.
type syncStatus struct {
	StreamName          string           `json:"StreamName"`
	StreamARN           string           `json:"StreamARN,omitempty"`
	SyncStatus          string           `json:"SyncStatus"`
	FailedStatusDetails string           `json:"FailedStatusDetails,omitempty"`
	LastUpdatedTime     edgeconfig.Epoch `json:"LastUpdatedTime,omitzero"`
	Time                edgeconfig.Epoch `json:"Time"`
}

func (s SyncStatus) document(now time.Time) syncStatus {
	return syncStatus{
		StreamName: s.StreamName, StreamARN: s.StreamARN, SyncStatus: s.Status, FailedStatusDetails: s.FailedStatusDetails,
		LastUpdatedTime: edgeconfig.Epoch{Time: s.LastUpdated}, Time: inMilliseconds(now),
	}
}

// inMilliseconds is a time as statuses have it.
func inMilliseconds(t time.Time) edgeconfig.Epoch {
	return edgeconfig.Epoch{Time: t.UTC().Truncate(time.Millisecond)}
}
