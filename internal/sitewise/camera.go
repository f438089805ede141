package sitewise

import "slices"

// The names of the properties of a camera asset, as the models of the edge connector have them.
const (
	StreamName     = "KinesisVideoStreamName"
	SecretARN      = "RTSPStreamSecretARN"
	Retention      = "LocalDataRetentionPeriodInMinutes"
	LiveStart      = "LiveStreamingStartTime"
	LiveMinutes    = "LiveStreamingDurationInMinutes"
	CaptureStart   = "CaptureStartTime"
	CaptureMinutes = "CaptureDurationInMinutes"
	UploadRequest  = "VideoUploadRequest"
	UploadedRange  = "VideoUploadedTimeRange"
	RecordedRange  = "VideoRecordedTimeRange"
	CachedAgeOut   = "CachedVideoAgeOutOnEdge"
)

// attributes are the properties that configure a camera, and whether a model must have them.
var attributes = []struct {
	name     string
	required bool
}{
	{StreamName, true}, {SecretARN, true}, {Retention, false}, {LiveStart, false}, {LiveMinutes, false}, {CaptureStart, false},
	{CaptureMinutes, false},
}

// measurements are the properties that requests come by, and that the hub writes.
var measurements = []string{UploadRequest, UploadedRange, RecordedRange, CachedAgeOut}

// Names lists the properties that are looked for in a camera asset.
func Names() []string {
	names := make([]string, 0, len(attributes)+len(measurements))
	for _, a := range attributes {
		names = append(names, a.name)
	}
	return append(names, measurements...)
}

// Camera is a camera asset of the hub that has a stream of its own, as it is in force. It never changes.
type Camera struct {
	Asset  string // id
	Name   string // of the asset, for people
	Stream string // of Kinesis Video Streams
	// RetentionMinutes is how long media is kept on the hub.
	RetentionMinutes int
	// Properties are the ids of the asset's properties, by the names above, whatever their case in the model. One that the
	// model lacks is missing.
	Properties map[string]string
}

// Cameras are all of a hub, sorted by stream, each stream once.
type Cameras []Camera

// Of returns the camera of a stream.
func (c Cameras) Of(stream string) (Camera, bool) {
	i := slices.IndexFunc(c, func(one Camera) bool { return one.Stream == stream })
	if i < 0 {
		return Camera{}, false
	}
	return c[i], true
}
