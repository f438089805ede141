package agent

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
)

// recordSpec is everything a recording job depends on. Two configurations with equal specs are
// the same job, so a change elsewhere (a deletion rule, say) never interrupts recording. It holds the
// hub's settings too, so that a reload restarts those jobs that it changes and no others.
type recordSpec struct {
	secretARN string
	uriType   edgeconfig.MediaURIType
	schedule  edgeconfig.ScheduleConfig // zero: always

	// Of the hub's settings.
	segmentDuration time.Duration
	flushInterval   time.Duration
	mediaDirectory  string         // of files; "" with cameras
	camera          CameraSettings // of cameras; zero with files
}

// uploadSpec is everything an upload job depends on.
type uploadSpec struct {
	schedule       edgeconfig.ScheduleConfig // zero: every hour
	noFragmentTags bool                      // by the hub's settings
}

func recordSpecOf(c edgeconfig.EdgeConfig, hub Settings) recordSpec {
	spec := recordSpec{
		secretARN:       c.RecorderConfig.MediaSourceConfig.MediaUriSecretArn,
		uriType:         c.RecorderConfig.MediaSourceConfig.MediaUriType,
		segmentDuration: hub.SegmentDuration,
		flushInterval:   hub.FlushInterval,
	}
	if spec.uriType == edgeconfig.File {
		spec.mediaDirectory = hub.MediaDirectory
	} else {
		spec.camera = hub.Camera
		spec.camera.CACert = "" // what is in the file counts
	}
	if s := c.RecorderConfig.ScheduleConfig; s != nil {
		spec.schedule = *s
	}
	return spec
}

func uploadSpecOf(c edgeconfig.EdgeConfig, hub Settings) uploadSpec {
	spec := uploadSpec{noFragmentTags: hub.NoFragmentTags}
	if c.UploaderConfig != nil && c.UploaderConfig.ScheduleConfig != nil {
		spec.schedule = *c.UploaderConfig.ScheduleConfig
	}
	return spec
}

func policyOf(c edgeconfig.EdgeConfig) retention.Policy {
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

// windows gives the plan of a schedule in the hub's time zone, or otherwise when there is none.
func windows(s edgeconfig.ScheduleConfig, otherwise scheduler.Plan) (scheduler.Plan, error) {
	if s.ScheduleExpression == "" {
		return otherwise, nil
	}
	expression, err := scheduler.Parse(s.ScheduleExpression, time.Local)
	if err != nil {
		return otherwise, fmt.Errorf("schedule %q: %w", s.ScheduleExpression, err)
	}
	return scheduler.Windows(expression, s.Duration()), nil
}
