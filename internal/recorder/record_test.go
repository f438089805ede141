package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// patience bounds every wait for an event that must come: it is long, as machines are slow at times.
const patience = time.Minute

// rig is a recorder between a camera and a store, all real.
type rig struct {
	recorder *Recorder
	t        *testing.T
	stream   string
	dir      string
	store    *segment.Store
	camera   *fakecam.Camera
	health   *health.Registry
	part     *health.Component
	logs     *observer.ObservedLogs
	segments chan Segment
	late     func() time.Duration
	handed   *atomic.Int64 // frames of video that were handed to the file; some wait in memory
	stop     context.CancelFunc
	ended    chan error
}

func startCamera(t *testing.T, o fakecam.Options) *fakecam.Camera {
	t.Helper()
	camera, err := fakecam.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = camera.Close() })
	return camera
}

// record starts recording a camera; change may modify the recorder's options.
func record(t *testing.T, camera *fakecam.Camera, url string, change ...func(*Options)) *rig {
	t.Helper()
	dir := t.TempDir()
	return recordInto(t, openStore(t, segment.Options{Dir: dir}), dir, "door", camera, url, change...)
}

// openStore opens a store for as long as the test lasts.
func openStore(t *testing.T, o segment.Options) *segment.Store {
	t.Helper()
	store, err := segment.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// recordInto is record for a stream of a store with several.
func recordInto(t *testing.T, store *segment.Store, dir, stream string, device *fakecam.Camera, url string, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, stream: stream, dir: dir, store: store, camera: device, segments: make(chan Segment, 1000), ended: make(chan error, 1)}
	r.late = testtools.SchedulingDelay(t)
	r.health = health.NewRegistry(time.Now)
	r.part = r.health.Component(stream, health.JobRecorder)
	core, logs := observer.New(zap.DebugLevel)
	r.logs = logs
	o := Options{
		Stream: stream, Store: r.store, Health: r.part, Log: zap.New(core),
		Source:    &rigSource{Options: camera.Options{URL: func(context.Context) (secret.String, error) { return secret.New(url), nil }}},
		OnSegment: func(s Segment) { r.segments <- s },
		Backoff:   backoff.Policy{Min: 20 * time.Millisecond, Max: 100 * time.Millisecond},
	}
	if device != nil { // a starved machine that does not read is not a stall of the camera, where a test is about other things
		cameraOf(&o).Limits.Stall = patience
	}
	for _, f := range change {
		f(&o)
	}
	o.Source = started(o)
	r.handed = countWrites(&o)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	r.recorder = New(o)
	go func() { r.ended <- r.recorder.Run(ctx) }()
	t.Cleanup(r.finish)
	return r
}

// Names of package camera, as most tests have a variable called camera.
const (
	transportTCP = camera.TransportTCP
	transportUDP = camera.TransportUDP
	frameMark    = '$' // starts an interleaved frame; its header has frameHeader bytes
	frameHeader  = 4
)

// limits are those of a session with a camera.
var limits = camera.DefaultLimits()

// stallsAfter shortens how long a session may have no video; it is checked every tenth of that.
func stallsAfter(limit time.Duration) func(*Options) {
	return func(o *Options) {
		cameraOf(o).Limits.Stall, cameraOf(o).Limits.StallCheck = limit, limit/10
	}
}

// rigSource is a camera whose options a test changes before it is recorded.
type rigSource struct {
	camera.Options
	Source // nil
}

// cameraOf returns the camera of a test's options.
func cameraOf(o *Options) *camera.Options { return &o.Source.(*rigSource).Options }

// started returns the source of a test's options. It shares the recorder's clock and log.
func started(o Options) Source {
	switch s := o.Source.(type) {
	case *rigSource:
		s.Options.Now, s.Options.Log = o.Now, o.Log
		return camera.NewSource(s.Options)
	case *clipSource:
		s.Options.Now = o.Now
		return clip.NewSource(s.Options)
	}
	return o.Source
}

// finish ends the recording and waits for it.
func (r *rig) finish() {
	r.t.Helper()
	r.stop()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("the recorder ended with %v", err)
		}
		r.ended <- nil
	case <-time.After(patience):
		r.t.Fatal("the recorder does not stop")
	}
}

