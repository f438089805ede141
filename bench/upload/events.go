package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/thinline"
)

const (
	eventRate   = 500_000   // bit/s of a camera
	eventLine   = 8_000_000 // bit/s of the line
	eventFrames = 12        // a second
	eventPre    = 10 * time.Second
	eventPost   = 5 * time.Second
	eventLength = 10 * time.Second // of a fragment of the backlog
	// eventLimit bounds the wait for an event: the whole of it is 1 MB.
	eventLimit = 2 * time.Minute
	// queued is how old the bytes are at most that arrive: what the kernel and the line hold of a connection.
	queued = 500 * time.Millisecond
	// recordedFor is how long the cameras record before the first event.
	recordedFor = 15 * time.Second
)

// eventBench is a hub on a thin line: its first stream has a backlog, which is uploaded all the time, the next ones may be live, and
// of the rest only events are uploaded.
type eventBench struct {
	o     options
	cloud *localcloud.Cloud
	api   *localapi.Client
	ended time.Time // when the backlog ends
}

// reaction is what was measured of an event.
type reaction struct {
	first, preRoll, whole time.Duration // from the trigger until its first fragment, its pre-roll, and all of it is persisted
	backlog               int           // fragments of the backlog that began to arrive before its pre-roll was persisted
	resumed               time.Duration // from its end in the cloud to the next fragment of the backlog
	missing               bool          // its pre-roll has a hole
}

// events measures the way of an event.
func events(o options) ([]figure, error) {
	line, err := thinline.New(eventLine)
	if err != nil {
		return nil, err
	}
	defer func() { _ = line.Close() }()
	b := &eventBench{o: o}
	seed := &localcloud.Seed{Things: []string{hub}}
	for i := range o.streams {
		camera, err := fakecam.Start(fakecam.Options{FPS: eventFrames, Bitrate: eventRate})
		if err != nil {
			return nil, err
		}
		defer func() { _ = camera.Close() }()
		addCamera(seed, streamName(i), camera.URL())
		b.schedule(seed, i)
	}
	if err := b.record(); err != nil {
		return nil, err
	}
	b.cloud, err = localcloud.Start(localcloud.Options{
		Dir: filepath.Join(o.dir, "cloud"), Seed: seed, MediaEndpoint: "https://" + line.Address(),
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.cloud.Close() }()
	at, err := url.Parse(b.cloud.Endpoint())
	if err != nil {
		return nil, err
	}
	line.To(at.Host)
	stop, err := startAgent(o, b.cloud, "AWS_KVS_EDGE_UPLOAD_MODE=scheduled")
	if err != nil {
		return nil, err
	}
	defer stop()
	b.api = localapi.NewClient(filepath.Join(o.dir, "agent.sock"))
	if err := b.ready(); err != nil {
		return nil, err
	}
	before, began := line.Sent(), time.Now()
	var list []reaction
	for n := range o.events {
		r, err := b.event(streamName((n*5 + 1) % o.streams))
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	used := float64(line.Sent()-before) * 8 / time.Since(began).Seconds() / eventLine
	return eventFigures(o, list, used), nil
}

// schedule has the first stream uploaded all the time, and the others in twelve hours.
func (b *eventBench) schedule(seed *localcloud.Seed, i int) {
	expression := "0 * * * * ? *"
	if i > 0 {
		expression = fmt.Sprintf("0 0 %d * * ? *", time.Now().Add(12*time.Hour).Hour())
	}
	seed.EdgeConfigs[len(seed.EdgeConfigs)-1].Config = fmt.Appendf(nil, `{"HubDeviceArn":%q,"RecorderConfig":{"MediaSourceConfig":{`+
		`"MediaUriSecretArn":"arn:aws:secretsmanager:%s:%s:secret:%s","MediaUriType":"RTSP_URI"}},`+
		`"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":%q,"DurationInSeconds":60}}}`,
		edgeconfig.HubARN(localcloud.Region, localcloud.Account, hub), localcloud.Region, localcloud.Account, streamName(i), expression)
	if i > 0 && i <= b.o.live {
		seed.Streams[len(seed.Streams)-1].Tags = map[string]string{"kvs-edge:upload": "live"}
	}
}

// record fills the backlog of the first stream.
func (b *eventBench) record() error {
	fragments := int(b.o.behind / eventLength)
	backlog := newBacklog(1, fragments, eventRate/8*int(eventLength/time.Second), eventLength)
	b.ended = backlog.at(fragments)
	return backlog.fill(filepath.Join(b.o.dir, "recordings"))
}

// ready waits until all cameras have recorded for a while, and the backlog is on its way.
func (b *eventBench) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), eventLimit)
	defer cancel()
	if err := b.cloud.Media().AwaitFragments(ctx, streamName(0), 3); err != nil {
		return err
	}
	for {
		snapshot, err := b.api.Status(ctx)
		behind := 0
		for _, st := range snapshot.Streams {
			if st.Recorder.FramesRecorded < int64(eventFrames*recordedFor.Seconds()) {
				behind++
			}
		}
		if err == nil && behind == 0 && len(snapshot.Streams) == b.o.streams {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("the cameras are not recorded"), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// event triggers one, and watches what arrives.
func (b *eventBench) event(stream string) (r reaction, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), eventLimit)
	defer cancel()
	service := b.cloud.Media()
	pre, post := eventPre.Seconds(), eventPost.Seconds()
	trigger := time.Now()
	done, err := b.api.TriggerEvent(ctx, localapi.EventRequest{Stream: stream, Pre: &pre, Post: &post, Reason: "bench"})
	if err != nil {
		return r, err
	}
	e := done.Event
	var group sync.WaitGroup
	defer group.Wait()
	covered := e.From
	known := 0
	for covered.Before(e.To.Add(-2 * time.Second)) {
		list := service.Fragments(stream)
		for ; known < len(list); known++ {
			f := list[known]
			// Those of the backlog are before the first recording of the camera.
			if f.Producer.Before(b.ended) || f.Producer.Add(f.Duration).Before(e.From) {
				continue
			}
			if r.first == 0 {
				r.first = time.Since(trigger)
			}
			// A frame lies between two fragments, and a GOP may.
			r.missing = r.missing || f.Producer.Sub(covered) > time.Second && r.preRoll == 0
			if end := f.Producer.Add(f.Duration); end.After(covered) {
				covered = end
			}
			if r.preRoll == 0 && !covered.Before(e.Time) {
				r.preRoll = time.Since(trigger)
				r.backlog = b.arrived(trigger.Add(queued), trigger.Add(r.preRoll))
			}
		}
		wait, stop := context.WithTimeout(ctx, time.Second)
		err := service.AwaitFragments(wait, stream, known+1)
		stop()
		if ctx.Err() != nil {
			return r, fmt.Errorf("event %s of %s, from %s to %s, is there up to %s: %w", e.ID, stream, e.From, e.To, covered, err)
		}
		if final, listErr := b.final(ctx, e.ID); err != nil && listErr == nil && final {
			r.missing = r.preRoll == 0 // the camera was not recorded up to its end
			break
		}
	}
	r.whole = time.Since(trigger)
	return r, b.resume(ctx, &r, e.ID)
}

