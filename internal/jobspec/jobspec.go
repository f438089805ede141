// Package jobspec owns what a desired stream and the hub's settings make of it: the comparable values that its jobs
// depend on. It must not start or stop any job.
package jobspec

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Record is everything a recording job depends on. Two streams with equal specs are
// the same job, so a change elsewhere (a deletion rule, say) never interrupts recording. It holds the
// hub's settings too, so that a reload restarts those jobs that it changes and no others.
type Record struct {
	Media    desired.Media
	Schedule desired.Schedule

	// Of the hub's settings.
	SegmentDuration time.Duration
	FlushInterval   time.Duration
	MediaDirectory  string          // of files; "" with cameras
	Camera          settings.Camera // of cameras; zero with files
}

// Upload is everything an upload job depends on.
type Upload struct {
	desired.Upload
	NoFragmentTags bool // by the hub's settings
}

// RecordOf returns the spec of a stream's recording.
func RecordOf(s desired.Stream, hub settings.Settings) Record {
	spec := Record{Media: s.Media, Schedule: s.Record, SegmentDuration: hub.SegmentDuration, FlushInterval: hub.FlushInterval}
	if spec.Media.Kind == desired.Clip {
		spec.MediaDirectory = hub.MediaDirectory
	} else {
		spec.Camera = hub.Camera
		spec.Camera.CACert = "" // what is in the file counts
	}
	return spec
}

// UploadOf returns the spec of a stream's upload.
func UploadOf(s desired.Stream, hub settings.Settings) Upload {
	spec := Upload{Upload: s.Upload, NoFragmentTags: hub.NoFragmentTags}
	spec.Tags.Fragment, spec.Tags.MainOf = "", "" // are followed elsewhere, and restart nothing
	return spec
}

// orphanAge is how long media is kept whose stream is no longer configured: the API's default.
// Source: KVS API, DeletionConfig, EdgeRetentionInHours.
const orphanAge = 720 * time.Hour

// Orphans is the policy for media whose stream is not configured.
func Orphans() retention.Policy { return retention.Policy{MaxAge: orphanAge} }
