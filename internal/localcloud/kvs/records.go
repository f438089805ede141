package kvs

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// Streams are the streams as they are kept on disk, by name.
type Streams map[string]*streamRecord

type streamRecord struct {
	Name           string            `json:"name"`
	ARN            string            `json:"arn"`
	Version        string            `json:"version"`
	Created        time.Time         `json:"created"`
	RetentionHours int               `json:"retention_hours"`
	DeviceName     string            `json:"device_name,omitempty"`
	MediaType      string            `json:"media_type,omitempty"`
	KmsKeyID       string            `json:"kms_key_id,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Edge           *edgeRecord       `json:"edge,omitempty"`

	Status       string              `json:"status,omitempty"` // "" = ACTIVE; another one until Settles
	Settles      time.Time           `json:"settles,omitzero"`
	Tiers        []tierPeriod        `json:"tiers,omitempty"` // in their order; HOT before the first
	Images       *imageGeneration    `json:"images,omitempty"`
	Notification *notificationConfig `json:"notification,omitempty"`
}

type edgeRecord struct {
	Config   edgeconfig.EdgeConfig `json:"config"`
	Thing    string                `json:"thing"` // of the hub
	Created  time.Time             `json:"created"`
	Updated  time.Time             `json:"updated"`
	Status   string                `json:"status"`
	Details  string                `json:"details,omitempty"`
	Recorder *jobRecord            `json:"recorder,omitempty"`
	Uploader *jobRecord            `json:"uploader,omitempty"`

	sent time.Time // when it was last published
}

type jobRecord struct {
	Status    string    `json:"status"`
	Details   string    `json:"details,omitempty"`
	Collected time.Time `json:"collected"`
	Updated   time.Time `json:"updated"`
}