// await waits until done returns true, checking whenever the recorder's health or the store changes.
func (r *rig) await(what string, done func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for !done() {
		if backoff.Sleep(ctx, 10*time.Millisecond) != nil {
			r.t.Fatalf("%s did not come: %+v", what, r.part.Snapshot())
		}
	}
}

func (r *rig) number(name string) int64 { return r.part.Value(name) }

// awaitFrames waits for so many recorded frames, for as long as there are more and more.
func (r *rig) awaitFrames(n int64) {
	r.t.Helper()
	for last := int64(-1); last < n; {
		r.await("frames", func() bool { return r.number(health.FramesRecorded) > last })
		last = r.number(health.FramesRecorded)
	}
}

func (r *rig) awaitCondition(text string) health.Condition {
	r.t.Helper()
	var found health.Condition
	r.await("a sentence with "+text, func() bool {
		for _, c := range r.part.Snapshot().Conditions {
			if strings.Contains(c.Text, text) {
				found = c
				return true
			}
		}
		return false
	})
	return found
}

// countWrites counts the frames of video that are written.
func countWrites(o *Options) *atomic.Int64 {
	n, wrap := new(atomic.Int64), o.wrapWriter
	o.wrapWriter = func(w segmentWriter) segmentWriter {
		w = countingWriter{w, n}
		if wrap != nil {
			w = wrap(w)
		}
		return w
	}
	return n
}

type countingWriter struct {
	segmentWriter
	frames *atomic.Int64
}

func (w countingWriter) WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error {
	err := w.segmentWriter.WriteFrame(track, t, keyframe, parts)
	if track == 1 {
		w.frames.Add(1)
	}
	return err
}

// recordings lists the stream's segments, oldest first.
func (r *rig) recordings() []segment.Info {
	return r.store.Segments(r.stream, time.Time{}, time.Time{})
}

// recorded is a frame as read from the disk.
type recorded struct {
	counter  uint64
	sent     time.Time // by the camera's stamp
	time     time.Time
	keyframe bool
}

// eachRecording opens one segment of the stream after the other.
func (r *rig) eachRecording(read func(info segment.Info, m *mkv.Reader, fragments []mkv.Fragment)) {
	r.t.Helper()
	for _, info := range r.recordings() {
		readSegment(r.t, r.store, info, func(m *mkv.Reader, fragments []mkv.Fragment) { read(info, m, fragments) })
	}
}

