package streamfile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

var monday = time.Date(2026, 11, 16, 8, 0, 0, 0, time.UTC)

const (
	secretARN = "arn:aws:secretsmanager:us-west-2:123456789012:secret:door-a1B2c3"
	uri       = `"MediaURI":"rtsp://admin:` + password + `@10.0.0.7/1"`
	source    = `"RecorderConfig":{"MediaSourceConfig":{` + uri + `}}`
)

func TestWhatAFileWants(t *testing.T) {
	t.Parallel()
	nine, err := desired.InWindows("0 0 9 ? * MON *", time.Hour)
	must(t, err)
	common := desired.Stream{
		Name: "door", Media: desired.Media{URL: secret.New("rtsp://admin:" + password + "@10.0.0.7/1")},
		Upload: desired.Upload{Schedule: desired.Hourly()}, Keep: desired.Keep{MaxAge: 720 * time.Hour, DeleteAfterUpload: true},
		Version: desired.VersionOf(monday), Origin: desired.File,
	}
	for name, row := range map[string]struct {
		text string
		edit func(*desired.Stream)
	}{
		"as little as possible": {`{"StreamName":"door","EdgeConfig":{` + source + `}}`, func(*desired.Stream) {}},
		"of an editor of Windows": {"\ufeff" + `{"StreamName":"door",` + "\r\n" + `"EdgeConfig":{` + source + `}}` + "\r\n",
			func(*desired.Stream) {}},
		"as described, with a comment": {`{"_comment":"x","$schema":"y","StreamName":"door","StreamARN":"z","CreationTime":1,"LastUpdatedTime":2,
			"SyncStatus":"IN_SYNC","EdgeAgentStatus":{},"EdgeConfig":{` + source + `}}`, func(*desired.Stream) {}},
		"members without effect, each twice": {`{"_comment":"x","_comment":{"a":1,"a":2},"$schema":"y","$schema":"z",
			"StreamARN":"a","StreamARN":"b","StreamName":"door","EdgeConfig":{` + source + `}}`, func(*desired.Stream) {}},
		"this hub": {`{"StreamName":"door","EdgeConfig":{"HubDeviceArn":"arn:aws:iot:us-west-2:123456789012:thing/hub-1",` + source + `}}`,
			func(*desired.Stream) {}},
		"a secret": {`{"StreamName":"door","EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{"MediaUriSecretArn":"` + secretARN +
			`","MediaUriType":"RTSP_URI"}}}}`, func(s *desired.Stream) { s.Media = desired.Media{SecretARN: secretARN} }},
		"a kind of source too": {`{"StreamName":"door","EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{"MediaUriType":"RTSP_URI",` +
			uri + `}}}}`,
			func(*desired.Stream) {}},
		"a media file": {`{"StreamName":"door","EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{"MediaURI":"file:///door.mp4?loop=true"}}}}`,
			func(s *desired.Stream) {
				s.Media = desired.Media{Kind: desired.Clip, URL: secret.New("file:///door.mp4?loop=true")}
			}},
		"schedules and retention": {`{"StreamName":"door","EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{` + uri + `},
			"ScheduleConfig":{"ScheduleExpression":"0 0 9 ? * MON *","DurationInSeconds":3600}},
			"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 0 9 ? * MON *","DurationInSeconds":3600}},
			"DeletionConfig":{"EdgeRetentionInHours":5,"DeleteAfterUpload":false,
			"LocalSizeConfig":{"MaxLocalMediaSizeInMB":64,"StrategyOnFullSize":"DENY_NEW_MEDIA"}}}}`, func(s *desired.Stream) {
			s.Record, s.Upload.Schedule = nine, nine
			s.Keep = desired.Keep{MaxAge: 5 * time.Hour, MaxBytes: 64e6, OnFull: desired.DenyNew}
		}},
		"options": {`{"StreamName":"door","Tags":{"kvs-edge:upload":"live","kvs-edge:camera":"Front door"},"EdgeConfig":{` + source + `}}`,
			func(s *desired.Stream) { s.Upload.Tags = desired.Tags{Upload: "live", Camera: "Front door"} }},
		"a main stream": {`{"StreamName":"door","Tags":{"kvs-edge:upload":"on-request","kvs-edge:main-of":"sub"},"EdgeConfig":{` + source + `}}`,
			func(s *desired.Stream) { s.Upload.Tags = desired.Tags{Upload: "on-request", MainOf: "sub"} }},
	} {
		want := common
		row.edit(&want)
		got, note, err := place{thing: "hub-1"}.judge([]byte(row.text), monday)
		if err != nil || note != "" || got != want {
			t.Errorf("%s: %+v, %q, %v, want %+v", name, got, note, err, want)
		}
	}
}

