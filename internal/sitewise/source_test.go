package sitewise_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	ours "github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
)

func TestCamerasAreStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t, seed)
	r.start()
	r.awaitStreams("back-door", "front-door")
	want := desired.Stream{
		Name: "front-door", Media: desired.Media{SecretARN: secretARN}, Record: desired.Always(), Origin: desired.SiteWise,
		Upload: desired.Upload{Schedule: desired.Never(), Tags: desired.Tags{Upload: "on-request", Camera: "front"}},
		Keep:   desired.Keep{MaxAge: 2 * time.Hour, Local: true},
	}
	got := r.wanted()["front-door"]
	if want.Version = got.Version; got != want || got.Version == 0 {
		t.Errorf("front wants %+v, want %+v", got, want)
	}
	if back := r.wanted()["back-door"]; !back.Record.IsNever() || back.Keep.MaxAge != time.Hour {
		t.Errorf("back wants %+v", back)
	}
	camera, ok := r.source.Cameras().Of("front-door")
	if !ok || camera.Asset != r.asset("front") || camera.Name != "front" || camera.RetentionMinutes != 120 ||
		camera.Properties[ours.UploadedRange] != r.property(camera.Asset, "VideoUploadedTimeRange") || len(camera.Properties) != 11 {
		t.Errorf("the camera is %+v", camera)
	}
	r.eventually("all is known", func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.all || len(r.unclear) > 0 {
			return fmt.Errorf("known %t, unclear %v", r.all, r.unclear)
		}
		return nil
	})
	if s := r.source.Sync("front-door"); s.Status != "IN_SYNC" {
		t.Errorf("its status is %+v", s)
	}
	if s := r.source.State(); s.HubName != "hub-1" || s.Cameras != 2 || s.Read.IsZero() {
		t.Errorf("the state is %+v", s)
	}
	if text := r.source.Deletion("front-door"); !strings.Contains(text, "the asset front ("+camera.Asset+")") {
		t.Error(text)
	}
}

// Row 2: the model of the hub's asset is checked, and the process continues.
func TestRow2TheHubsModelIsChecked(t *testing.T) {
	t.Parallel()
	r := newRig(t, seed)
	model, err := r.owner.CreateAssetModel(t.Context(), &iotsitewise.CreateAssetModelInput{AssetModelName: aws.String("Pump")})
	must(t, err)
	pump, err := r.owner.CreateAsset(t.Context(), &iotsitewise.CreateAssetInput{AssetName: aws.String("pump"),
		AssetModelId: model.AssetModelId})
	must(t, err)
	if _, err := ours.ReadHub(t.Context(), r.client, *pump.AssetId); err == nil || !strings.Contains(err.Error(),
		`is of the model "Pump", but the model of a hub begins with EdgeConnectorForKVSHubModel: correct AWS_KVS_EDGE_SITEWISE_HUB_ASSET`) {
		t.Errorf("a pump is read with %v", err)
	}
}

