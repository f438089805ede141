// Package edgeconfig owns the EdgeConfig of a stream: the types with the KVS API's JSON names,
// their limits and defaults, and the validation that names every fault at once. It must not know
// where a configuration comes from or what is done with it.
package edgeconfig

import "time"

// EdgeConfig is what a hub is to do for one stream.
// Source: KVS API, StartEdgeConfigurationUpdate, EdgeConfig.
type EdgeConfig struct {
	HubDeviceArn   string          `json:"HubDeviceArn"`
	RecorderConfig RecorderConfig  `json:"RecorderConfig"`
	UploaderConfig *UploaderConfig `json:"UploaderConfig,omitempty"`
	DeletionConfig *DeletionConfig `json:"DeletionConfig,omitempty"`
}

// RecorderConfig says what is recorded and when; without a schedule always.
type RecorderConfig struct {
	MediaSourceConfig MediaSourceConfig `json:"MediaSourceConfig"`
	ScheduleConfig    *ScheduleConfig   `json:"ScheduleConfig,omitempty"`
}

// MediaSourceConfig names the camera: its URL is in a secret.
type MediaSourceConfig struct {
	MediaUriSecretArn string       `json:"MediaUriSecretArn"`
	MediaUriType      MediaURIType `json:"MediaUriType"`
}

// MediaURIType is the kind of source.
type MediaURIType string

// The kinds of source.
const (
	RTSP MediaURIType = "RTSP_URI"
	File MediaURIType = "FILE_URI"
)

// ScheduleConfig is a set of windows: each begins when the Quartz expression fires and lasts DurationInSeconds.
type ScheduleConfig struct {
	ScheduleExpression string `json:"ScheduleExpression"`
	DurationInSeconds  int    `json:"DurationInSeconds"`
}

// Duration of each window.
func (s ScheduleConfig) Duration() time.Duration {
	return time.Duration(s.DurationInSeconds) * time.Second
}

// UploaderConfig says when is uploaded; without a schedule every hour.
type UploaderConfig struct {
	ScheduleConfig *ScheduleConfig `json:"ScheduleConfig,omitempty"`
}

// DeletionConfig says what is kept on the hub's disk.
type DeletionConfig struct {
	EdgeRetentionInHours *int             `json:"EdgeRetentionInHours,omitempty"`
	LocalSizeConfig      *LocalSizeConfig `json:"LocalSizeConfig,omitempty"`
	DeleteAfterUpload    *bool            `json:"DeleteAfterUpload,omitempty"`
}

// LocalSizeConfig bounds the bytes that a stream takes on the hub's disk.
type LocalSizeConfig struct {
	MaxLocalMediaSizeInMB *int               `json:"MaxLocalMediaSizeInMB,omitempty"`
	StrategyOnFullSize    StrategyOnFullSize `json:"StrategyOnFullSize,omitempty"`
}

// StrategyOnFullSize is what happens at the size limit.
type StrategyOnFullSize string

// The strategies.
const (
	DeleteOldestMedia StrategyOnFullSize = "DELETE_OLDEST_MEDIA"
	DenyNewMedia      StrategyOnFullSize = "DENY_NEW_MEDIA"
)

// Retention is how long media is kept on the hub, by the age of its end.
func (c EdgeConfig) Retention() time.Duration {
	hours := DefaultRetentionHours
	if c.DeletionConfig != nil && c.DeletionConfig.EdgeRetentionInHours != nil {
		hours = *c.DeletionConfig.EdgeRetentionInHours
	}
	return time.Duration(hours) * time.Hour
}

// DeleteAfterUpload reports whether media may go once it is persisted in the cloud; by default it may.
func (c EdgeConfig) DeleteAfterUpload() bool {
	if c.DeletionConfig == nil || c.DeletionConfig.DeleteAfterUpload == nil {
		return true
	}
	return *c.DeletionConfig.DeleteAfterUpload
}

// LocalLimit returns the size limit in bytes (0 is none) and what happens there.
func (c EdgeConfig) LocalLimit() (bytes int64, onFull StrategyOnFullSize) {
	onFull = DeleteOldestMedia
	if c.DeletionConfig == nil || c.DeletionConfig.LocalSizeConfig == nil {
		return 0, onFull
	}
	size := c.DeletionConfig.LocalSizeConfig
	if size.StrategyOnFullSize != "" {
		onFull = size.StrategyOnFullSize
	}
	if size.MaxLocalMediaSizeInMB != nil {
		bytes = int64(*size.MaxLocalMediaSizeInMB) * 1_000_000
	}
	return bytes, onFull
}
