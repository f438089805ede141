package localcloud

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// swSite is a local cloud with a hub and two cameras in SiteWise, and an SDK.
type swSite struct {
	*Cloud
	t      *testing.T
	clock  *clock
	client *iotsitewise.Client
	hub    string
	camera string            // the asset of the first camera
	props  map[string]string // ids of the properties of cameras, by their names
}

var hubSeed = &Seed{Hubs: []SeedHub{{Name: "hub-1", ID: "11111111-2222-4333-8444-555555555555", Workspace: "yard",
	Cameras: []sitewise.SeedCamera{
		{Name: "front", Stream: "front-door", Secret: "arn:aws:secretsmanager:us-west-2:123456789012:secret:front-door", RetentionMinutes: 120},
		{Name: "back", CaptureStart: "* * * * *"},
	}}}}

// newSiteWise starts a local cloud at a time of its own.
func newSiteWise(t *testing.T, o Options) *swSite {
	t.Helper()
	s := &swSite{t: t, clock: newClock(), hub: hubSeed.Hubs[0].ID, props: map[string]string{}}
	o.Now, o.Seed, o.StreamDelay = s.clock.Now, hubSeed, time.Second
	s.Cloud = start(t, o)
	s.client = siteWiseClient(userConfig(t, s.Cloud))
	children, err := s.client.ListAssociatedAssets(t.Context(), &iotsitewise.ListAssociatedAssetsInput{AssetId: &s.hub})
	must(t, err)
	for _, child := range children.AssetSummaries {
		if *child.Name == "front" {
			s.camera = *child.Id
		}
	}
	described, err := s.client.DescribeAsset(t.Context(), &iotsitewise.DescribeAssetInput{AssetId: &s.camera})
	must(t, err)
	for _, p := range described.AssetProperties {
		s.props[*p.Name] = *p.Id
	}
	return s
}

// siteWiseClient is an SDK that puts neither api. nor data. before the address.
func siteWiseClient(config aws.Config) *iotsitewise.Client {
	return iotsitewise.NewFromConfig(config, func(o *iotsitewise.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoHostPrefix", func(ctx context.Context, in middleware.InitializeInput,
				next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
			}), middleware.Before)
		})
	})
}

// value returns a TQV at an offset from now.
func (s *swSite) value(offset time.Duration, v types.Variant) types.AssetPropertyValue {
	at := s.clock.Now().Add(offset)
	return types.AssetPropertyValue{Value: &v, Timestamp: &types.TimeInNanos{TimeInSeconds: aws.Int64(at.Unix()),
		OffsetInNanos: aws.Int32(int32(at.Nanosecond()))}, Quality: types.QualityGood}
}

func text(v string) types.Variant    { return types.Variant{StringValue: &v} }
func double(v float64) types.Variant { return types.Variant{DoubleValue: &v} }

// entry puts values of a property of the camera.
func (s *swSite) entry(property string, values ...types.AssetPropertyValue) types.PutAssetPropertyValueEntry {
	return types.PutAssetPropertyValueEntry{EntryId: aws.String(property), AssetId: &s.camera, PropertyId: aws.String(s.props[property]),
		PropertyValues: values}
}

// put returns the errors of each entry as "entry code offsets".
func (s *swSite) put(partial bool, entries ...types.PutAssetPropertyValueEntry) (failed []string, err error) {
	s.t.Helper()
	out, err := s.client.BatchPutAssetPropertyValue(s.t.Context(), &iotsitewise.BatchPutAssetPropertyValueInput{Entries: entries,
		EnablePartialEntryProcessing: &partial})
	if err != nil {
		return nil, err
	}
	for _, e := range out.ErrorEntries {
		for _, one := range e.Errors {
			line := *e.EntryId + " " + string(one.ErrorCode)
			for _, at := range one.Timestamps {
				line += fmt.Sprintf(" %+d", *at.TimeInSeconds-s.clock.Now().Unix())
			}
			failed = append(failed, line)
		}
	}
	return failed, nil
}

