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
		StreamName: name, DataRetentionInHours: aws.Int32(24), MediaType: aws.String("video/h264"),
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
	if *info.StreamName != *name || *info.DataRetentionInHours != 24 || info.Status != types.StatusActive ||
		*info.MediaType != "video/h264" || info.CreationTime.IsZero() {
		t.Errorf("described as %+v", info)
	}
	retain := &kinesisvideo.UpdateDataRetentionInput{
		StreamName: name, CurrentVersion: info.Version, DataRetentionChangeInHours: aws.Int32(24),
		Operation: types.UpdateDataRetentionOperationDecreaseDataRetention,
	}
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
	_, err = kvs.DeleteStream(ctx, &kinesisvideo.DeleteStreamInput{StreamARN: arn, CurrentVersion: aws.String("old")})
	wantError(t, err, "VersionMismatchException", 400)
	_, err = kvs.DeleteStream(ctx, &kinesisvideo.DeleteStreamInput{StreamARN: arn})
	must(t, err)
	_, err = kvs.DescribeStream(ctx, &kinesisvideo.DescribeStreamInput{StreamName: name})
	wantError(t, err, "ResourceNotFoundException", 404)
}

// What the model of the service does not say.
func TestBadStreamRequestsAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	for _, row := range []struct{ operation, body, code string }{
		{"CreateStream", `{"StreamName":"a","DataRetentionInHours":87601}`, "InvalidArgumentException"},
		{"CreateStream", `{"StreamName":"a","Tags":` + manyTags(51, false) + `}`, "TagsPerResourceExceededLimitException"},
		{"DescribeStream", `{}`, "InvalidArgumentException"},
		{"DescribeStream", `{"StreamARN":"arn:aws:kinesisvideo:us-west-2:123456789012:stream/cam/1"}`, "ResourceNotFoundException"},
		{"ListStreams", `{"NextToken":"A"}`, "InvalidArgumentException"},
		{"ListStreams", `{"NextToken":"Lyo="}`, "InvalidArgumentException"},
		{"ListEdgeAgentConfigurations", `{"HubDeviceArn":"` + hubARN + `","NextToken":"A"}`, "InvalidArgumentException"},
		{"DescribeEdgeConfiguration", `{"StreamName":"cam"}`, "StreamEdgeConfigurationNotFoundException"},
		{"DeleteEdgeConfiguration", `{"StreamName":"cam"}`, "StreamEdgeConfigurationNotFoundException"},
	} {
		if code, out := ask(t, c, row.operation, row.body); code != row.code {
			t.Errorf("%s %s is answered with %q (%v), want %q", row.operation, row.body, code, out["Message"], row.code)
		}
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
	_, err = userKVS(t, c).StartEdgeConfigurationUpdate(t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{
		StreamName: aws.String("cam"), EdgeConfig: bad,
	})
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
		MaxResults: aws.Int32(5), StreamNameCondition: &types.StreamNameCondition{
			ComparisonOperator: types.ComparisonOperatorBeginsWith, ComparisonValue: aws.String("cam-"),
		},
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
	wantError(t, err, "AccessDeniedException", 403)
	c.Faults().RefuseOperation("DescribeStream", 400, "ClientLimitExceededException")
	_, err = kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
	wantError(t, err, "ClientLimitExceededException", 400)
	c.Faults().RefuseOperation("DescribeStream", 0, "")
	_, err = kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
	must(t, err)
}