// Row 3: all hierarchies of the hub, and all pages of each. No cameras is a sentence, and not an end.
func TestRow3AllHierarchiesAndNoCameras(t *testing.T) {
	t.Parallel()
	r := newRig(t, localcloud.SeedHub{Name: "hub-1", ID: hubID})
	r.start()
	r.awaitCondition("sitewise", "has no cameras below it")
	r.awaitStreams()
	// A hub with two hierarchies, of models with names in other cases: row 4.
	definitions := func(names ...string) (list []types.AssetModelPropertyDefinition) {
		for _, name := range names {
			list = append(list, types.AssetModelPropertyDefinition{Name: &name, DataType: types.PropertyDataTypeString,
				Type: &types.PropertyType{Attribute: &types.Attribute{}}})
		}
		return list
	}
	create := func(name string, hierarchies []types.AssetModelHierarchyDefinition, names ...string) string {
		out, err := r.owner.CreateAssetModel(t.Context(), &iotsitewise.CreateAssetModelInput{AssetModelName: &name,
			AssetModelProperties: definitions(names...), AssetModelHierarchies: hierarchies})
		must(t, err)
		return *out.AssetModelId
	}
	one := create("Lower", nil, "kinesisvideostreamname", "RTSPSTREAMSECRETARN", "capturestarttime")
	two := create("EdgeConnectorForKVSCameraModel-ffff", nil, "KinesisVideoStreamName", "RTSPStreamSecretARN")
	hub := create("EdgeConnectorForKVSHubModel-ffff", []types.AssetModelHierarchyDefinition{
		{Name: aws.String("a"), ChildAssetModelId: &one}, {Name: aws.String("b"), ChildAssetModelId: &two}})
	asset := func(name, model string) string {
		out, err := r.owner.CreateAsset(t.Context(), &iotsitewise.CreateAssetInput{AssetName: &name, AssetModelId: &model})
		must(t, err)
		return *out.AssetId
	}
	parent := asset("site", hub)
	described, err := r.owner.DescribeAsset(t.Context(), &iotsitewise.DescribeAssetInput{AssetId: &parent})
	must(t, err)
	for i, model := range []string{one, two} {
		name := fmt.Sprint("cam-", i)
		child := asset(name, model)
		_, err := r.owner.AssociateAssets(t.Context(), &iotsitewise.AssociateAssetsInput{AssetId: &parent, ChildAssetId: &child,
			HierarchyId: described.AssetHierarchies[i].Id})
		must(t, err)
		r.set(child, "KinesisVideoStreamName", name)
	}
	read, err := ours.ReadHub(t.Context(), r.client, parent)
	must(t, err)
	if len(read.Cameras) != 2 || read.Cameras[0].Values[ours.StreamName] != "cam-0" || read.Cameras[1].Values[ours.StreamName] != "cam-1" ||
		slices.Contains(read.Cameras[0].Missing, ours.CaptureStart) || !slices.Contains(read.Cameras[1].Missing, ours.CaptureStart) {
		t.Errorf("it reads %+v", read.Cameras)
	}
}

