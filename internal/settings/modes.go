package settings

import (
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// AudioMode is which sound of cameras is recorded and uploaded.
type AudioMode string

// The audio modes.
const (
	AudioAuto AudioMode = "auto" // recorded; uploaded where it leaves playback as it is
	AudioOn   AudioMode = "on"   // recorded and uploaded
	AudioOff  AudioMode = "off"  // not recorded
)

// Uploaded is the sound that the uploader sends. Sound that was recorded before it was switched off is
// uploaded as with AudioAuto.
func (m AudioMode) Uploaded() uploader.Audio {
	if m == AudioOn {
		return uploader.AudioAll
	}
	return uploader.AudioPlayable
}

// DeleteAfter is what has to come before media is deleted for its upload.
type DeleteAfter string

// The values of DeleteAfter.
const (
	DeleteAfterUpload DeleteAfter = "upload" // the acknowledgement of the service
	DeleteAfterAudit  DeleteAfter = "audit"  // an audit that found it in the cloud
)

// UploadMode is when streams are uploaded.
type UploadMode string

// The upload modes.
const (
	UploadScheduled UploadMode = "scheduled" // in the windows of their schedule, or hourly without one
	UploadLive      UploadMode = "live"      // always, each fragment as soon as it is complete
	// UploadOnRequest sends only what somebody asks for, and events.
	UploadOnRequest UploadMode = "on-request"
)

// ParseUploadMode reads a mode as people write it. ok is false for any other text.
func ParseUploadMode(text string) (mode UploadMode, ok bool) {
	switch mode = UploadMode(strings.ToLower(strings.TrimSpace(text))); mode {
	case UploadScheduled, UploadLive, UploadOnRequest:
		return mode, true
	default:
		return "", false
	}
}

// DeletesAudited reports whether DeleteAfterUpload waits for an audit.
func (s Settings) DeletesAudited() bool { return s.DeleteAfter == DeleteAfterAudit }
