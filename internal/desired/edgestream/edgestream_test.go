package edgestream_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired/edgestream"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

const (
	head = `{"HubDeviceArn":"arn:aws:iot:us-west-2:123456789012:thing/hub-1","RecorderConfig":{"MediaSourceConfig":{"MediaUriSecretArn":"` +
		secretARN + `","MediaUriType":"`
	secretARN = "arn:aws:secretsmanager:us-west-2:123456789012:secret:front-door-a1B2c3"
)

func windows(t *testing.T, expression string, length time.Duration) desired.Schedule {
	t.Helper()
	s, err := desired.InWindows(expression, length)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatAnEdgeConfigurationWants(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 250e6)
	common := desired.Stream{
		Name: "door", Media: desired.Media{SecretARN: secretARN}, Upload: desired.Upload{Schedule: desired.Hourly(), FromTags: true},
		Keep:    desired.Keep{MaxAge: 720 * time.Hour, DeleteAfterUpload: true},
		Version: desired.VersionOf(at), Origin: desired.MQTT,
	}
	for name, row := range map[string]struct {
		config string
		edit   func(*desired.Stream)
	}{
		"as little as possible": {`RTSP_URI"}}}`, func(*desired.Stream) {}},
		"a file":                {`FILE_URI"}}}`, func(s *desired.Stream) { s.Media.Kind = desired.Clip }},
		"schedules": {`RTSP_URI"},"ScheduleConfig":{"ScheduleExpression":"0 0 9 ? * MON *","DurationInSeconds":3600}},
			"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 0 3 * * ? *","DurationInSeconds":600}}}`, func(s *desired.Stream) {
			s.Record, s.Upload.Schedule = windows(t, "0 0 9 ? * MON *", time.Hour), windows(t, "0 0 3 * * ? *", 10*time.Minute)
		}},
		"an uploader without a schedule": {`RTSP_URI"}},"UploaderConfig":{}}`, func(*desired.Stream) {}},
		"retention": {`RTSP_URI"}},"DeletionConfig":{"EdgeRetentionInHours":5,"DeleteAfterUpload":false,
			"LocalSizeConfig":{"MaxLocalMediaSizeInMB":64,"StrategyOnFullSize":"DENY_NEW_MEDIA"}}}`, func(s *desired.Stream) {
			s.Keep = desired.Keep{MaxAge: 5 * time.Hour, MaxBytes: 64e6, OnFull: desired.DenyNew}
		}},
	} {
		config, err := edgeconfig.Parse([]byte(head + row.config))
		if err != nil {
			t.Fatal(err)
		}
		want := common
		row.edit(&want)
		got, err := edgestream.Of(edgeconfig.StreamConfig{StreamName: "door", Config: config, LastUpdated: at}, desired.MQTT)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	config, err := edgeconfig.Parse([]byte(head + `HLS"},"ScheduleConfig":{"ScheduleExpression":"0 0 25 * * ? *","DurationInSeconds":1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	invalid := new(edgeconfig.Invalid)
	_, err = edgestream.Of(edgeconfig.StreamConfig{StreamName: "door", Config: config, LastUpdated: at}, desired.KVS)
	if !errors.As(err, &invalid) || len(invalid.Faults) != 3 {
		t.Errorf("what is wrong: %v, want three faults", err)
	}
}
