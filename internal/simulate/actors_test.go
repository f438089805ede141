package simulate

import (
	"context"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// await lets time pass; false: the life is over.
func await(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// actor does something now and then.
type actor struct {
	name string
	// every is between which bounds the pauses are.
	least, most time.Duration
	act         func(ctx context.Context, d *dice)
}

// cast are the actors of this life: some lives are without some.
func (w *world) cast() (list []func(context.Context)) {
	d := w.choices.of("cast", w.begin)
	hours := func(n float64) time.Duration { return time.Duration(n * float64(time.Hour)) }
	all := []actor{
		{"line", hours(0.3), hours(30), w.lineFails},
		{"cloud", hours(0.3), hours(20), w.cloudFails},
		{"disk", hours(1), hours(40), w.diskFails},
		{"power", hours(0.5), hours(40), w.powerFails},
		{"clock", hours(1), hours(60), w.clockSteps},
		{"configuration", hours(0.5), hours(30), w.reconfigure},
		{"people", hours(0.2), hours(12), w.people},
	}
	for stream := range w.cameras {
		all = append(all, actor{stream, hours(0.3), hours(30), func(ctx context.Context, d *dice) { w.cameraFails(ctx, d, stream) }})
	}
	for _, a := range all {
		if a.name == "clock" && !d.oneIn("clock steps", 3) || a.name != "clock" && d.oneIn("without "+a.name, 4) {
			continue
		}
		dice, most := w.choices.of(a.name, w.begin), max(4*a.least, min(a.most, w.length/2)) // short lives are eventful too
		list = append(list, func(ctx context.Context) {
			for await(ctx, dice.spread("pause", a.least, most)) {
				a.act(ctx, dice)
			}
		})
	}
	return append(list, w.inspect, w.watchLimits)
}

// inspect holds the promises against the world now and then.
func (w *world) inspect(ctx context.Context) {
	d := w.choices.of("inspection", w.begin)
	for await(ctx, d.spread("pause", 6*time.Hour, 48*time.Hour)) {
		if err := w.check(false); err != nil && err != errOff {
			w.broken("%v", err)
		}
	}
}

// watchLimits holds that no stream takes more than its limit.
func (w *world) watchLimits(ctx context.Context) {
	for await(ctx, 7*time.Minute) {
		h := w.hub.Load()
		if h == nil {
			continue
		}
		for _, stream := range h.streams.names() {
			u := h.store.Usage(stream)
			w.account.mu.Lock()
			list := w.policies[stream]
			if n := len(list); n > 0 {
				p := list[n-1]
				over := p.MaxBytes > 0 && u.Bytes+u.Growing > p.MaxBytes && u.HeldBytes == 0
				if over && time.Since(p.since) > 5*time.Minute && !w.wasTrouble(time.Now()) {
					w.fail("stream %s has %d bytes, and its limit is %d", stream, u.Bytes+u.Growing, p.MaxBytes)
				}
			}
			w.account.mu.Unlock()
		}
	}
}

func (w *world) lineFails(ctx context.Context, d *dice) {
	switch d.pick("line", 5) {
	case 0, 1:
		w.reachedState("line down")
		w.line.set(lineDown, 0)
		if lasts := d.spread("lasts", 10*time.Second, 60*time.Hour); await(ctx, lasts) && lasts > 24*time.Hour {
			w.reachedState("line down for more than a day")
		}
	case 2:
		w.reachedState("line that swallows all")
		w.line.set(lineBlack, 0)
		await(ctx, d.spread("lasts", 10*time.Second, 6*time.Hour))
	case 3:
		w.reachedState("slow line")
		w.line.set(lineUp, d.between("latency", 50*time.Millisecond, 2*time.Second))
		await(ctx, d.spread("lasts", time.Minute, time.Hour))
	default:
		w.reachedState("connections cut")
		w.line.cut()
	}
	w.line.set(lineUp, 0)
	w.control.deliver()
}

func (w *world) cloudFails(ctx context.Context, d *dice) {
	faults := w.cloud.now().Faults()
	stream := fmt.Sprintf("camera-%d", d.pick("stream", len(w.cameras)))
	points := []media.Point{media.BeforeResponse, media.BeforeBody, media.AtFragmentStart, media.MidFragment, media.AfterReceived,
		media.AfterStored}
	point := points[d.pick("point", len(points))]
	switch d.pick("cloud", 7) {
	case 0:
		w.reachedState("requests fail")
		w.cloud.setFailing(d.below("share", 900) + 50)
		await(ctx, d.spread("lasts", time.Minute, 8*time.Hour))
		w.cloud.setFailing(0)
		return
	case 1:
		w.reachedState("acknowledged late")
		faults.Inject(stream, media.DelayPersisted(d.between("late", time.Second, 40*time.Second)).Times(1<<20))
	case 2:
		w.reachedState("acknowledgements lost")
		faults.Inject(stream, media.Drop(media.EventPersisted).Times(1+d.pick("times", 40)))
	case 3:
		w.reachedState("connections reset by the cloud")
		faults.Inject(stream, media.ResetAt(point).Times(1+d.pick("times", 8)))
	case 4:
		w.reachedState("service that hangs")
		faults.Inject(stream, media.BlackHoleAt(point))
	case 5:
		w.reachedState("fragments refused")
		ids, at := []int{4004, 4005, 4006, 4500, 5000, 5001}, media.AtFragmentStart
		if d.oneIn("received", 2) { // so what was received is not in the cloud yet
			ids, at = []int{4500, 5000, 5001}, media.AfterReceived
			w.reachedState("received and not persisted")
		}
		faults.Inject(stream, media.ErrorAt(at, ids[d.pick("error", len(ids))]).Times(1+d.pick("times", 4)))
	default:
		w.reachedState("throttled")
		faults.Inject(stream, media.Refuse(400, "ClientLimitExceededException").Times(1+d.pick("times", 10)))
	}
	await(ctx, d.spread("lasts", time.Minute, 2*time.Hour))
	faults.Clear()
}

func (w *world) cameraFails(ctx context.Context, d *dice, stream string) {
	c, began := w.cameras[stream], time.Now()
	switch d.pick("camera", 3) {
	case 0:
		w.reachedState("camera off")
		c.set(true, false)
		await(ctx, d.spread("lasts", time.Second, 20*time.Hour))
	case 1:
		w.reachedState("camera silent")
		c.set(false, true)
		await(ctx, d.spread("lasts", 8*time.Second, 2*time.Hour))
	default:
		w.reachedState("camera that hiccups")
		c.set(false, true)
		await(ctx, d.between("lasts", time.Second, 5*time.Second))
	}
	c.set(false, false)
	w.trouble(began.Add(-time.Duration(c.gop)*time.Second), 2*time.Minute)
}

func (w *world) diskFails(ctx context.Context, d *dice) {
	began := time.Now()
	switch d.pick("disk", 5) {
	case 0:
		w.reachedState("slow disk")
		slow := d.between("slow", 20*time.Millisecond, 1500*time.Millisecond)
		w.disk.set(func(s *diskState) { s.slow = slow })
		await(ctx, d.spread("lasts", 10*time.Second, 20*time.Minute))
	case 1:
		w.reachedState("disk with errors")
		failing := 1 + d.below("share", 300)
		dropping := d.oneIn("syncs lose", 2)
		w.disk.set(func(s *diskState) { s.failing, s.dropping = failing, dropping })
		await(ctx, d.spread("lasts", time.Second, 10*time.Minute))
	case 2:
		w.reachedState("full disk")
		w.disk.set(func(s *diskState) { s.full = true })
		await(ctx, d.spread("lasts", time.Second, 6*time.Hour))
	default:
		w.reachedState("disk that others fill")
		w.disk.squeeze(d.below("left", 6<<20))
		await(ctx, d.spread("lasts", time.Minute, 24*time.Hour))
		w.disk.unsqueeze()
	}
	w.disk.set(func(s *diskState) { *s = diskState{} })
	w.trouble(began.Add(-time.Minute), 10*time.Minute)
}

func (w *world) powerFails(ctx context.Context, d *dice) {
	how := []string{"stop", "kill", "kill", powerCut, powerCut}[d.pick("how", 5)]
	for range 1 + d.pick("times", 3) {
		w.end(how)
		off := d.spread("off", time.Second, time.Minute)
		if d.oneIn("long", 6) {
			off = d.spread("off", time.Hour, 24*time.Hour)
			w.reachedState("off for hours")
		}
		if !w.startAfter(ctx, how, off) || !await(ctx, d.spread("up", time.Second, 10*time.Minute)) {
			return
		}
	}
}

// startAfter starts the agent again when it was off for so long. It reports false when the life ends, or the agent does not start.
func (w *world) startAfter(ctx context.Context, how string, off time.Duration) bool {
	began := time.Now()
	alive := await(ctx, off)
	w.trouble(began, 2*time.Minute)
	err := w.start()
	if err != nil && !w.busy() {
		w.broken("the agent does not start after a %s: %v", how, err)
	}
	return alive && err == nil
}

func (w *world) clockSteps(ctx context.Context, d *dice) {
	began := time.Now()
	steps := []time.Duration{3 * time.Second, time.Minute, time.Hour, 26 * time.Hour}
	by := steps[d.pick("step", len(steps))]
	if d.oneIn("back", 2) {
		by = -by
	}
	w.reachedState("clock stepped")
	w.trusted.Store(d.oneIn("trusted", 2))
	if d.oneIn("far", 2) {
		w.clockFarOff(ctx, d, by < 0)
	} else {
		w.clock.step(by)
	}
	if d.oneIn("zone", 3) {
		w.zone.Store(anyZone(d))
		w.reachedState("time zone changed")
	}
	await(ctx, d.spread("lasts", 10*time.Second, 4*time.Hour))
	w.clock.step(-w.clock.off())
	w.trusted.Store(true)
	w.trouble(began.Add(-time.Minute), 5*time.Minute)
}

// clockFarOff sets the clock to another year, where nobody says that it is right: at once, or as a hub without a battery starts.
func (w *world) clockFarOff(ctx context.Context, d *dice, back bool) {
	w.reachedState("clock far off")
	w.trusted.Store(false)
	by := d.between("years", 2*far, 6*365*24*time.Hour)
	if back {
		by = -by
	}
	boots := d.oneIn("boots", 2)
	if boots {
		w.end(powerCut)
	}
	w.clock.step(by)
	if boots {
		w.startAfter(ctx, powerCut, d.spread("off", time.Second, time.Hour))
		w.reachedState("started with a clock far off")
	}
}

// configureAll is the first configuration of each stream.
func (w *world) configureAll() {
	d := w.choices.of("first configuration", w.begin)
	for i := range len(w.cameras) {
		w.control.configure(fmt.Sprintf("camera-%d", i), w.anyConfig(d))
	}
}

// anyConfig chooses a configuration. A life of days has a recording without pauses only sometimes, as that takes long.
func (w *world) anyConfig(d *dice) *edgeconfig.EdgeConfig {
	c := &edgeconfig.EdgeConfig{HubDeviceArn: thingARN}
	c.RecorderConfig.MediaSourceConfig = edgeconfig.MediaSourceConfig{
		MediaUriSecretArn: "arn:aws:secretsmanager:us-west-2:123456789012:secret:camera-abcdef", MediaUriType: edgeconfig.RTSP}
	if d.oneIn("windows", 2) || w.length > 36*time.Hour && !d.oneIn("always", 8) {
		windows := []edgeconfig.ScheduleConfig{
			{ScheduleExpression: "0 30 1 ? * *", DurationInSeconds: 3600}, {ScheduleExpression: "0 0 8,17 ? * MON-FRI *", DurationInSeconds: 3600},
			{ScheduleExpression: "0 */30 * * * ?", DurationInSeconds: 120}, {ScheduleExpression: "0 15 2 ? * SUN *", DurationInSeconds: 3000},
			{ScheduleExpression: "0 0/20 6-8 ? * *", DurationInSeconds: 900},
		}
		c.RecorderConfig.ScheduleConfig = &windows[d.pick("window", len(windows))]
		w.reachedState("recorded in windows")
	}
	if d.oneIn("upload in windows", 2) {
		c.UploaderConfig = &edgeconfig.UploaderConfig{ScheduleConfig: &edgeconfig.ScheduleConfig{
			ScheduleExpression: "0 0 */3 * * ?", DurationInSeconds: int(d.between("upload window", 5*time.Minute, time.Hour).Seconds())}}
	}
	deletes := d.oneIn("kept after upload", 2)
	hours := 1 + d.pick("retention", 100)
	c.DeletionConfig = &edgeconfig.DeletionConfig{EdgeRetentionInHours: &hours, DeleteAfterUpload: &deletes}
	if !deletes {
		w.reachedState("kept after upload")
	}
	if d.oneIn("limit", 3) {
		megabytes := edgeconfig.MinLocalSizeMB
		c.DeletionConfig.LocalSizeConfig = &edgeconfig.LocalSizeConfig{MaxLocalMediaSizeInMB: &megabytes,
			StrategyOnFullSize: edgeconfig.DeleteOldestMedia}
		if d.oneIn("deny", 2) {
			c.DeletionConfig.LocalSizeConfig.StrategyOnFullSize = edgeconfig.DenyNewMedia
		}
	}
	return c
}

func (w *world) reconfigure(ctx context.Context, d *dice) {
	began := time.Now()
	for range 1 + d.spread("storm", 1, 64)/2 {
		stream := fmt.Sprintf("camera-%d", d.pick("stream", len(w.cameras)))
		if d.oneIn("remove", 6) {
			w.control.configure(stream, nil)
			w.reachedState("stream removed with its media")
			await(ctx, d.spread("until it comes back", time.Second, time.Hour))
		}
		w.control.configure(stream, w.anyConfig(d))
		if !await(ctx, d.spread("between", time.Millisecond, time.Minute)) {
			break
		}
	}
	w.reachedState("configuration storm")
	w.trouble(began.Add(-time.Minute), 25*time.Minute)
}

// people hold media, trigger events, and ask for uploads.
func (w *world) people(ctx context.Context, d *dice) {
	h := w.hub.Load()
	stream := fmt.Sprintf("camera-%d", d.pick("stream", len(w.cameras)))
	what, ago, lasts := d.pick("what", 4), d.spread("ago", time.Minute, 20*time.Hour), d.spread("lasts", time.Minute, 2*time.Hour)
	if h == nil {
		return
	}
	now := w.clock.now()
	switch what {
	case 0:
		asked := hold.Hold{Stream: stream, From: now.Add(-ago), To: now.Add(lasts - ago), Reason: "a test", Source: "people"}
		if d.oneIn("until", 2) {
			asked.Until = now.Add(d.spread("held for", time.Hour, 100*time.Hour))
		}
		kept, err := h.holds.Add(ctx, asked)
		if err != nil || !w.lives(h) {
			return
		}
		w.reachedState("held")
		w.hold(kept.Hold, true)
		if await(ctx, d.spread("held for", time.Hour, 100*time.Hour)) {
			w.hold(kept.Hold, false)
			if h = w.hub.Load(); h != nil {
				_, _ = h.holds.Remove(kept.ID, "people") // it may have ended, or the disk fails
			}
		}
	case 1, 2:
		pre, post := d.between("pre", 0, 10*time.Minute).Seconds(), d.between("post", 0, 10*time.Minute).Seconds()
		if _, err := h.events.ForPeer(ctx, localapi.EventRequest{Stream: stream, Pre: &pre, Post: &post}, "people"); err == nil {
			w.reachedState("event")
		}
	default:
		if h.upload(ctx, stream, now.Add(-ago), now.Add(lasts-ago)) == nil {
			w.reachedState("uploaded on demand")
		}
	}
}