// readSegment opens a segment.
func readSegment(t *testing.T, store *segment.Store, info segment.Info, read func(m *mkv.Reader, fragments []mkv.Fragment)) {
	t.Helper()
	reader, err := store.OpenSegment(info.Key)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mkv.Open(reader, info.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	fragments, err := m.Fragments()
	if err != nil {
		t.Fatal(err)
	}
	read(m, fragments)
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
}

// frames reads all frames of the stream, and checks what KVS demands of fragments.
func (r *rig) frames() []recorded {
	r.t.Helper()
	var list []recorded
	last := time.Time{}
	r.eachRecording(func(info segment.Info, m *mkv.Reader, fragments []mkv.Fragment) {
		for i, f := range fragments {
			start := m.Header().Start.Add(f.Start)
			if !start.After(last) {
				r.t.Errorf("fragment %d of %s starts at %s, not after %s", i, info.StartTime(), start, last)
			}
			if f.Last-f.Start > 20*time.Second {
				r.t.Errorf("fragment %d of %s lasts %s", i, info.StartTime(), f.Last-f.Start)
			}
			tracks := make(map[uint8]bool)
			before := last
			for b, err := range m.Blocks(f) {
				if err != nil {
					r.t.Fatal(err)
				}
				tracks[b.Track] = true
				if at := m.Header().Start.Add(b.Time); !at.After(before) {
					r.t.Errorf("fragment %d of %s has a frame of track %d at %s, the previous one ends at %s", i, info.StartTime(), b.Track, at, before)
				}
				if b.Track != 1 {
					continue
				}
				stamp, ok := stamps.OfAccessUnit(b.Data)
				if !ok {
					r.t.Fatal("a frame without a stamp")
				}
				at := m.Header().Start.Add(b.Time)
				if at.After(last) {
					last = at
				}
				list = append(list, recorded{stamp.Counter, stamp.Sent, at, b.Keyframe})
			}
			for _, track := range m.Header().Tracks {
				if !tracks[track.Number] && !onlyHere(track) {
					r.t.Errorf("fragment %d of %s has no frames of track %d", i, info.StartTime(), track.Number)
				}
			}
		}
	})
	return list
}

// expectAll compares what was recorded with what the camera sent, frame by frame.
func (r *rig) expectAll() []recorded {
	r.t.Helper()
	var want []uint64
	for _, s := range r.camera.Sessions() {
		for i := range s.Frames {
			want = append(want, s.First+uint64(i))
		}
	}
	got := r.frames()
	if len(got) != len(want) {
		r.t.Errorf("%d frames are recorded, the camera sent %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i].counter != want[i] {
			r.t.Fatalf("frame %d is number %d, the camera sent %d there", i, got[i].counter, want[i])
		}
	}
	return got
}

// expectOneSession settles, and expects every frame of the camera's only session.
func (r *rig) expectOneSession() {
	r.t.Helper()
	r.settle()
	r.expectAll()
	if n := len(r.camera.Sessions()); n != 1 {
		r.t.Errorf("%d sessions", n)
	}
}

// settle silences the camera, waits until all it sent is recorded, and unplugs it: frames on their way
// when a connection breaks would be lost.
func (r *rig) settle() {
	r.t.Helper()
	r.await("the first frame", func() bool { // else those of the first moments wait for the camera's next one
		return r.handed.Load()+r.number(health.FramesLost) > 0 || sent(r.camera) == 0
	})
	r.camera.Stall()
	r.await("what the camera has queued on its way", func() bool {
		return !slices.ContainsFunc(r.camera.Sessions(), func(s fakecam.Session) bool { return s.Queued > 0 })
	})
	r.await(fmt.Sprintf("the last of %d frames, of which %d had come,", sent(r.camera), r.handed.Load()),
		func() bool { return r.handed.Load()+r.number(health.FramesLost) >= sent(r.camera) })
	r.camera.Unplug()
	r.await("the last frames in their file", func() bool {
		return r.number(health.FramesRecorded)+r.number(health.FramesLost) >= sent(r.camera)
	})
	r.finish()
}

func TestEveryFrameIsRecordedOnceAcrossSegments(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]fakecam.Options{
		"plain":    {},
		"password": {User: "us er", Pass: "p@ss:w/rd%1"},
		"4 Mbit/s": {Bitrate: 4_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seamless(t, o)
		})
	}
}

// seamless records a camera in several segments and expects every frame in order.
func seamless(t *testing.T, o fakecam.Options) *rig {
	t.Helper()
	camera := startCamera(t, o)
	r := record(t, camera, camera.URL(), func(o *Options) { o.SegmentDuration = 2 * time.Second })
	r.awaitFrames(130)
	r.settle()
	r.expectSteps(r.expectAll(), tick)
	if n := len(r.recordings()); n < 2 {
		t.Errorf("%d segments, want several", n)
	}
	if n := r.number(health.FramesLost); n != 0 {
		t.Errorf("%d frames counted as lost", n)
	}
	return r
}

// expectSteps expects even distances: slewing and rounding together change them by a ms at most. On a machine that falls
// further and further behind the camera's clock seems slow, and distances are scaled by it, by 5 % at most; and frames that
// are late repeatedly by a quarter of a second, which is a stall of the network, are dated by their arrival.
func (r *rig) expectSteps(frames []recorded, step time.Duration) {
	r.t.Helper()
	most := time.Millisecond
	if late := r.late(); late > 30*time.Millisecond {
		r.t.Logf("the machine was late by %s", late)
		most += step / 20
		if late > 250*time.Millisecond {
			most += late
		}
	}
	expectStepsWithin(r.t, frames, step, most)
}

