package recorder

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// conditionRows are the conditions that a recorder reports, each with its cause and what ends it.
var conditionRows = []conditiontest.Row{
	{Code: "camera", Job: health.JobRecorder,
		Start: fromSource(func(s *source) { s.hidden.Store(true) }, func(s *source) { s.hidden.Store(false) })},
	{Code: "secret-not-found", Job: health.JobRecorder, Start: withoutURL(health.UserFault("secret-not-found", nil, "No such secret."))},
	{Code: "secret-denied", Job: health.JobRecorder, Start: withoutURL(health.UserFault("secret-denied", nil, "It may not be read."))},
	{Code: "secret-content", Job: health.JobRecorder, Start: withoutURL(health.UserFault("secret-content", nil, "It is not JSON."))},
	{Code: "secret-unreachable", Job: health.JobRecorder, Start: withoutURL(health.SystemFault("secret-unreachable", nil, "No network."))},
	{Code: "camera-secret", Job: health.JobRecorder, Start: withoutURL(health.UserFault("camera-secret", nil, "It holds an empty URL."))},
	{Code: "credentials-role-alias", Job: health.JobRecorder,
		Start: withoutURL(health.UserFault("credentials-role-alias", nil, "No such alias."))},
	{Code: "credentials-certificate", Job: health.JobRecorder,
		Start: withoutURL(health.UserFault("credentials-certificate", nil, "It is refused."))},
	{Code: "credentials-clock", Job: health.JobRecorder, Start: withoutURL(health.UserFault("credentials-clock", nil, "It is off."))},
	{Code: "credentials-network", Job: health.JobRecorder, Start: withoutURL(health.SystemFault("credentials-network", nil, "No network."))},
	{Code: "credentials-trust", Job: health.JobRecorder, Start: withoutURL(health.UserFault("credentials-trust", nil, "Another CA."))},
	{Code: "credentials-service", Job: health.JobRecorder, Start: withoutURL(health.SystemFault("credentials-service", nil, "HTTP 500."))},
	{Code: "credentials-token", Job: health.JobRecorder, Start: withoutURL(health.UserFault("credentials-token", nil, "An old token."))},
	{Code: "endpoint", Job: health.JobRecorder, Start: withoutURL(health.UserFault("endpoint", nil, "It has no FIPS endpoint."))},
	{Code: "recording", Job: health.JobRecorder, Start: fromSource(func(s *source) { s.disk.Store(1) }, func(s *source) { s.disk.Store(0) })},
	{Code: "internal-error", Job: health.JobRecorder,
		Start: fromSource(func(s *source) { s.disk.Store(2) }, func(s *source) { s.disk.Store(0) })},
	{Code: "camera-data", Job: health.JobRecorder, Limit: damageClearAfter + time.Second,
		Reason: "a minute without damage shows that it is over", Start: fed(damagedVideo)},
	{Code: "timestamps", Job: health.JobRecorder, Start: fed(constantTimes)},
	{Code: "timestamps", Limit: time.Minute, Reason: "a pace is measured over 10 s", Job: health.JobRecorder, Start: fed(fastTimes)},
	{Code: "keyframe-interval", Job: health.JobRecorder, Start: fed(rareKeyframes)},
	{Code: "audio", Job: health.JobRecorder, Start: fed(otherAudio)},
	{Code: "camera-source", Job: health.JobRecorder, Start: fed(foreignPackets)},
	{Code: "audio-rate", Job: health.JobRecorder, Start: fed(audioFlood)},
	{Code: "other-tracks", Job: health.JobRecorder, Start: fed(otherTracks)},
	{Code: "audio-loss", Job: health.JobRecorder, Start: fed(audioLost)},
	{Code: "camera-clock", Job: health.JobRecorder, Limit: timeline.DistrustPeriod + 2*timeline.CameraInterval,
		Reason: "a clock is watched before it is believed", Start: fed(cameraOffTime)},
	{Code: "clock-step", Job: health.JobRecorder, Limit: unsetShown + time.Hour, Reason: "the correction is an event; it is shown for a day",
		Start: fed(unsetClock)},
	{Code: "times-ahead", Job: health.JobRecorder, Limit: unsetShown + time.Hour, Reason: "the correction is an event; it is shown for a day",
		Start: fed(aheadClock)},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, way) })
			})
		}
	}
}