func TestWhatHasNoEffectWithoutTheCloud(t *testing.T) {
	t.Parallel()
	text := `{"StreamName":"door","Tags":{"kvs-edge:upload":"live","kvs-edge:main-of":"sub"},"EdgeConfig":{` + source + `,"UploaderConfig":{},
		"DeletionConfig":{"DeleteAfterUpload":true}}}`
	got, note, err := place{thing: "host", noCloud: true}.parse([]byte(text), monday)
	if err != nil || note != "EdgeConfig.UploaderConfig, EdgeConfig.DeletionConfig.DeleteAfterUpload, Tags" {
		t.Errorf("%q, %v", note, err)
	}
	if got.Upload != (desired.Upload{Schedule: desired.Never(), Tags: desired.Tags{MainOf: "sub"}}) || !got.Keep.Local {
		t.Errorf("%+v", got)
	}
	main := `{"StreamName":"door","Tags":{"kvs-edge:main-of":"sub"},"EdgeConfig":{` + source + `}}`
	if _, note, err := (place{noCloud: true}).parse([]byte(main), monday); err != nil || note != "" {
		t.Errorf("a main stream: %q, %v", note, err)
	}
	elsewhere := `{"StreamName":"door","EdgeConfig":{"HubDeviceArn":"arn:aws:iot:us-west-2:123456789012:thing/hub-1",` + source + `}}`
	if _, note, err := (place{thing: "host", noCloud: true}).parse([]byte(elsewhere), monday); err != nil || note != "" {
		t.Errorf("a hub without a name of AWS: %q, %v", note, err)
	}
}

// TestWhatIsWrongWithAFile names each fault by its field and the rule that it breaks, and never shows the password.
func TestWhatIsWrongWithAFile(t *testing.T) {
	t.Parallel()
	inSource := func(text string) string {
		return `{"StreamName":"door","EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{` + text + `}}}}`
	}
	const at = "EdgeConfig.RecorderConfig.MediaSourceConfig"
	for text, wants := range map[string][]string{
		"":       {"The file is empty"},
		" \n\t":  {"The file is empty"},
		"hello":  {"The file is not JSON: the first error is in line 1, column 1"},
		"{\n\"a": {"The file is not JSON: it ends too early"},
		"[]":     {"The file must hold a JSON object"},
		"null":   {"The file must hold a JSON object"},
		"{} {}":  {"The file must hold one JSON object, and nothing after it"},
		"{}":     {"StreamName must be the name of a stream", "EdgeConfig is missing"},
		`{"StreamName":"../door","EdgeConfig":null,"Streamname":1,"we ird":"` + password + `"}`: {"StreamName must be", "EdgeConfig is missing",
			"Streamname is not known: a stream file has StreamName, EdgeConfig and, if need be, Tags", `"we ird" is not known`},
		`{"StreamName":7,"EdgeConfig":[],"Tags":[]}`: {"StreamName must be", "EdgeConfig must be an object",
			"Tags must be an object of strings"},
		`{"StreamName":"door","EdgeConfig":{}}`: {at + " is missing: it must hold the camera's URL (MediaURI), or " +
			"name the secret"},
		inSource(``):               {at + " is missing: it must hold the camera's URL (MediaURI)"},
		inSource(`"MediaURI":7`):   {at + ".MediaURI must be a string"},
		inSource(`"MediaURI":" "`): {at + ".MediaURI must be a string"},
		inSource(`"MediaURI":"10.0.0.7 ` + password + `"`):               {at + ".MediaURI is [redacted]: it must be the URL of a camera"},
		inSource(`"MediaURI":"http://admin:` + password + `@10.0.0.7/"`): {at + ".MediaURI is [redacted]: it must be the URL of a camera"},
		inSource(`"MediaURI":"file://"`):                                 {at + ".MediaURI is [redacted]: it must be the URL of a file"},
		inSource(uri + `,"MediaUriType":"FILE_URI"`):                     {at + ".MediaURI is [redacted]: it must be the URL of a file"},
		inSource(uri + `,"MediaUriType":"HLS"`):                          {at + `.MediaUriType is "HLS": it must be RTSP_URI or FILE_URI`},
		inSource(uri + `,"MediaUriSecretArn":"` + secretARN + `"`):       {at + ".MediaUriSecretArn is"},
		inSource(`"MediaUriSecretArn":"rtsp://admin:` + password + `@10.0.0.7/","MediaUriType":"RTSP_URI"`): {
			at + ".MediaUriSecretArn is [redacted]: it must be the ARN of a secret"},
		inSource(uri + `,"MediaUri":"rtsp://` + password + `"`): {at + `.MediaUri is not known: it must be one of MediaUriSecretArn, ` +
			`MediaUriType`},
		`{"StreamName":"door","EdgeConfig":{"HubDeviceArn":"arn:aws:iot:us-west-2:123456789012:thing/hub-2",` + source + `}}`: {
			"EdgeConfig.HubDeviceArn must be this hub's, whose thing is hub-1, or be left out"},
		`{"StreamName":"door","EdgeConfig":{"HubDeviceArn":"hub-1",` + source + `}}`: {`EdgeConfig.HubDeviceArn is "hub-1": it must be the ARN`},
		`{"StreamName":"door","EdgeConfig":{` + source + `,"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 0 25 * * ? *",
			"DurationInSeconds":1}},"DeletionConfg":{}}}`: {"EdgeConfig.DeletionConfg is not known"},
		`{"StreamName":"door","EdgeConfig":{` + source + `,"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 0 25 * * ? *",
			"DurationInSeconds":1}}}}`: {
			"EdgeConfig.UploaderConfig.ScheduleConfig.ScheduleExpression is", "DurationInSeconds is 1: it must be 60 to 3600"},
		`{"StreamName":"door","StreamName":"yard","EdgeConfig":{` + source + `}}`:           {"StreamName occurs twice"},
		`{"StreamName":"door","EdgeConfig":{` + source + `},"EdgeConfig":{` + source + `}}`: {"EdgeConfig occurs twice"},
		`{"StreamName":"door","EdgeConfig":{` + source + `,"recorderconfig":{},"DeletionConfig":{"EdgeRetentionInHours":5,
			"edgeRetentionInHours":700}}}`: {"EdgeConfig.recorderconfig occurs twice",
			"EdgeConfig.DeletionConfig.edgeRetentionInHours occurs twice"},
		`{"_x":1,"_x":2,"StreamName":"door","EdgeConfig":{` + source + `,"DeletionConfig":{"EdgeRetentionInHours":5,
			"EdgeRetentionInHours":5}}}`: {
			"EdgeConfig.DeletionConfig.EdgeRetentionInHours occurs twice"},
		inSource(uri + `,"MediaURI":"rtsp://admin:` + password + `@10.0.0.8/1"`): {at + ".MediaURI occurs twice"},
		`{"StreamName":"door","EdgeConfig":{` + source + `},"Tags":{"kvs-edge:camera":"a","kvs-edge:camera":"b"}}`: {
			"Tags.kvs-edge:camera occurs twice"},
		`{"StreamName":"door","EdgeConfig":{` + source + `,"DeletionConfig":{"EdgeRetentionInHours":NaN}}}`:   {"The file is not JSON"},
		`{"StreamName":"door","EdgeConfig":{` + source + `,"DeletionConfig":{"EdgeRetentionInHours":1e400}}}`: {"EdgeRetentionInHours"},
		strings.Repeat("[", 60000): {"The file is not JSON"},
		`{"_x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`: {"The file is not JSON"},
		`{"_x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`:   {"StreamName must be", "EdgeConfig is missing"},
		`{"StreamName":"door","EdgeConfig":{` + source + `},"Tags":{"kvs-edge:upload":"often","upload":"live"}}`: {
			"Tags.kvs-edge:upload must be scheduled, live or on-request",
			"Tags.upload is not known: it must be one of kvs-edge:upload, kvs-edge:camera"},
		`{"StreamName":"door","EdgeConfig":{` + source + `},"Tags":{"kvs-edge:fragment":"20s"}}`: {
			"Tags.kvs-edge:fragment must be auto, or a duration from 1s to 19s"},
		`{"StreamName":"door","EdgeConfig":{` + source + `},"Tags":{"kvs-edge:main-of":"sub door"}}`: {
			"Tags.kvs-edge:main-of must not name the stream itself"},
	} {
		_, _, err := place{thing: "hub-1"}.judge([]byte(text), monday)
		faults := wrong{}
		if !errors.As(err, &faults) || len(faults) != len(wants) {
			t.Errorf("%s: %d faults, want %d: %v", text, len(faults), len(wants), err)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, without %q", text, err, want)
			}
		}
		if strings.Contains(err.Error(), password) {
			t.Errorf("%s: the password is shown: %v", text, err)
		}
	}
	if _, _, err := (place{thing: "host",
		noCloud: true}).parse([]byte(inSource(`"MediaUriSecretArn":"`+secretARN+`","MediaUriType":"RTSP_URI"`)),
		monday); err == nil || !strings.Contains(err.Error(), at+".MediaUriSecretArn cannot be read without the cloud") {
		t.Errorf("a secret without the cloud: %v", err)
	}
}