// arrived counts the fragments of the backlog that began to arrive in a time.
func (b *eventBench) arrived(from, to time.Time) (n int) {
	for _, f := range b.cloud.Media().Fragments(streamName(0)) {
		if f.Producer.Before(b.ended) && f.Server.After(from) && f.Server.Before(to) {
			n++
		}
	}
	return n
}

// resume waits until the event is final, and then for the backlog.
func (b *eventBench) resume(ctx context.Context, r *reaction, id string) error {
	for final := false; !final; {
		var err error
		if final, err = b.final(ctx, id); err != nil {
			return err
		}
		if !final {
			select {
			case <-ctx.Done():
				return fmt.Errorf("event %s is not final", id)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	end := time.Now()
	if err := b.cloud.Media().AwaitFragments(ctx, streamName(0), len(b.cloud.Media().Fragments(streamName(0)))+1); err != nil {
		return fmt.Errorf("the backlog does not resume: %w", err)
	}
	r.resumed = time.Since(end)
	return nil
}

// final reports whether all of an event is in the cloud.
func (b *eventBench) final(ctx context.Context, id string) (bool, error) {
	list, err := b.api.Events(ctx, "", time.Time{}, time.Time{}, 100)
	i := slices.IndexFunc(list, func(e localapi.Event) bool { return e.ID == id })
	return i >= 0 && list[i].Streams[0].Final, err
}

// eventFigures sums up.
func eventFigures(o options, list []reaction, used float64) []figure {
	at := func(of func(reaction) time.Duration, p float64) float64 {
		var all []time.Duration
		for _, r := range list {
			all = append(all, of(r))
		}
		slices.Sort(all)
		return all[int(p*float64(len(all)-1)+0.5)].Seconds()
	}
	backlog, missing := 0, 0
	for _, r := range list {
		backlog += r.backlog
		if r.missing {
			missing++
		}
	}
	first := func(r reaction) time.Duration { return r.first }
	preRoll := func(r reaction) time.Duration { return r.preRoll }
	resumed := func(r reaction) time.Duration { return r.resumed }
	beside := fmt.Sprintf("%d events, %d streams of 500 kbit/s, %d of the others live, a line of 8 Mbit/s, a backlog of %s", len(list),
		o.streams, o.live, o.behind)
	return []figure{
		{What: "trigger to first fragment persisted, p50", Value: at(first, 0.5), Unit: "s", Beside: beside},
		{What: "trigger to first fragment persisted, p99", Value: at(first, 0.99), Unit: "s",
			Beside: "2 s, a fragment's length and its bytes by the line's rate (0.6 s) allowed"},
		{What: "trigger to whole pre-roll persisted, p50", Value: at(preRoll, 0.5), Unit: "s"},
		{What: "trigger to whole pre-roll persisted, p99", Value: at(preRoll, 0.99), Unit: "s"},
		{What: "pre-rolls with a hole", Value: float64(missing), Unit: "events"},
		{What: "backlog that began before the pre-roll was there", Value: float64(backlog), Unit: "fragments"},
		{What: "end of the event to backlog persisted, p99", Value: at(resumed, 0.99), Unit: "s"},
		{What: "share of the line that was used", Value: 100 * used, Unit: "%"},
	}
}
