// Package desired owns what a hub is to do: one neutral value a stream, whichever source wants it, sets of them, which
// source decides where several want the same stream, and the steps from what runs to what is wanted. It is pure: no files,
// no network, no clock. It must not know the form in which a source describes streams, nor how a job does its work.
package desired

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// Stream is what is wanted of one stream. It is comparable: two equal values want the same of the hub.
type Stream struct {
	Name    string
	Media   Media
	Record  Schedule
	Upload  Upload
	Keep    Keep
	Version Version
	Origin  Origin
}

// Media is where a stream's media comes from. Of SecretARN and URL one is set.
type Media struct {
	Kind      MediaKind
	SecretARN string        // of the secret that holds the URL
	URL       secret.String // itself, where the source knows it
}

// MediaKind is a kind of source.
type MediaKind uint8

// The kinds.
const (
	Camera MediaKind = iota // RTSP
	Clip                    // a media file
)

// String returns the kind as a person calls it.
func (k MediaKind) String() string {
	if k == Clip {
		return "file"
	}
	return "camera"
}

// Upload is when a stream is uploaded, and how.
type Upload struct {
	Schedule Schedule // Never: on request only
	// FromTags says that Tags are those of the stream in the cloud, which are not known here.
	FromTags bool
	Tags     Tags
	// LiveSince, with the mode on request, has all that is recorded from then on uploaded live, and what is older on request only:
	// in ms since 1970; 0 for on request alone.
	LiveSince int64
}

// Keep is what is kept of a stream on the disk.
type Keep struct {
	// MaxAge is how long media is kept, by the time of its last frame. 0: for ever.
	MaxAge time.Duration
	// MaxBytes is how much of the stream is kept. 0: no limit of its own.
	MaxBytes int64
	// OnFull says what happens at MaxBytes.
	OnFull OnFull
	// DeleteAfterUpload deletes a segment once all of it is persisted in the cloud.
	DeleteAfterUpload bool
	// Local says that media is not uploaded by itself, so that media that is deleted without an upload does not count as lost.
	Local bool
}

// OnFull is what happens when a stream reaches its size limit.
// Source: KVS API, LocalSizeConfig, StrategyOnFullSize.
type OnFull uint8

// The strategies.
const (
	DeleteOldest OnFull = iota // DELETE_OLDEST_MEDIA
	DenyNew                    // DENY_NEW_MEDIA
)

// Version distinguishes the versions that one source had of a stream: when it was last changed there, in nanoseconds since
// 1970; 0 when that is not known. A newer one with equal content asks to restart failed jobs.
type Version int64

// VersionOf is the version of a change at that time.
func VersionOf(changed time.Time) Version {
	if changed.IsZero() {
		return 0
	}
	return Version(changed.UnixNano())
}

// Time is when the change was made; zero when that is not known.
func (v Version) Time() time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(v)).UTC()
}