// A jump of the timestamps is an event: it ends after a time, not with a success.
func TestAJumpOfTheTimestampsIsShownForMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := feed{t: t, keyEvery: 25}
		f.start()
		f.play(50)
		f.rtp += 3600 * 90_000
		f.play(50)
		shown := func() bool {
			return slices.ContainsFunc(f.part.Snapshot().Conditions, func(c health.Condition) bool { return c.Code == codeJump })
		}
		if !shown() {
			t.Error("the jump is not shown")
		}
		time.Sleep(jumpShown)
		if shown() {
			t.Error("it is still shown")
		}
	})
}

// source is a recorder of a media file, with a secret and a disk that may fail.
type source struct {
	url    atomic.Pointer[health.Fault] // the answer instead of a URL
	hidden atomic.Bool                  // the URL names a file that does not exist
	disk   atomic.Int32                 // 1: fails, 2: panics
	Store
}

// Create implements Store.
func (s *source) Create(stream string, h mkv.Header) (*segment.Writer, error) {
	switch s.disk.Load() {
	case 1:
		return nil, health.SystemFault(segment.CodeDisk, nil, "The disk is full.")
	case 2:
		panic("a test")
	}
	return s.Store.Create(stream, h)
}

func withoutURL(f *health.Fault) func(*testing.T) conditiontest.Case {
	return fromSource(func(s *source) { s.url.Store(f) }, func(s *source) { s.url.Store(nil) })
}

// fromSource has a recorder play a file repeatedly.
func fromSource(raise, repair func(*source)) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		dir := t.TempDir()
		s := &source{Store: openStore(t, segment.Options{Dir: filepath.Join(dir, "recordings")})}
		writeClip(t, filepath.Join(dir, "clip.mkv"))
		registry := health.NewRegistry(time.Now)
		raise(s) // before the first session: a running recorder notices it only at a session's end
		start := func(segments time.Duration) (stop func()) {
			r := New(Options{
				Stream: conditiontest.Stream, Store: s, SegmentDuration: segments,
				Health: registry.Component(conditiontest.Stream, health.JobRecorder),
				Source: clip.NewSource(clip.Options{Directory: dir, URL: func(context.Context) (secret.String, error) {
					if f := s.url.Load(); f != nil {
						return secret.String{}, f
					}
					if s.hidden.Load() {
						return secret.New("file:///missing.mkv?loop=true"), nil
					}
					return secret.New("file:///clip.mkv?loop=true"), nil
				}}),
			})
			ctx, cancel := context.WithCancel(context.Background())
			var group sync.WaitGroup
			group.Go(func() { _ = r.Run(ctx) }) // how the last segment is sealed does not matter here
			return func() { cancel(); group.Wait() }
		}
		stop := start(time.Minute)
		t.Cleanup(func() { stop() })
		again := func(segments time.Duration) func() { return func() { stop(); stop = start(segments) } }
		return conditiontest.Case{
			Health: registry, Now: time.Now, Step: time.Second,
			Raise: synctest.Wait, Repair: func() { repair(s) },
			Ways: map[conditiontest.Way]func(){conditiontest.Restart: again(time.Minute), conditiontest.Configuration: again(time.Hour)},
		}
	}
}

