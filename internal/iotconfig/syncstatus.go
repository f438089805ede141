package iotconfig

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// syncStatus is the payload of config/status.
type syncStatus struct {
	StreamName          string           `json:"StreamName"`
	StreamARN           string           `json:"StreamARN,omitempty"`
	SyncStatus          string           `json:"SyncStatus"`
	FailedStatusDetails string           `json:"FailedStatusDetails,omitempty"`
	LastUpdatedTime     edgeconfig.Epoch `json:"LastUpdatedTime,omitzero"`
	Time                edgeconfig.Epoch `json:"Time"`
}

func syncDocument(s edgeconfig.SyncStatus, now time.Time) syncStatus {
	return syncStatus{
		StreamName: s.StreamName, StreamARN: s.StreamARN, SyncStatus: s.Status, FailedStatusDetails: s.FailedStatusDetails,
		LastUpdatedTime: edgeconfig.Epoch{Time: s.LastUpdated}, Time: inMilliseconds(now),
	}
}

// inMilliseconds is a time as statuses have it.
func inMilliseconds(t time.Time) edgeconfig.Epoch {
	return edgeconfig.Epoch{Time: t.UTC().Truncate(time.Millisecond)}
}
