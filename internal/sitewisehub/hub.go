// Package sitewisehub puts the parts together of a hub that AWS IoT SiteWise configures: its source of streams, what creates
// these, the requests for uploads, and what writes back which video there is. It must not do any of their work.
package sitewisehub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/request"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/trickle"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/writeback"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// Applier is the part of precedence.Source that a source needs.
type Applier interface {
	sitewise.Applier
	Changed() <-chan struct{}
	Applied(all bool, unclear []string)
}

// Options of a Hub. All are required.
type Options struct {
	Settings settings.Settings
	AWS      awsclient.Config
	KVS      *kvs.Client
	Applier  Applier
	Clock    *scheduler.Clock
	State    statefile.Dir
	// Upload uploads what was recorded of a stream; see ondemand.Uploads.ForCloud.
	Upload func(ctx context.Context, stream string, from, to time.Time, each func(done, total int)) error
	// On uploads with a stream's uploader; see ondemand.Uploads.
	On    func(ctx context.Context, stream string, do func(context.Context, *uploader.Uploader) error) error
	Store uploader.Media
	// WriteBack has what the writing needs to know of the hub; the rest is set here.
	WriteBack writeback.Options
	Health    *health.Registry
	Log       *zap.Logger
}

// Hub is a hub that SiteWise configures.
type Hub struct {
	o        Options
	client   *cloud.Client
	source   *sitewise.Source
	requests *request.Requests
	writer   *writeback.Writer
	marks    *trickle.Marks
	trickle  *trickle.Trickle

	messages chan []byte // that SiteWise published
	notified atomic.Bool // all of them arrive
}

// maxMessages bounds the messages that wait: what is beyond is found when the properties are read.
const maxMessages = 128

// New returns a Hub that knows what earlier runs have read.
func New(o Options) *Hub {
	h := &Hub{o: o, client: cloud.New(o.AWS), messages: make(chan []byte, maxMessages)}
	h.source = sitewise.New(sitewise.Options{
		Hub: o.Settings.SiteWise.HubAsset, Cloud: h.client, State: o.State, Applier: o.Applier, OutcomeChanged: o.Applier.Changed(),
		Applied: o.Applier.Applied, Clock: o.Clock.Now, Log: o.Log, Health: o.Health.Component("", health.JobConfig),
	})
	h.requests = request.New(request.Options{
		Cameras: h.source.Cameras, Cloud: h.client, Live: h.source.Live, Upload: o.Upload, Messages: h.messages, Notified: h.notified.Load,
		Dir: o.State, Now: time.Now, Health: o.Health, Log: o.Log,
	})
	h.openTrickle()
	o.WriteBack.Trickle = h.marks.Has
	o.WriteBack.Cameras, o.WriteBack.Put, o.WriteBack.Dir = h.cameras, h.client, o.State.Path()
	o.WriteBack.Health, o.WriteBack.Log, o.WriteBack.Now = o.Health.Component("", health.JobSiteWise), o.Log, time.Now
	h.writer = writeback.New(o.WriteBack)
	return h
}

// cameras are those of which video is written back.
func (h *Hub) cameras() (list []writeback.Camera) {
	for _, c := range h.source.Cameras() {
		list = append(list, writeback.Camera{Stream: c.Stream, Asset: c.Asset, Uploaded: c.Properties[sitewise.UploadedRange],
			Recorded: c.Properties[sitewise.RecordedRange], Cached: c.Properties[sitewise.CachedAgeOut]})
	}
	return list
}

// Persisted takes the receipt of a fragment that Kinesis Video Streams has stored.
func (h *Hub) Persisted(stream string, r receipt.Receipt) {
	h.writer.Note(stream, r)
	h.trickle.Note(stream, r)
}

// Notifications are how the connection to AWS IoT takes part. h may be nil: then there are none.
func (h *Hub) Notifications() iotconfig.Notifications {
	if h == nil {
		return iotconfig.Notifications{}
	}
	changed, _ := h.source.Changed() // for the life of the agent
	return iotconfig.Notifications{
		Topics: func() []string { return slices.Sorted(maps.Values(h.source.Topics())) }, Changed: changed,
		Receive: func(payload []byte) {
			select {
			case h.messages <- slices.Clone(payload):
			default:
			}
		},
		Subscribed: h.notified.Store,
	}
}

// Source is where the cameras are known.
func (h *Hub) Source() *sitewise.Source { return h.source }

// Client speaks to SiteWise with the hub's credentials.
func (h *Hub) Client() *cloud.Client { return h.client }

// Row is the source as the others see it.
func (h *Hub) Row() precedence.Row {
	const correct = "correct the properties of its camera asset in AWS IoT SiteWise, or take the asset out of the hub's"
	tasks := []precedence.Task{
		{What: "Reading the assets of AWS IoT SiteWise", Run: h.source.Run},
		{What: "Creating the streams of cameras of AWS IoT SiteWise", Run: h.ensureStreams},
		{What: "Following the requests over AWS IoT SiteWise", Run: h.requests.Run},
		{What: "Writing to AWS IoT SiteWise which video there is", Run: h.writer.Run},
	}
	if h.o.Settings.SiteWise.Trickle {
		tasks = append(tasks, precedence.Task{What: "Keeping streams of AWS IoT SiteWise warm", Run: h.trickle.Run})
	}
	return precedence.Row{
		Origins: []desired.Origin{desired.SiteWise}, Restored: h.source.Restored(), Sync: h.source.Sync, Deletion: h.source.Deletion,
		Chosen: true, // by the id of its asset, which no hub has by default
		Await:  "wait until the hub's assets are read from AWS IoT SiteWise", Refused: correct, Start: h.source.Start,
		Tasks: tasks,
		Retry: h.source.ReadNow,
	}
}

// ensureStreams creates the streams that do not exist.
func (h *Hub) ensureStreams(ctx context.Context) {
	sitewise.EnsureStreams(ctx, sitewise.StreamOptions{
		Source: h.source, Health: h.o.Health, Log: h.o.Log, Meaning: meaningOf,
		Ensure: func(ctx context.Context, stream string) (bool, error) {
			return h.o.KVS.Ensure(ctx, kvs.NewStream{Name: stream, RetentionHours: h.o.Settings.SiteWise.RetentionHours,
				Tags: map[string]string{sitewise.TagHub: h.o.Settings.IoT.ThingName}})
		},
	})
}

// meaningOf says what an error of Kinesis Video Streams means, and which right is missing by it.
func meaningOf(err error) (awserr.Error, string) {
	var answer *kvs.RequestError
	if !errors.As(err, &answer) {
		return awserr.Of(err), ""
	}
	return answer.Meaning, answer.Meaning.Permission("kinesisvideo:" + answer.Operation)
}

// Status is the hub as status shows it; nil for a nil Hub.
func (h *Hub) Status() *status.SiteWise {
	if h == nil {
		return nil
	}
	s := h.source.State()
	b := h.writer.Status()
	shown := &status.SiteWise{Asset: s.Hub, Name: s.HubName, Cameras: s.Cameras, ReadAt: s.Read, ChangedAt: s.Changed,
		WriteBack: status.SiteWiseWriteBack{Waiting: b.Waiting, WaitingSince: b.Since, Refused: b.Refused, TooOld: b.Frozen,
			WrittenAt: b.Written}}
	for _, r := range h.requests.List() {
		shown.Requests = append(shown.Requests, status.SiteWiseRequest{
			Stream: r.Stream, Asset: r.Asset, Request: r.Request, Time: r.Time, Status: r.Status, Details: r.Details, FragmentsDone: r.Done,
			FragmentsTotal: r.Total,
		})
	}
	return shown
}