// writeClip makes a media file of two seconds.
func writeClip(t *testing.T, path string) {
	t.Helper()
	b := newSegmenterRig(t)
	for i := range 50 {
		at, nal := time.Duration(i)*tick, slice1
		if i%25 == 0 {
			nal = idr
		}
		b.frame(at, at, nal)
	}
	if err := b.recording.seal(); err != nil {
		t.Fatal(err)
	}
	list := b.store.Segments("door", time.Time{}, time.Time{})
	reader, err := b.store.OpenSegment(list[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(io.NewSectionReader(reader, 0, list[0].Bytes))
	if err := errors.Join(err, reader.Close(), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// feed is a session whose frames a test passes to a supervisor one by one, in synctest's time.
type feed struct {
	t    *testing.T
	o    *Options
	part *health.Component
	v    *supervisor

	keyEvery int           // frames
	still    bool          // the timestamps do not move
	off      time.Duration // of the camera's clock
	unset    time.Duration // of the hub's clock
	pace     uint32        // of the camera's clock

	rtp    uint32
	frames int
}

// lifetime moves synctest's clock, which starts in 2000, to a plausible time of a clock that was set.
const lifetime = 27 * 365 * 24 * time.Hour

func (f *feed) now() time.Time { return time.Now().Add(lifetime - f.unset) }

// start starts a recorder with its first session.
func (f *feed) start() {
	if f.part == nil {
		f.part = health.NewRegistry(time.Now).Component(conditiontest.Stream, health.JobRecorder)
	}
	r := New(Options{
		Stream: conditiontest.Stream, Store: openStore(f.t, segment.Options{Dir: f.t.TempDir()}), Now: f.now,
		Health: f.part, TimestampSource: TimestampCamera,
		Clock: hubclock.New(hubclock.Options{Now: f.now, Synchronised: func() bool { return true }}),
	})
	f.o = &r.o
	f.v = newSupervisor(f.o)
	f.v.Begin(accessunit.H264, 90_000, [][]byte{realSPS, realPPS}, nil)
	f.v.UnsupportedAudio(nil)
	f.v.LeftOut(nil)
}

// restart ends the recorder as its job does, and starts another one.
func (f *feed) restart() {
	f.v.endSession()
	if err := f.v.seal(); err != nil {
		f.t.Error(err)
	}
	f.part.End()
	f.start()
}

// pass lets time pass, in the bubble of the test.
func (*feed) pass(d time.Duration) { time.Sleep(d) }

// play passes on n frames.
func (f *feed) play(n int) {
	for range n {
		nal := slice1
		if f.keyEvery > 0 && f.frames%f.keyEvery == 0 {
			nal = idr
		}
		if f.frames%125 == 0 {
			f.v.CameraTime(f.now().Add(f.off), f.rtp)
		}
		f.v.AccessUnit([][]byte{[]byte(nal)}, f.rtp, f.now())
		f.frames++
		f.pass(tick)
		if !f.still {
			f.rtp += uint32(tick*9/100_000) * max(f.pace, 1)
		}
	}
}

// trouble is a fault of a session.
type trouble struct{ raise, repair func(*feed) }

func fed(how trouble) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		f := &feed{t: t, keyEvery: 25}
		registry := health.NewRegistry(time.Now)
		f.part = registry.Component(conditiontest.Stream, health.JobRecorder)
		f.start()
		f.play(25)
		return conditiontest.Case{
			Health: registry, Now: time.Now, Pass: func() { f.play(50) },
			Raise: func() { how.raise(f) }, Repair: func() { how.repair(f) },
			Ways: map[conditiontest.Way]func(){conditiontest.Restart: f.restart, conditiontest.Configuration: f.restart},
		}
	}
}

var (
	damagedVideo   = trouble{func(f *feed) { f.v.Damaged(1, errors.New("torn")) }, func(*feed) {}}
	constantTimes  = trouble{func(f *feed) { f.still = true; f.play(25) }, func(f *feed) { f.still = false }}
	rareKeyframes  = trouble{func(f *feed) { f.keyEvery = 0; f.play(260) }, func(f *feed) { f.keyEvery = 25 }}
	otherAudio     = trouble{func(f *feed) { f.v.UnsupportedAudio([]string{"Speex"}) }, func(f *feed) { f.v.UnsupportedAudio(nil) }}
	otherTracks    = trouble{func(f *feed) { f.v.LeftOut([]string{"a video (H265)"}) }, func(f *feed) { f.v.LeftOut(nil) }}
	foreignPackets = trouble{func(f *feed) { f.v.Foreign(3, "192.0.2.9", true) }, func(*feed) {}}
	audioFlood     = trouble{
		func(f *feed) {
			sound := muLawTrack()
			f.v.Begin(accessunit.H264, 90_000, [][]byte{realSPS, realPPS}, &sound)
			f.play(50)
			for i := range 60 {
				f.v.Audio(make([]byte, 60_000), uint32(i*160), f.now())
			}
		},
		func(*feed) {},
	}
	audioLost     = trouble{func(f *feed) { f.v.AudioLost(audioLossLeast) }, func(*feed) {}}
	cameraOffTime = trouble{func(f *feed) { f.off = time.Hour; f.play(250) }, func(f *feed) { f.off = 0 }}
	fastTimes     = trouble{func(f *feed) { f.pace = 2; f.play(25 * 50) }, func(f *feed) { f.pace = 1 }}
	// Synctest's times have no monotonic reading, so that the clock is set between two recorders.
	aheadClock = trouble{
		func(f *feed) {
			f.unset = -2 * time.Hour
			f.play(50)
			f.v.endSession()
			if err := f.v.seal(); err != nil {
				f.t.Error(err)
			}
			f.unset = 0
			f.v = newSupervisor(f.o)
			f.v.Begin(accessunit.H264, 90_000, [][]byte{realSPS, realPPS}, nil)
			f.play(50)
		},
		func(*feed) { time.Sleep(unsetShown) },
	}
	unsetClock = trouble{
		func(f *feed) {
			if f.unset == 0 {
				f.v.endSession()
				f.unset = lifetime
				f.play(50)
				f.unset = 0
			}
			f.play(50)
		},
		func(*feed) { time.Sleep(unsetShown) },
	}
)
