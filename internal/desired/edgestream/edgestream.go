// Package edgestream turns an edge configuration, the form in which KVS, MQTT and files write what they want, into a
// desired stream. It must not know where a configuration comes from.
package edgestream

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
)

// Of validates a configuration of the cloud and translates it. The options that are tags there are not known here. The
// error is an *edgeconfig.Invalid that names all faults.
func Of(c edgeconfig.StreamConfig, origin desired.Origin, options ...edgeconfig.ValidateOption) (desired.Stream, error) {
	if err := c.Config.Validate(append(options, edgeconfig.WithScheduleCheck(scheduler.Check))...); err != nil {
		return desired.Stream{}, err
	}
	s := desired.Stream{
		Name: c.StreamName, Media: MediaOf(c.Config.RecorderConfig.MediaSourceConfig), Keep: keepOf(c.Config),
		Upload:  desired.Upload{Schedule: desired.Hourly(), FromTags: true},
		Version: desired.VersionOf(c.LastUpdated), Origin: origin,
	}
	var recordErr, uploadErr error
	s.Record, recordErr = scheduleOf(c.Config.RecorderConfig.ScheduleConfig, desired.Always())
	if u := c.Config.UploaderConfig; u != nil {
		s.Upload.Schedule, uploadErr = scheduleOf(u.ScheduleConfig, desired.Hourly())
	}
	return s, errors.Join(recordErr, uploadErr)
}

// MediaOf returns what a configuration records, whether it is valid or not.
func MediaOf(m edgeconfig.MediaSourceConfig) desired.Media {
	media := desired.Media{SecretARN: m.MediaUriSecretArn}
	if m.MediaUriType == edgeconfig.File {
		media.Kind = desired.Clip
	}
	return media
}

func keepOf(c edgeconfig.EdgeConfig) desired.Keep {
	limit, onFull := c.LocalLimit()
	keep := desired.Keep{MaxAge: c.Retention(), MaxBytes: limit, DeleteAfterUpload: c.DeleteAfterUpload()}
	if onFull == edgeconfig.DenyNewMedia {
		keep.OnFull = desired.DenyNew
	}
	return keep
}

func scheduleOf(s *edgeconfig.ScheduleConfig, otherwise desired.Schedule) (desired.Schedule, error) {
	if s == nil {
		return otherwise, nil
	}
	return desired.InWindows(s.ScheduleExpression, s.Duration())
}