// Row 5: a changed property, a new and a removed camera are in force without a restart, and other streams stay as they are.
func TestRow5ChangesAreInForceWithoutARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, seed)
	r.start()
	r.awaitStreams("back-door", "front-door")
	before := r.wanted()["front-door"]
	r.set(r.asset("back"), "LocalDataRetentionPeriodInMinutes", 5)
	r.eventually("the retention", func() error {
		if got := r.wanted()["back-door"].Keep.MaxAge; got != 5*time.Minute {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
	back := r.asset("back")
	hub, err := r.owner.DescribeAsset(t.Context(), &iotsitewise.DescribeAssetInput{AssetId: aws.String(hubID)})
	must(t, err)
	hierarchy := hub.AssetHierarchies[0].Id
	_, err = r.owner.DisassociateAssets(t.Context(), &iotsitewise.DisassociateAssetsInput{AssetId: aws.String(hubID), ChildAssetId: &back,
		HierarchyId: hierarchy})
	must(t, err)
	r.awaitStreams("front-door")
	_, err = r.owner.AssociateAssets(t.Context(), &iotsitewise.AssociateAssetsInput{AssetId: aws.String(hubID), ChildAssetId: &back,
		HierarchyId: hierarchy})
	must(t, err)
	r.awaitStreams("back-door", "front-door")
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, set := range r.applied {
		if s, there := set["front-door"]; there && s != before {
			t.Errorf("application %d disturbs front-door: %+v, before %+v", i, s, before)
		}
	}
}

// A wrong value is that of its camera alone, whose values of before stay in force.
func TestOneWrongCameraStopsNoOther(t *testing.T) {
	t.Parallel()
	hub := seed
	hub.Cameras = append(slices.Clone(seed.Cameras), sitewise.SeedCamera{Name: "new"})
	r := newRig(t, hub)
	r.start()
	r.awaitStreams("back-door", "front-door")
	r.awaitCondition("sitewise-camera/new", "is wrong, and it is not recorded: KinesisVideoStreamName is \"<Replace with KVS stream name>\", "+
		"but must be the name of a stream of Kinesis Video Streams: replace the default value of the model; RTSPStreamSecretARN is")
	r.set(r.asset("front"), "CaptureStartTime", "every day")
	r.awaitCondition("sitewise-camera/front", "is wrong, and its values of before stay in force for stream front-door: CaptureStartTime is "+
		"\"every day\", but must be")
	r.awaitStreams("back-door", "front-door")
	r.set(r.asset("front"), "CaptureStartTime", "0 8 * * ?")
	r.awaitCondition("sitewise-camera/front", "CaptureDurationInMinutes is \"0\", but must be at least 1 minute")
	r.set(r.asset("front"), "CaptureDurationInMinutes", 2000)
	r.awaitCondition("sitewise-camera/front", "is not shorter than the time from one start of CaptureStartTime to the next (24 h 00 min), so "+
		"it is always")
	r.set(r.asset("front"), "CaptureDurationInMinutes", 60)
	r.awaitCondition("sitewise-camera/front", "")
	r.eventually("the schedule", func() error {
		if got := r.wanted()["front-door"].Record.String(); !strings.Contains(got, "8:00") {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

// Row 7: of two cameras with one stream the second is a user error, also after a restart.
func TestRow7TwoCamerasWithOneStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, seed)
	r.start()
	r.awaitStreams("back-door", "front-door")
	r.set(r.asset("back"), "KinesisVideoStreamName", "front-door") // its name is before front
	for range 2 {
		r.awaitStreams("front-door")
		r.awaitCondition("sitewise-camera/back", "is not recorded: KinesisVideoStreamName is front-door, as that of the asset front: give each "+
			"camera a stream of its own.")
		if camera, _ := r.source.Cameras().Of("front-door"); camera.Name != "front" {
			t.Errorf("the stream is that of %s", camera.Name)
		}
		r.stop()
		r.start()
	}
}

// What was read last is in force without a network, and named as such when SiteWise answers with an error.
func TestTheLastGoodSetIsInForceOffline(t *testing.T) {
	t.Parallel()
	r := newRig(t, seed)
	r.start()
	r.awaitStreams("back-door", "front-door")
	before := maps.Clone(r.wanted())
	r.eventually("the file", func() error {
		if r.state.Missing("sitewise.json") {
			return fmt.Errorf("it is missing")
		}
		return nil
	})
	r.stop()
	r.cloud.Faults().RefuseOperation("DescribeAsset", 500, "InternalFailureException")
	r.applied = nil
	r.start()
	if got := r.wanted(); !maps.Equal(got, before) {
		t.Errorf("at the start %+v is in force, want %+v", got, before)
	}
	if restored := r.source.Restored(); !maps.Equal(restored, before) {
		t.Errorf("%+v is restored", restored)
	}
	r.awaitCondition("sitewise", "AWS IoT SiteWise answers DescribeAsset with HTTP status 500 InternalFailureException; the agent keeps "+
		"trying. Its 2 cameras stay as they were read last.")
}

// Row 9: a window that is under way is joined, live windows record too, and what is asked for lasts until it is over.
func TestRow9WindowsUnderWayAndRow16LiveRequests(t *testing.T) {
	t.Parallel()
	hub := seed
	hub.Cameras = []sitewise.SeedCamera{{Name: "front", Stream: "front-door", Secret: secretARN, LiveStart: "50 11 * * ?", LiveMinutes: 20}}
	r := newRig(t, hub)
	r.start() // it is 12:00
	await := func(what string, record, live bool) desired.Stream {
		t.Helper()
		r.eventually(what, func() error {
			s := r.wanted()["front-door"]
			if (s.Record == desired.Always()) != record || (s.Upload.LiveSince != 0) != live {
				return fmt.Errorf("it wants %+v", s)
			}
			return nil
		})
		return r.wanted()["front-door"]
	}
	first := await("the window under way", true, true)
	r.stop()
	r.pass(time.Minute)
	r.start() // in the same window
	if again := await("after a restart", true, true); again.Upload.LiveSince != first.Upload.LiveSince {
		t.Errorf("live since %d after a restart, %d before", again.Upload.LiveSince, first.Upload.LiveSince)
	}
	r.pass(10 * time.Minute)
	await("the end of the window", false, false)
	asset := r.asset("front")
	now := r.now
	r.source.Live(asset, now, now.Add(5*time.Minute))
	if s := await("a request", true, true); s.Upload.LiveSince != now.UnixMilli() {
		t.Errorf("live since %d, want %d", s.Upload.LiveSince, now.UnixMilli())
	}
	r.pass(4 * time.Minute)
	r.source.Live(asset, r.now, r.now.Add(5*time.Minute)) // renewed
	r.pass(4 * time.Minute)
	if s := await("a renewed request", true, true); s.Upload.LiveSince != now.UnixMilli() {
		t.Errorf("the renewal begins it again: %d", s.Upload.LiveSince)
	}
	r.pass(time.Minute)
	await("its end", false, false)
}

// Row 7: streams that are missing are created with tag and retention, and waited for.
func TestRow7StreamsAreCreated(t *testing.T) {
	t.Parallel()
	testStreamsAreCreated(t)
}