// FuzzParse holds what must be true of every text: no panic, no secret in an error, and what is right is so again.
func FuzzParse(f *testing.F) {
	f.Add(documentOf("door", 5))
	f.Add(`{"StreamName":"door","Tags":{"kvs-edge:upload":"live"},"EdgeConfig":{` + source + `}}`)
	f.Add(`{"StreamName":"door","EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{"mediauri":"file:///a.mp4"},"ScheduleConfig":null}}}`)
	f.Add("\ufeff{}")
	f.Fuzz(func(t *testing.T, text string) {
		p := place{thing: "hub-1"}
		s, _, err := p.judge([]byte(text), monday)
		if err != nil {
			if strings.Contains(err.Error(), password) && !strings.Contains(text, password+`":`) {
				t.Errorf("the password is shown: %v", err)
			}
			return
		}
		if again, _, err := p.judge([]byte(text), monday); err != nil || again != s {
			t.Errorf("read again it is %+v, %v", again, err)
		}
		if again, _, err := p.parse([]byte(text), monday); err != nil || again != s {
			t.Errorf("after a start it is %+v, %v", again, err)
		}
		if s.Name == "" || s.Origin != desired.File || s.Media.URL.Empty() == (s.Media.SecretARN == "") {
			t.Errorf("%q wants %+v", text, s)
		}
	})
}