// history returns the values of a property as "offset value".
func (s *swSite) history(property string) (list []string) {
	s.t.Helper()
	out, err := s.client.GetAssetPropertyValueHistory(s.t.Context(), &iotsitewise.GetAssetPropertyValueHistoryInput{AssetId: &s.camera,
		PropertyId: aws.String(s.props[property])})
	must(s.t, err)
	for _, v := range out.AssetPropertyValueHistory {
		list = append(list, s.show(v))
	}
	return list
}

func (s *swSite) show(v types.AssetPropertyValue) string {
	offset := *v.Timestamp.TimeInSeconds - s.clock.Now().Unix()
	switch {
	case v.Value.StringValue != nil:
		return fmt.Sprintf("%+d %s", offset, *v.Value.StringValue)
	case v.Value.DoubleValue != nil:
		return fmt.Sprintf("%+d %g %s", offset, *v.Value.DoubleValue, v.Quality)
	}
	return fmt.Sprintf("%+d %+v", offset, v.Value)
}

func TestASeedMakesTheAssetsOfTheConnector(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	hubAsset, err := s.client.DescribeAsset(t.Context(), &iotsitewise.DescribeAssetInput{AssetId: &s.hub})
	must(t, err)
	m, err := s.client.DescribeAssetModel(t.Context(), &iotsitewise.DescribeAssetModelInput{AssetModelId: hubAsset.AssetModelId})
	must(t, err)
	if !strings.HasPrefix(*m.AssetModelName, "EdgeConnectorForKVSHubModel-") || *m.AssetModelHierarchies[0].Name != "ConnectedCameras" ||
		hubAsset.AssetStatus.State != types.AssetStateActive {
		t.Errorf("the hub is %+v of %+v", hubAsset, m)
	}
	if len(s.props) != 11 {
		t.Errorf("a camera has the properties %v", s.props)
	}
	for name, want := range map[string]string{"KinesisVideoStreamName": "front-door", "LiveStreamingStartTime": "-",
		"LocalDataRetentionPeriodInMinutes": "120", "VideoUploadRequest": ""} {
		out, err := s.client.GetAssetPropertyValue(t.Context(), &iotsitewise.GetAssetPropertyValueInput{AssetId: &s.camera,
			PropertyId: aws.String(s.props[name])})
		must(t, err)
		got := ""
		if out.PropertyValue != nil && out.PropertyValue.Value.StringValue != nil {
			got = *out.PropertyValue.Value.StringValue
		} else if out.PropertyValue != nil {
			got = fmt.Sprint(*out.PropertyValue.Value.IntegerValue)
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	tags, err := s.client.ListTagsForResource(t.Context(), &iotsitewise.ListTagsForResourceInput{ResourceArn: aws.String(
		"arn:aws:iotsitewise:us-west-2:123456789012:asset/" + s.camera)})
	must(t, err)
	if tags.Tags["EdgeConnectorForKVS"] != "yard" {
		t.Errorf("the camera has the tags %v", tags.Tags)
	}
	must(t, s.plant(hubSeed)) // again, which changes nothing
}

// The limits of each value are of its entry: the others of the request are put.
func TestWhatAValueMustBe(t *testing.T) {
	t.Parallel()
	const uploaded, request = "VideoUploadedTimeRange", "VideoUploadRequest"
	long := strings.Repeat("ä", 1025)
	week := 7 * 24 * time.Hour
	for name, row := range map[string]struct {
		property string
		offset   time.Duration
		value    types.Variant
		code     string
	}{
		"now":                        {uploaded, 0, double(1.5), ""},
		"7 days ago":                 {uploaded, -week, double(1), ""},
		"more than 7 days ago":       {uploaded, -week - time.Second, double(1), "TimestampOutOfRangeException"},
		"10 minutes ahead":           {uploaded, 10 * time.Minute, double(1), ""},
		"more than 10 minutes ahead": {uploaded, 10*time.Minute + time.Second, double(1), "TimestampOutOfRangeException"},
		"the greatest double":        {uploaded, 0, double(1e10), ""},
		"a greater double":           {uploaded, 0, double(1.1e10), "InvalidRequestException"},
		"the smallest double":        {uploaded, 0, double(-1e10), ""},
		"a smaller double":           {uploaded, 0, double(-1.1e10), "InvalidRequestException"},
		"a string for a double":      {uploaded, 0, text("1"), "InvalidRequestException"},
		"an integer for a double":    {uploaded, 0, types.Variant{IntegerValue: aws.Int32(1)}, "InvalidRequestException"},
		"a double for a string":      {request, 0, double(1), "InvalidRequestException"},
		"live":                       {request, 0, text("live"), ""},
		"an empty string":            {request, 0, text(""), ""},
		"1024 characters":            {request, 0, text(long[:2048]), ""},
		"1025 characters":            {request, 0, text(long), "InvalidRequestException"},
		"a control character":        {request, 0, text("a\nb"), "InvalidRequestException"},
		"two values": {request, 0, types.Variant{StringValue: aws.String("a"), BooleanValue: aws.Bool(true)},
			"InvalidRequestException"},
		"none": {request, 0, types.Variant{}, "InvalidRequestException"},
		"null with GOOD": {request, 0, types.Variant{NullValue: &types.PropertyValueNullValue{ValueType: types.RawValueTypeString}},
			"InvalidRequestException"},
		"an attribute":                 {"CaptureStartTime", 0, text("* * * * *"), ""},
		"an attribute of another type": {"CaptureDurationInMinutes", 0, text("5"), "InvalidRequestException"},
		"a property that is not there": {"Nothing", 0, text("5"), "ResourceNotFoundException"},
		"an integer for an attribute":  {"CaptureDurationInMinutes", 0, types.Variant{IntegerValue: aws.Int32(5)}, ""},
		"a boolean for an integer":     {"CaptureDurationInMinutes", 0, types.Variant{BooleanValue: aws.Bool(true)}, "InvalidRequestException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSiteWise(t, Options{})
			s.props["Nothing"] = "99999999-2222-4333-8444-555555555555"
			good := s.entry("KinesisVideoStreamName", s.value(0, text("other")))
			failed, err := s.put(false, s.entry(row.property, s.value(row.offset, row.value)), good)
			must(t, err)
			var want []string
			if row.code != "" {
				want = []string{fmt.Sprintf("%s %s %+d", row.property, row.code, int64(row.offset.Seconds()))}
			}
			if !slices.Equal(failed, want) {
				t.Errorf("the errors are %q, want %q", failed, want)
			}
			if got := s.history("KinesisVideoStreamName"); got[len(got)-1] != "+0 other" {
				t.Errorf("the other entry was not put: %q", got)
			}
		})
	}
}

func TestAnEntryIsPutAsAWholeUnlessItMayBeInParts(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	const p = "VideoUploadedTimeRange"
	values := []types.AssetPropertyValue{s.value(-8*24*time.Hour, double(1)), s.value(0, double(2)), s.value(time.Hour, double(3))}
	want := []string{p + " TimestampOutOfRangeException -691200", p + " TimestampOutOfRangeException +3600"}
	for _, partial := range []bool{false, true} {
		failed, err := s.put(partial, s.entry(p, values...))
		must(t, err)
		if !slices.Equal(failed, want) {
			t.Errorf("partial %v: the errors are %q, want %q", partial, failed, want)
		}
		if got := len(s.history(p)); got != map[bool]int{false: 0, true: 1}[partial] {
			t.Errorf("partial %v: %d values were put", partial, got)
		}
	}
}

func TestWhatAPutRequestMustBe(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	const p = "VideoUploadedTimeRange"
	many := func(n int) (list []types.PutAssetPropertyValueEntry) {
		for i := range n {
			e := s.entry(p, s.value(time.Duration(-i)*time.Second, double(float64(i))))
			e.EntryId = aws.String(fmt.Sprint("e", i))
			list = append(list, e)
		}
		return list
	}
	values := func(n int) types.PutAssetPropertyValueEntry {
		e := s.entry(p)
		for i := range n {
			e.PropertyValues = append(e.PropertyValues, s.value(time.Duration(-i)*time.Second, double(1)))
		}
		if n == 0 {
			e.PropertyValues = []types.AssetPropertyValue{}
		}
		return e
	}
	badID := many(1)[0]
	badID.EntryId = aws.String("a b")
	both := many(1)[0]
	both.PropertyAlias = aws.String("/a")
	alias := types.PutAssetPropertyValueEntry{EntryId: aws.String("e"), PropertyAlias: aws.String("/nobody"),
		PropertyValues: values(1).PropertyValues}
	for name, row := range map[string]struct {
		entries []types.PutAssetPropertyValueEntry
		err     string
		failed  []string
	}{
		"10 entries":           {many(10), "", nil},
		"11 entries":           {many(11), "InvalidRequestException", nil},
		"none":                 {[]types.PutAssetPropertyValueEntry{}, "InvalidRequestException", nil},
		"10 values":            {[]types.PutAssetPropertyValueEntry{values(10)}, "", nil},
		"11 values":            {[]types.PutAssetPropertyValueEntry{values(11)}, "InvalidRequestException", nil},
		"no values":            {[]types.PutAssetPropertyValueEntry{values(0)}, "InvalidRequestException", nil},
		"an id twice":          {append(many(1), many(1)...), "InvalidRequestException", nil},
		"an id with a space":   {[]types.PutAssetPropertyValueEntry{badID}, "InvalidRequestException", nil},
		"ids and alias":        {[]types.PutAssetPropertyValueEntry{both}, "", []string{"e0 InvalidRequestException +0"}},
		"an alias of no asset": {[]types.PutAssetPropertyValueEntry{alias}, "", []string{"e ResourceNotFoundException +0"}},
	} {
		failed, err := s.put(false, row.entries...)
		if row.err != "" {
			wantError(t, err, row.err, http.StatusBadRequest)
			continue
		}
		must(t, err)
		if !slices.Equal(failed, row.failed) {
			t.Errorf("%s: the errors are %q, want %q", name, failed, row.failed)
		}
	}
}

// A value replaces the one of the same time and quality. Two of them in one request that differ are a conflict.
func TestValuesOfOneTime(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	const p = "VideoUploadedTimeRange"
	put := func(values ...types.AssetPropertyValue) []string {
		failed, err := s.put(true, s.entry(p, values...))
		must(t, err)
		return failed
	}
	bad := s.value(0, double(7))
	bad.Quality = types.QualityBad
	put(s.value(0, double(1)))
	put(s.value(0, double(2)))
	put(bad)
	if got, want := s.history(p), []string{"+0 7 BAD", "+0 2 GOOD"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	if v := s.latest(p); v != "+0 7 BAD" {
		t.Errorf("the current value is %q", v)
	}
	put(s.value(0, double(3)))
	if v := s.latest(p); v != "+0 3 GOOD" {
		t.Errorf("the current value is %q", v)
	}
	if failed := put(s.value(1, double(4)), s.value(1, double(4)), s.value(1, double(5))); !slices.Equal(failed,
		[]string{p + " ConflictingOperationException +0"}) {
		t.Errorf("values of one time in a request have the errors %q", failed)
	}
}

func (s *swSite) latest(property string) string {
	s.t.Helper()
	out, err := s.client.GetAssetPropertyValue(s.t.Context(), &iotsitewise.GetAssetPropertyValueInput{AssetId: &s.camera,
		PropertyId: aws.String(s.props[property])})
	must(s.t, err)
	if out.PropertyValue == nil {
		return ""
	}
	return s.show(*out.PropertyValue)
}

// What is put on a property with notifications reaches a thing by MQTT, also what changes nothing.
func TestValuesAreNotified(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	described, err := s.client.DescribeAssetProperty(t.Context(), &iotsitewise.DescribeAssetPropertyInput{AssetId: &s.camera,
		PropertyId: aws.String(s.props["VideoUploadRequest"])})
	must(t, err)
	topic := *described.AssetProperty.Notification.Topic
	h := connectHub(t, s.Cloud, hub)
	h.must(h.client.Subscribe("$aws/sitewise/asset-models/+/assets/+/properties/+", 0, func(_ mqtt.Client, m mqtt.Message) { h.heard <- m }))
	for range 2 {
		_, err := s.put(false, s.entry("VideoUploadedTimeRange", s.value(0, double(1))), s.entry("VideoUploadRequest", s.value(0, text("live"))))
		must(t, err)
		select {
		case m := <-h.heard:
			want := fmt.Sprintf(`{"type":"PropertyValueUpdate","payload":{"assetId":%q,"propertyId":%q,"values":[{"timestamp":`+
				`{"timeInSeconds":%d,"offsetInNanos":0},"quality":"GOOD","value":{"stringValue":"live"}}]}}`, s.camera, s.props["VideoUploadRequest"],
				s.clock.Now().Unix())
			if m.Topic() != topic || !sameJSON(t, string(m.Payload()), want) {
				t.Errorf("notified on %s: %s, want %s on %s", m.Topic(), m.Payload(), want, topic)
			}
		case <-waiting(t).Done():
			t.Fatal("nothing is notified")
		}
	}
	_, err = s.client.UpdateAssetProperty(t.Context(), &iotsitewise.UpdateAssetPropertyInput{AssetId: &s.camera,
		PropertyId: aws.String(s.props["VideoUploadRequest"])})
	must(t, err)
	_, err = s.put(false, s.entry("VideoUploadRequest", s.value(0, text("live"))))
	must(t, err)
	h.heardOnly(s.Cloud, "after-disabled")
}

// Models and assets are CREATING and DELETING for a while, in which they are not changed.
func TestModelsAndAssetsHaveStates(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	ctx := t.Context()
	m, err := s.client.CreateAssetModel(ctx, &iotsitewise.CreateAssetModelInput{AssetModelName: aws.String("m"),
		AssetModelProperties: []types.AssetModelPropertyDefinition{
			{Name: aws.String("p"), DataType: types.PropertyDataTypeInteger,
				Type: &types.PropertyType{Attribute: &types.Attribute{DefaultValue: aws.String("5")}}}}})
	must(t, err)
	if m.AssetModelStatus.State != types.AssetModelStateCreating {
		t.Errorf("a new model is %s", m.AssetModelStatus.State)
	}
	_, err = s.client.CreateAssetModel(ctx, &iotsitewise.CreateAssetModelInput{AssetModelName: aws.String("m")})
	wantError(t, err, "ResourceAlreadyExistsException", http.StatusConflict)
	create := &iotsitewise.CreateAssetInput{AssetName: aws.String("a"), AssetModelId: m.AssetModelId,
		ClientToken: aws.String(strings.Repeat("t", 36))}
	_, err = s.client.CreateAsset(ctx, create)
	wantError(t, err, "ConflictingOperationException", http.StatusConflict)
	s.clock.advance(time.Second)
	a, err := s.client.CreateAsset(ctx, create)
	must(t, err)
	again, err := s.client.CreateAsset(ctx, create)
	must(t, err)
	if *again.AssetId != *a.AssetId || a.AssetStatus.State != types.AssetStateCreating {
		t.Errorf("the asset is %+v, and with the same token %+v", a, again)
	}
	if _, err = s.client.DescribeAsset(ctx, &iotsitewise.DescribeAssetInput{AssetId: a.AssetId}); err != nil {
		t.Error(err)
	}
	_, err = s.client.DeleteAsset(ctx, &iotsitewise.DeleteAssetInput{AssetId: a.AssetId})
	wantError(t, err, "ConflictingOperationException", http.StatusConflict)
	s.clock.advance(time.Second)
	_, err = s.client.DeleteAssetModel(ctx, &iotsitewise.DeleteAssetModelInput{AssetModelId: m.AssetModelId})
	wantError(t, err, "ConflictingOperationException", http.StatusConflict)
	_, err = s.client.DeleteAsset(ctx, &iotsitewise.DeleteAssetInput{AssetId: a.AssetId})
	must(t, err)
	d, err := s.client.DescribeAsset(ctx, &iotsitewise.DescribeAssetInput{AssetId: a.AssetId})
	must(t, err)
	if d.AssetStatus.State != types.AssetStateDeleting {
		t.Errorf("the asset is %s", d.AssetStatus.State)
	}
	s.clock.advance(time.Second)
	_, err = s.client.DescribeAsset(ctx, &iotsitewise.DescribeAssetInput{AssetId: a.AssetId})
	wantError(t, err, "ResourceNotFoundException", http.StatusNotFound)
}

// An asset with the id of one that was deleted has no values of that one, also after a restart.
func TestAnAssetHasNoValuesOfAnEarlierOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSiteWise(t, Options{Dir: dir})
	_, err := s.put(false, s.entry("VideoUploadedTimeRange", s.value(0, double(1))))
	must(t, err)
	described, err := s.client.DescribeAsset(t.Context(), &iotsitewise.DescribeAssetInput{AssetId: &s.hub})
	must(t, err)
	_, err = s.client.DisassociateAssets(t.Context(), &iotsitewise.DisassociateAssetsInput{AssetId: &s.hub, ChildAssetId: &s.camera,
		HierarchyId: described.AssetHierarchies[0].Id})
	must(t, err)
	_, err = s.client.DeleteAsset(t.Context(), &iotsitewise.DeleteAssetInput{AssetId: &s.camera})
	must(t, err)
	s.clock.advance(time.Second)
	must(t, s.Close())
	again := newSiteWise(t, Options{Dir: dir}) // whose seed makes the camera again
	if got := again.history("VideoUploadedTimeRange"); got != nil {
		t.Errorf("the camera has the values %q", got)
	}
}

// siteWiseRows are requests that are refused, with the error of each.
func siteWiseRows(s *swSite) map[string]func(ctx context.Context) error {
	asset := func(id string) *iotsitewise.DescribeAssetInput { return &iotsitewise.DescribeAssetInput{AssetId: &id} }
	hubAsset, _ := s.client.DescribeAsset(context.Background(), asset(s.hub))
	h := hubAsset.AssetHierarchies[0].Id
	return map[string]func(context.Context) error{
		"ResourceNotFoundException an asset that nobody made": func(ctx context.Context) error {
			_, err := s.client.DescribeAsset(ctx, asset("99999999-2222-4333-8444-555555555555"))
			return err
		},
		"InvalidRequestException an id in capital letters": func(ctx context.Context) error {
			_, err := s.client.DescribeAsset(ctx, asset("AAAAAAAA-2222-4333-8444-555555555555"))
			return err
		},
		"InvalidRequestException a list of all assets": func(ctx context.Context) error {
			_, err := s.client.ListAssets(ctx, &iotsitewise.ListAssetsInput{})
			return err
		},
		"InvalidRequestException 251 results": func(ctx context.Context) error {
			_, err := s.client.ListAssetModels(ctx, &iotsitewise.ListAssetModelsInput{MaxResults: aws.Int32(251)})
			return err
		},
		"ResourceAlreadyExistsException an association that exists": func(ctx context.Context) error {
			_, err := s.client.AssociateAssets(ctx, &iotsitewise.AssociateAssetsInput{AssetId: &s.hub, HierarchyId: h, ChildAssetId: &s.camera})
			return err
		},
		"InvalidRequestException a hub below a hub": func(ctx context.Context) error {
			_, err := s.client.AssociateAssets(ctx, &iotsitewise.AssociateAssetsInput{AssetId: &s.hub, HierarchyId: h, ChildAssetId: &s.hub})
			return err
		},
		"ResourceNotFoundException a hierarchy that nobody made": func(ctx context.Context) error {
			_, err := s.client.ListAssociatedAssets(ctx, &iotsitewise.ListAssociatedAssetsInput{AssetId: &s.hub, HierarchyId: &s.hub})
			return err
		},
		"InvalidRequestException an asset that is associated is deleted": func(ctx context.Context) error {
			_, err := s.client.DeleteAsset(ctx, &iotsitewise.DeleteAssetInput{AssetId: &s.camera})
			return err
		},
		"InvalidRequestException a default value of another type": func(ctx context.Context) error {
			_, err := s.client.CreateAssetModel(ctx, &iotsitewise.CreateAssetModelInput{AssetModelName: aws.String("x"),
				AssetModelProperties: []types.AssetModelPropertyDefinition{{Name: aws.String("p"), DataType: types.PropertyDataTypeInteger,
					Type: &types.PropertyType{Attribute: &types.Attribute{DefaultValue: aws.String("five")}}}}})
			return err
		},
		"InvalidRequestException a reserved tag": func(ctx context.Context) error {
			_, err := s.client.TagResource(ctx, &iotsitewise.TagResourceInput{ResourceArn: hubAsset.AssetArn, Tags: map[string]string{"aws:a": "b"}})
			return err
		},
		"ResourceNotFoundException tags of another resource": func(ctx context.Context) error {
			_, err := s.client.ListTagsForResource(ctx, &iotsitewise.ListTagsForResourceInput{ResourceArn: aws.String("arn:aws:iotsitewise:a")})
			return err
		},
	}
}

func TestWhatSiteWiseRefuses(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	statuses := map[string]int{"InvalidRequestException": 400, "ResourceNotFoundException": 404, "ResourceAlreadyExistsException": 409}
	for name, ask := range siteWiseRows(s) {
		code, _, _ := strings.Cut(name, " ")
		t.Log(name)
		wantError(t, ask(t.Context()), code, statuses[code])
	}
}

// A hub has the rights that its contract or the guide of the component has; entries are refused singly.
func TestTheRightsOfHubsInSiteWise(t *testing.T) {
	t.Parallel()
	for _, asAWS := range []bool{false, true} {
		s := newSiteWise(t, Options{AsAWS: asAWS})
		client := siteWiseClient(deviceConfig(t, s.Cloud, hub))
		_, err := client.DescribeAsset(t.Context(), &iotsitewise.DescribeAssetInput{AssetId: &s.hub})
		must(t, err)
		_, err = client.DeleteAsset(t.Context(), &iotsitewise.DeleteAssetInput{AssetId: &s.hub})
		wantError(t, err, "AccessDeniedException", http.StatusForbidden)
		out, err := client.BatchGetAssetPropertyValue(t.Context(), &iotsitewise.BatchGetAssetPropertyValueInput{
			Entries: []types.BatchGetAssetPropertyValueEntry{
				{EntryId: aws.String("a"), AssetId: &s.camera, PropertyId: aws.String(s.props["CaptureStartTime"])}}})
		must(t, err)
		const deniedCode = types.BatchGetAssetPropertyValueErrorCodeAccessDeniedException
		if denied := len(out.ErrorEntries) == 1 && out.ErrorEntries[0].ErrorCode == deniedCode; denied != asAWS {
			t.Errorf("as AWS %v: the entries are %+v", asAWS, out)
		}
	}
}

// Models, assets and values outlast a restart, and a torn line of the file of values costs itself only.
func TestSiteWiseSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSiteWise(t, Options{Dir: dir})
	_, err := s.put(false, s.entry("VideoUploadedTimeRange", s.value(0, double(1)), s.value(-time.Hour, double(2))))
	must(t, err)
	must(t, s.Close())
	file, err := os.OpenFile(filepath.Join(dir, "state", "sitewise-values.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString(`{"asset":"torn`)
	must(t, err)
	must(t, file.Close())
	again := newSiteWise(t, Options{Dir: dir})
	if got, want := again.history("VideoUploadedTimeRange"), []string{"-3600 2 GOOD", "+0 1 GOOD"}; !slices.Equal(got, want) ||
		again.camera != s.camera {
		t.Errorf("after a restart camera %s has %q, want %q of %s", again.camera, got, want, s.camera)
	}
}

// Clients that put api. and data. before the endpoint's name are served under those names too.
func TestSiteWiseIsServedUnderTheNamesOfItsPlanes(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	config := userConfig(t, s.Cloud)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.Endpoint(), "https://"))
	must(t, err)
	var names []string
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pki.Pool()},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			names = append(names, address)
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		}}
	t.Cleanup(transport.CloseIdleConnections)
	config.HTTPClient, config.BaseEndpoint = &http.Client{Transport: transport}, aws.String("https://localhost:"+port)
	client := iotsitewise.NewFromConfig(config)
	_, err = client.DescribeAsset(t.Context(), &iotsitewise.DescribeAssetInput{AssetId: &s.hub})
	must(t, err)
	_, err = client.GetAssetPropertyValue(t.Context(), &iotsitewise.GetAssetPropertyValueInput{AssetId: &s.camera,
		PropertyId: aws.String(s.props["CaptureStartTime"])})
	must(t, err)
	if want := []string{"api.localhost:" + port, "data.localhost:" + port}; !slices.Equal(names, want) {
		t.Errorf("the client asked %q, want %q", names, want)
	}
}

// The AWS CLI makes models and assets, changes properties and reads values.
func TestTheAWSCLIWorksWithSiteWise(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "aws")
	c := start(t, Options{StreamDelay: -1})
	dir := t.TempDir()
	settings := []string{"-i", "PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	for _, v := range c.UserEnv() {
		settings = append(settings, v.Name+"="+v.Value)
	}
	cli := func(args ...string) string {
		t.Helper()
		command := append(append(settings, "aws", "iotsitewise", "--output", "text"), args...)
		return strings.TrimSpace(string(foreign(t, nil, dir, "env", command...)))
	}
	model := cli("create-asset-model", "--asset-model-name", "Camera", "--asset-model-properties",
		`[{"name":"Stream","dataType":"STRING","type":{"attribute":{"defaultValue":"-"}}}]`, "--query", "assetModelId")
	asset := cli("create-asset", "--asset-name", "a b", "--asset-model-id", model, "--asset-external-id", "ext:1", "--query", "assetId")
	property := cli("describe-asset", "--asset-id", "externalId:ext:1", "--query", "assetProperties[0].id")
	cli("update-asset-property", "--asset-id", asset, "--property-id", property, "--property-alias", "/a b/ü")
	failed := cli("batch-put-asset-property-value", "--query", "length(errorEntries)", "--entries", fmt.Sprintf(
		`[{"entryId":"a","propertyAlias":"/a b/ü","propertyValues":[{"value":{"stringValue":"cam"},"timestamp":{"timeInSeconds":%d}}]}]`,
		time.Now().Unix()+1))
	value := cli("get-asset-property-value", "--property-alias", "/a b/ü", "--query", "propertyValue.value.stringValue")
	if failed != "0" || value != "cam" {
		t.Errorf("the value is %q, with %s errors", value, failed)
	}
}

// AWS's player sends seconds with a fraction beside the nanoseconds.
func TestSecondsMayHaveAFraction(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	body := fmt.Sprintf(`{"entries":[{"entryId":"liveVideo","assetId":%q,"propertyId":%q,"propertyValues":[{"timestamp":`+
		`{"timeInSeconds":%d.25,"offsetInNanos":250000000},"value":{"stringValue":"live"},"quality":"GOOD"}]}]}`,
		s.camera, s.props["VideoUploadRequest"], s.clock.Now().Unix())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoint()+"/properties", strings.NewReader(body))
	must(t, err)
	answer := signedAs(t, s.Cloud, r, "iotsitewise", []byte(body))
	var out struct{ ErrorEntries []json.RawMessage }
	must(t, json.Unmarshal(answer, &out))
	if len(out.ErrorEntries) != 0 || s.latest("VideoUploadRequest") != "+0 live" {
		t.Errorf("the answer is %s, and the value %q", answer, s.latest("VideoUploadRequest"))
	}
}

// signedAs sends a request as the user, signed for a service, and returns the answer's body.
func signedAs(t *testing.T, c *Cloud, r *http.Request, service string, body []byte) []byte {
	t.Helper()
	status, answer := sendSigned(t, c, r, service, body)
	if status >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %d: %s", r.Method, r.URL.Path, status, answer)
	}
	return answer
}

// sendSigned is signedAs, with the status of the answer.
func sendSigned(t *testing.T, c *Cloud, r *http.Request, service string, body []byte) (status int, answer []byte) {
	t.Helper()
	config := userConfig(t, c)
	key, err := config.Credentials.Retrieve(t.Context())
	must(t, err)
	must(t, v4.NewSigner().SignHTTP(t.Context(), key, r, sigv4.Hash(body), service, Region, time.Now()))
	response, err := config.HTTPClient.Do(r)
	must(t, err)
	defer func() { must(t, response.Body.Close()) }()
	answer, err = io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, answer
}
