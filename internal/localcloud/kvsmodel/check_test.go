package kvsmodel

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
)

func TestWhatIsNotOfTheOperationIsIgnored(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		operation, body, known string
		ignored                []string
	}{
		"nothing":         {"DescribeStream", "", `{}`, nil},
		"null":            {"DescribeStream", `{"StreamName":null}`, `{}`, nil},
		"unknown members": {"DescribeStream", `{"StreamName":"a","b":{"c":1},"A":null}`, `{"StreamName":"a"}`, []string{"A", "b"}},
		"another case":    {"DescribeStream", `{"streamname":"a/b","StreamName":"a"}`, `{"StreamName":"a"}`, []string{"streamname"}},
		"nested": {"TagResource", `{"ResourceARN":"arn:a:kinesisvideo:a:1:a/a/1","Tags":[{"Key":"k","Value":"","x":1}]}`,
			`{"ResourceARN":"arn:a:kinesisvideo:a:1:a/a/1","Tags":[{"Key":"k","Value":""}]}`, []string{"Tags[0].x"}},
		"numbers": {"ListStreams", `{"MaxResults":10000}`, `{"MaxResults":10000}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known, ignored, err := ByName(row.operation).Read([]byte(row.body))
			if err != nil || string(known) != row.known || !slices.Equal(ignored, row.ignored) {
				t.Errorf("got %s, %v, %v; want %s, %v", known, ignored, err, row.known, row.ignored)
			}
		})
	}
}

func TestWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	for body, path := range map[string]string{
		`{`: "", `[]`: "", `null`: "", `"x"`: "", `{} {}`: "", `{"ResourceARN":1}`: "ResourceARN",
		`{"TagKeyList":"a"}`: "TagKeyList", `{"TagKeyList":{"a":"b"}}`: "TagKeyList", `{"TagKeyList":["a",1]}`: "TagKeyList[1]",
	} {
		var malformed *apimodel.Malformed
		if _, _, err := ByName("UntagResource").Read([]byte(body)); !errors.As(err, &malformed) || malformed.Path != path {
			t.Errorf("%s: got %v, want a fault at %q", body, err, path)
		}
	}
	for _, number := range []string{"1.0", "1e2", "2147483648", "1e400"} {
		var malformed *apimodel.Malformed
		_, _, err := ByName("ListStreams").Read([]byte(`{"MaxResults":` + number + `}`))
		if !errors.As(err, &malformed) || malformed.Path != "MaxResults" {
			t.Errorf("%s: got %v", number, err)
		}
	}
}

func TestAllFaultsAreNamedAndSecretsAreNot(t *testing.T) {
	t.Parallel()
	_, _, err := ByName("StartEdgeConfigurationUpdate").Read([]byte(`{"EdgeConfig":{"HubDeviceArn":"hub",` +
		`"RecorderConfig":{"MediaSourceConfig":{"MediaUriSecretArn":"rtsp://admin:hunter2@camera/1"}},` +
		`"UploaderConfig":{},"DeletionConfig":{"EdgeRetentionInHours":721,"LocalSizeConfig":{"MaxLocalMediaSizeInMB":63}}}}`))
	const breaks = " failed to satisfy constraint: Member must "
	want := "6 validation errors detected: " + strings.Join([]string{
		"Value 'hub' at 'EdgeConfig.HubDeviceArn'" + breaks + "satisfy regular expression pattern: " + hubDeviceARN.Pattern,
		"Value at 'EdgeConfig.RecorderConfig.MediaSourceConfig.MediaUriSecretArn'" + breaks +
			"satisfy regular expression pattern: " + secretARN.Pattern,
		"Value null at 'EdgeConfig.RecorderConfig.MediaSourceConfig.MediaUriType'" + breaks + "not be null",
		"Value null at 'EdgeConfig.UploaderConfig.ScheduleConfig'" + breaks + "not be null",
		"Value '721' at 'EdgeConfig.DeletionConfig.EdgeRetentionInHours'" + breaks + "have value less than or equal to 720",
		"Value '63' at 'EdgeConfig.DeletionConfig.LocalSizeConfig.MaxLocalMediaSizeInMB'" + breaks + "have value greater than or equal to 64",
	}, "; ")
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestPathsOfOperations(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/createStream": "CreateStream", "/TagResource": "TagResource", "/listSignalingChannels": "ListSignalingChannels",
		"/CreateStream": "", "/tagResource": "", "/ListSignalingChannels": "", "/": "", "": "", "/createStream/": "",
	} {
		if got := ByPath(path); got != want {
			t.Errorf("%q is the path of %q, want %q", path, got, want)
		}
	}
}