func expectStepsWithin(t *testing.T, frames []recorded, step, most time.Duration) {
	t.Helper()
	for i := 1; i < len(frames); i++ {
		if d := frames[i].time.Sub(frames[i-1].time); (d - step).Abs() > most {
			t.Errorf("frame %d comes %s after the previous one", i, d)
		}
	}
}

func TestFilesPassToolsOfOthers(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe", "ffmpeg", "mkvinfo")
	camera := startCamera(t, fakecam.Options{})
	r := record(t, camera, camera.URL(), func(o *Options) { o.SegmentDuration = 2 * time.Second })
	r.awaitFrames(80)
	r.settle()
	var pictures []string
	for _, info := range r.recordings() {
		paths, err := filepath.Glob(filepath.Join(r.dir, "door", info.StartTime().Format("20060102T150405.000Z")+"*.mkv"))
		if err != nil || len(paths) != 1 {
			t.Fatal(paths, err)
		}
		pictures = append(pictures, cleanPictures(t, paths[0], belowStamps...)...)
	}
	// The camera plays its clip in a loop from its first keyframe, so the pictures must be the clip's.
	clip := frameSums(t, clipFile)
	for i, sum := range pictures {
		if sum != clip[i%len(clip)] {
			t.Fatalf("picture %d is not the camera's", i)
		}
	}
	if len(pictures) < 80 {
		t.Errorf("%d pictures", len(pictures))
	}
}

// checksums has ffmpeg write a checksum of each picture. MD5 would take longer than the decoding.
var checksums = []string{"-f", "framehash", "-hash", "murmur3"}

func frameSums(t *testing.T, path string, filter ...string) []string {
	t.Helper()
	arguments := slices.Concat([]string{"-v", "error", "-i", path, "-an", "-fps_mode", "passthrough"}, filter, checksums, []string{"-"})
	out, err := exec.Command("ffmpeg", arguments...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return sums(string(out))
}

// sums extracts the checksums from what ffmpeg writes.
func sums(text string) (list []string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			fields := strings.Split(strings.TrimSpace(line), ",")
			list = append(list, strings.TrimSpace(fields[len(fields)-1]))
		}
	}
	return list
}

// camOff has a camera that is off, then comes and goes.
func camOff(t *testing.T) {
	camera := startCamera(t, fakecam.Options{})
	url := camera.URL()
	camera.Unplug()
	const longest = 100 * time.Millisecond
	r := record(t, camera, url, func(o *Options) { o.Backoff = backoff.Policy{Min: longest / 5, Max: longest} })
	c := r.awaitCondition("refuses connections")
	if c.Class != health.SystemError || c.Severity != health.Failed {
		t.Errorf("%+v", c)
	}
	r.await("more tries", func() bool { return r.number(health.Reconnects) >= 3 })
	if n := len(r.part.Snapshot().Conditions); n != 1 {
		t.Errorf("%d sentences for one camera that is off", n)
	}
	if n := r.logged("camera", ""); n != 1 {
		t.Errorf("%d log lines for one camera that is off", n)
	}
	for session := range 3 {
		if err := camera.Plug(); err != nil {
			t.Fatal(err)
		}
		plugged := time.Now()
		r.await("a session", func() bool { return len(camera.Sessions()) > session })
		if d := camera.Sessions()[session].Began.Sub(plugged); d > longest+10*time.Second+4*r.late() { // the machine may be busy
			t.Errorf("only %s after it was plugged in it is recorded, with pauses of at most %s", d, longest)
		}
		want := int64(0)
		for _, s := range camera.Sessions() {
			want += int64(s.Frames)
		}
		r.awaitFrames(want + 30)
		if got := r.part.Snapshot(); got.State != stateRecording || len(got.Conditions) > 0 {
			t.Errorf("session %d: %+v", session, got)
		}
		camera.Unplug()
		r.awaitCondition("camera at")
	}
	r.settle()
	r.expectAll()
	if n := r.number(health.Gaps); n != 2 {
		t.Errorf("%d gaps counted, want 2", n)
	}
	if got := r.recordings(); len(got) != 1 {
		t.Errorf("short outages made %d segments of one", len(got))
	}
}

