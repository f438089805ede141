// Package jobspec owns what an edge configuration and the hub's settings make of a stream: the comparable values that
// its jobs depend on, the windows of its schedules, and what is kept of it. It must not start or stop any job.
package jobspec

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Record is everything a recording job depends on. Two configurations with equal specs are
// the same job, so a change elsewhere (a deletion rule, say) never interrupts recording. It holds the
// hub's settings too, so that a reload restarts those jobs that it changes and no others.
type Record struct {
	SecretARN string
	URIType   edgeconfig.MediaURIType
	Schedule  edgeconfig.ScheduleConfig // zero: always

	// Of the hub's settings.
	SegmentDuration time.Duration
	FlushInterval   time.Duration
	MediaDirectory  string          // of files; "" with cameras
	Camera          settings.Camera // of cameras; zero with files
}

// Upload is everything an upload job depends on.
type Upload struct {
	Schedule       edgeconfig.ScheduleConfig // zero: every hour
	NoFragmentTags bool                      // by the hub's settings
}

// RecordOf returns the spec of a stream's recording.
func RecordOf(c edgeconfig.EdgeConfig, s settings.Settings) Record {
	spec := Record{
		SecretARN:       c.RecorderConfig.MediaSourceConfig.MediaUriSecretArn,
		URIType:         c.RecorderConfig.MediaSourceConfig.MediaUriType,
		SegmentDuration: s.SegmentDuration,
		FlushInterval:   s.FlushInterval,
	}
	if spec.URIType == edgeconfig.File {
		spec.MediaDirectory = s.MediaDirectory
	} else {
		spec.Camera = s.Camera
		spec.Camera.CACert = "" // what is in the file counts
	}
	if schedule := c.RecorderConfig.ScheduleConfig; schedule != nil {
		spec.Schedule = *schedule
	}
	return spec
}

// UploadOf returns the spec of a stream's upload.
func UploadOf(c edgeconfig.EdgeConfig, s settings.Settings) Upload {
	spec := Upload{NoFragmentTags: s.NoFragmentTags}
	if c.UploaderConfig != nil && c.UploaderConfig.ScheduleConfig != nil {
		spec.Schedule = *c.UploaderConfig.ScheduleConfig
	}
	return spec
}

// PolicyOf returns what is kept of a stream, and for how long.
func PolicyOf(c edgeconfig.EdgeConfig) retention.Policy {
	limit, onFull := c.LocalLimit()
	policy := retention.Policy{
		MaxAge:            c.Retention(),
		MaxBytes:          limit,
		OnFull:            retention.DeleteOldest,
		DeleteAfterUpload: c.DeleteAfterUpload(),
	}
	if onFull == edgeconfig.DenyNewMedia {
		policy.OnFull = retention.DenyNew
	}
	return policy
}

// Windows returns the plan of a schedule in the hub's time zone, or otherwise when there is none.
func Windows(s edgeconfig.ScheduleConfig, otherwise scheduler.Plan) (scheduler.Plan, error) {
	if s.ScheduleExpression == "" {
		return otherwise, nil
	}
	expression, err := scheduler.Parse(s.ScheduleExpression, time.Local)
	if err != nil {
		return otherwise, fmt.Errorf("schedule %q: %w", s.ScheduleExpression, err)
	}
	return scheduler.Windows(expression, s.Duration()), nil
}

// orphanAge is how long media is kept whose stream is no longer configured: the API's default.
// Source: KVS API, DeletionConfig, EdgeRetentionInHours.
const orphanAge = 720 * time.Hour

// Orphans is the policy for media whose stream is not configured.
func Orphans() retention.Policy { return retention.Policy{MaxAge: orphanAge} }

// Validate finds what is wrong with a configuration before any running job is touched.
func Validate(c edgeconfig.EdgeConfig) error {
	return c.Validate(edgeconfig.WithScheduleCheck(scheduler.Check))
}
