package localcloud

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
)

func TestTheLifeOfAStream(t *testing.T) {
	t.Parallel()
	c := start(t, Options{StreamDelay: -1})
	kvs := userKVS(t, c)
	ctx := t.Context()
	name := aws.String("front-door")
	created, err := kvs.CreateStream(ctx, &kinesisvideo.CreateStreamInput{
		StreamName: name, DataRetentionInHours: aws.Int32(24), MediaType: aws.String("video/h264"), DeviceName: aws.String("cam"), Tags: map[string]string{"a": "1"},
	})
	must(t, err)
	arn := created.StreamARN
	if !strings.HasPrefix(*arn, "arn:aws:kinesisvideo:us-west-2:123456789012:stream/front-door/") {
		t.Errorf("the ARN is %s", *arn)
	}
	_, err = kvs.CreateStream(ctx, &kinesisvideo.CreateStreamInput{StreamName: name})
	wantError(t, err, "ResourceInUseException", 400)

	described, err := kvs.DescribeStream(ctx, &kinesisvideo.DescribeStreamInput{StreamARN: arn})
	must(t, err)
	info := described.StreamInfo
	if *info.StreamName != "front-door" || *info.DataRetentionInHours != 24 || info.Status != types.StatusActive || *info.MediaType != "video/h264" || info.CreationTime.IsZero() {
		t.Errorf("described as %+v", info)
	}
	for operation, hours := range map[types.UpdateDataRetentionOperation]int32{
		types.UpdateDataRetentionOperationIncreaseDataRetention: 100_000,
		types.UpdateDataRetentionOperationDecreaseDataRetention: 25,
	} {
		_, err = kvs.UpdateDataRetention(ctx, &kinesisvideo.UpdateDataRetentionInput{StreamName: name, CurrentVersion: info.Version, Operation: operation, DataRetentionChangeInHours: &hours})
		wantError(t, err, "InvalidArgumentException", 400)
	}
	retain := &kinesisvideo.UpdateDataRetentionInput{StreamName: name, CurrentVersion: info.Version, Operation: types.UpdateDataRetentionOperationDecreaseDataRetention, DataRetentionChangeInHours: aws.Int32(24)}
	_, err = kvs.UpdateDataRetention(ctx, retain)
	must(t, err)
	_, err = kvs.UpdateDataRetention(ctx, retain)
	wantError(t, err, "VersionMismatchException", 400)
	_, err = startUpdate(t, kvs, "front-door")
	wantError(t, err, "NoDataRetentionException", 400)

	endpoint, err := kvs.GetDataEndpoint(ctx, &kinesisvideo.GetDataEndpointInput{StreamName: name, APIName: types.APINamePutMedia})
	must(t, err)
	if *endpoint.DataEndpoint != c.Endpoint() {
		t.Errorf("the data endpoint is %s", *endpoint.DataEndpoint)
	}
	_, err = kvs.GetDataEndpoint(ctx, &kinesisvideo.GetDataEndpointInput{StreamName: name, APIName: "PUT"})
	wantError(t, err, "InvalidArgumentException", 400)

	_, err = kvs.TagStream(ctx, &kinesisvideo.TagStreamInput{StreamARN: arn, Tags: map[string]string{"b": "2"}})
	must(t, err)
	tags, err := kvs.ListTagsForStream(ctx, &kinesisvideo.ListTagsForStreamInput{StreamName: name})
	must(t, err)
	if len(tags.Tags) != 2 || tags.Tags["a"] != "1" || tags.Tags["b"] != "2" {
		t.Errorf("tags %v", tags.Tags)
	}

	_, err = kvs.DeleteStream(ctx, &kinesisvideo.DeleteStreamInput{StreamARN: arn, CurrentVersion: aws.String("old")})
	wantError(t, err, "VersionMismatchException", 400)
	_, err = kvs.DeleteStream(ctx, &kinesisvideo.DeleteStreamInput{StreamARN: arn})
	must(t, err)
	_, err = kvs.DescribeStream(ctx, &kinesisvideo.DescribeStreamInput{StreamName: name})
	wantError(t, err, "ResourceNotFoundException", 404)
}

func TestBadStreamRequestsAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	kvs := userKVS(t, c)
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint(i)] = "x"
	}
	for name, row := range map[string]struct {
		do     func() error
		want   string
		status int
	}{
		"bad name": {func() error {
			_, err := kvs.CreateStream(t.Context(), &kinesisvideo.CreateStreamInput{StreamName: aws.String("a/b")})
			return err
		}, "InvalidArgumentException", 400},
		"too long retention": {func() error {
			_, err := kvs.CreateStream(t.Context(), &kinesisvideo.CreateStreamInput{StreamName: aws.String("a"), DataRetentionInHours: aws.Int32(87601)})
			return err
		}, "InvalidArgumentException", 400},
		"too many tags": {func() error {
			_, err := kvs.CreateStream(t.Context(), &kinesisvideo.CreateStreamInput{StreamName: aws.String("a"), Tags: many})
			return err
		}, "TagsPerResourceExceededLimitException", 400},
		"no stream named": {func() error {
			_, err := kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{})
			return err
		}, "InvalidArgumentException", 400},
		"unknown ARN": {func() error {
			_, err := kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamARN: aws.String("arn:aws:kinesisvideo:us-west-2:123456789012:stream/cam/1")})
			return err
		}, "ResourceNotFoundException", 404},
		"no tags": {func() error {
			_, err := kvs.TagStream(t.Context(), &kinesisvideo.TagStreamInput{StreamName: aws.String("cam"), Tags: map[string]string{}})
			return err
		}, "InvalidArgumentException", 400},
		"too many results": {func() error {
			_, err := kvs.ListStreams(t.Context(), &kinesisvideo.ListStreamsInput{MaxResults: aws.Int32(10_001)})
			return err
		}, "InvalidArgumentException", 400},
		"foreign token": {func() error {
			_, err := kvs.ListStreams(t.Context(), &kinesisvideo.ListStreamsInput{NextToken: aws.String("!")})
			return err
		}, "InvalidArgumentException", 400},
		"no hub": {func() error {
			_, err := kvs.ListEdgeAgentConfigurations(t.Context(), &kinesisvideo.ListEdgeAgentConfigurationsInput{HubDeviceArn: aws.String("hub-1")})
			return err
		}, "InvalidArgumentException", 400},
		"too many hubs": {func() error {
			_, err := kvs.ListEdgeAgentConfigurations(t.Context(), &kinesisvideo.ListEdgeAgentConfigurationsInput{HubDeviceArn: &hubARN, MaxResults: aws.Int32(11)})
			return err
		}, "InvalidArgumentException", 400},
		"nothing to delete": {func() error {
			_, err := kvs.DeleteEdgeConfiguration(t.Context(), &kinesisvideo.DeleteEdgeConfigurationInput{StreamName: aws.String("cam")})
			return err
		}, "StreamEdgeConfigurationNotFoundException", 404},
		"operation of AWS only": {func() error {
			_, err := kvs.ListSignalingChannels(t.Context(), &kinesisvideo.ListSignalingChannelsInput{})
			return err
		}, "UnsupportedOperationException", 501},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, row.do(), row.want, row.status) })
	}
}

func TestAnInvalidEdgeConfigNamesAllFaults(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	bad := edgeConfig()
	bad.HubDeviceArn = aws.String("my-hub")
	bad.DeletionConfig = &types.DeletionConfig{EdgeRetentionInHours: aws.Int32(721)}
	_, err = userKVS(t, c).StartEdgeConfigurationUpdate(t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: aws.String("cam"), EdgeConfig: bad})
	wantError(t, err, "InvalidArgumentException", 400)
	for _, part := range []string{"HubDeviceArn", "'721' at 'EdgeConfig.DeletionConfig.EdgeRetentionInHours'"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing: %v", part, err)
		}
	}
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	kvs := userKVS(t, c)
	var want []string
	for i := range 12 {
		name := fmt.Sprintf("cam-%02d._-.__--", i)
		want = append(want, name)
		_, err := c.CreateStream(name, 24)
		must(t, err)
		_, err = startUpdate(t, kvs, name)
		must(t, err)
	}
	_, err := c.CreateStream("other", 24)
	must(t, err)

	var streams []string
	pages := kinesisvideo.NewListStreamsPaginator(kvs, &kinesisvideo.ListStreamsInput{
		MaxResults: aws.Int32(5), StreamNameCondition: &types.StreamNameCondition{ComparisonOperator: types.ComparisonOperatorBeginsWith, ComparisonValue: aws.String("cam-")},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, s := range page.StreamInfoList {
			streams = append(streams, *s.StreamName)
		}
	}
	if !slices.Equal(streams, want) {
		t.Errorf("streams %v", streams)
	}
	for _, size := range []int{0, 1, 4, 10} {
		var configured []string
		in := &kinesisvideo.ListEdgeAgentConfigurationsInput{HubDeviceArn: &hubARN}
		most := 5
		if size > 0 {
			in.MaxResults, most = aws.Int32(int32(size)), size
		}
		pages := kinesisvideo.NewListEdgeAgentConfigurationsPaginator(kvs, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			must(t, err)
			if len(page.EdgeConfigs) > most {
				t.Errorf("a page has %d entries, at most %d were asked for", len(page.EdgeConfigs), most)
			}
			for _, s := range page.EdgeConfigs {
				configured = append(configured, *s.StreamName)
			}
		}
		if !slices.Equal(configured, want) {
			t.Errorf("page size %d: configurations %v", size, configured)
		}
	}
}

func TestWhatTheRoleOfDevicesMayNotDo(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	kvs := kinesisvideo.NewFromConfig(deviceConfig(t, c, hub))
	_, err = kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
	must(t, err)
	_, err = startUpdate(t, kvs, "cam")
	wantError(t, err, "AccessDeniedException", 401)
	c.Faults().RefuseOperation("DescribeStream", 400, "ClientLimitExceededException")
	_, err = kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
	wantError(t, err, "ClientLimitExceededException", 400)
	c.Faults().RefuseOperation("DescribeStream", 0, "")
	_, err = kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
	must(t, err)
}