func TestOnlyTheUserCanHelp(t *testing.T) {
	t.Parallel()
	locked := startCamera(t, fakecam.Options{User: "admin", Pass: "planted-secret"})
	plain := startCamera(t, fakecam.Options{})
	for name, c := range map[string]struct{ url, text string }{
		"no password": {strings.Replace(locked.URL(), "admin:planted-secret@", "", 1), "asks for a user name and a password"},
		"wrong path":  {plain.URL() + "/nowhere", "correct the path"},
		"no URL":      {"rtsp:planted-wrong", "is not a URL"},
		"no RTSP":     {"http://admin:planted-secret@127.0.0.1/", "begins with http://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onlyTheUserCanHelp(t, c.url, c.text)
		})
	}
}

// onlyTheUserCanHelp has a camera that cannot be recorded, and a sentence that says why. The secret is to be read
// again in any case.
func onlyTheUserCanHelp(t *testing.T, url, text string) *rig {
	t.Helper()
	failed := make(chan string, 100)
	r := record(t, nil, url, func(o *Options) { o.Failed = func(why *health.Fault) { failed <- why.Text } })
	condition := r.awaitCondition(text)
	if condition.Class != health.UserError || condition.Severity != health.Failed {
		t.Errorf("%+v", condition)
	}
	if why := <-failed; why != condition.Text {
		t.Errorf("the secret is to be read again for %q, want %q", why, condition.Text)
	}
	for _, entry := range r.logs.All() {
		if text := entry.Message + entryText(entry); strings.Contains(text, "planted") {
			t.Errorf("the log shows a secret: %s", text)
		}
	}
	if strings.Contains(condition.Text, "planted") {
		t.Errorf("the status shows a secret: %s", condition.Text)
	}
	return r
}

// logged counts the lines of an event whose fields have the text.
func (r *rig) logged(event, text string) (n int) {
	for _, entry := range r.logs.FilterField(zap.String("event", event)).All() {
		if strings.Contains(entryText(entry), text) {
			n++
		}
	}
	return n
}

func entryText(e observer.LoggedEntry) string {
	encoder := zap.NewProductionEncoderConfig()
	var buffer bytes.Buffer
	core := zapCore(encoder, &buffer)
	_ = core.Write(e.Entry, e.Context)
	return buffer.String()
}

func TestAPausedStreamSaysWhyAndResumesByItself(t *testing.T) {
	t.Parallel()
	camera := startCamera(t, fakecam.Options{})
	r := record(t, camera, camera.URL(), func(o *Options) {
		store := o.Store.(*segment.Store)
		store.Pause("door", health.UserFault("full", nil, "The limit is reached."))
	})
	c := r.awaitCondition("The limit is reached.")
	if c.Class != health.UserError {
		t.Errorf("%+v", c)
	}
	r.store.Resume("door")
	r.awaitFrames(30)
	if got := r.part.Snapshot().Conditions; len(got) > 0 {
		t.Errorf("still says %+v", got)
	}
}

func TestADiskThatFailsAndHeals(t *testing.T) {
	t.Parallel()
	camera := startCamera(t, fakecam.Options{})
	r := record(t, camera, camera.URL(), func(o *Options) { o.SegmentDuration = time.Second })
	r.awaitFrames(30)
	// Its directory is replaced by a file: nothing can be created there, not even by root.
	path := filepath.Join(r.dir, "door")
	if err := errors.Join(os.Rename(path, path+".away"), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	r.awaitCondition("a file is in its way")
	if err := errors.Join(os.Remove(path), os.Rename(path+".away", path)); err != nil {
		t.Fatal(err)
	}
	before := r.number(health.FramesRecorded)
	r.awaitFrames(before + 30)
	if got := r.part.Snapshot().Conditions; len(got) > 0 {
		t.Errorf("still says %+v", got)
	}
}

func zapCore(config zapcore.EncoderConfig, to *bytes.Buffer) zapcore.Core {
	return zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.AddSync(to), zap.DebugLevel)
}

// onlyHere reports whether a track is audio that stays on the hub, as the service cannot play it: it need not be in each fragment.
func onlyHere(track mkv.Track) bool {
	f, _, ok := audio.Of(track)
	return ok && f.Upload() == audio.Never
}
