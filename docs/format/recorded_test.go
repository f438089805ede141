package format_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/recorder"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// patience bounds every wait for an event that must come: it is long, as machines are slow at times.
const patience = time.Minute

const recordedStream = "front-door"

// recording is a camera that is recorded to a store.
type recording struct {
	t      *testing.T
	store  *segment.Store
	device *fakecam.Camera
	part   *health.Component
}

// run records until do returns.
func (r *recording) run(segments time.Duration, do func()) {
	r.t.Helper()
	ctx, stop := context.WithCancel(r.t.Context())
	defer stop()
	url := func(context.Context) (secret.String, error) { return secret.New(r.device.URL()), nil }
	o := recorder.Options{
		Stream: recordedStream, Store: r.store, Health: r.part, SegmentDuration: segments, FlushInterval: 200 * time.Millisecond,
		Source:  camera.NewSource(camera.Options{URL: url, Transport: camera.TransportTCP}),
		Backoff: backoff.Policy{Min: 20 * time.Millisecond, Max: 100 * time.Millisecond},
	}
	ended := make(chan error, 1)
	go func() { ended <- recorder.New(o).Run(ctx) }()
	do()
	stop()
	if err := <-ended; err != nil {
		r.t.Errorf("the recorder ended with %v", err)
	}
}

// awaitFrames waits until so many more frames are in files.
func (r *recording) awaitFrames(more int64) {
	r.t.Helper()
	wanted := r.part.Value(health.FramesRecorded) + more
	for deadline := time.Now().Add(patience); r.part.Value(health.FramesRecorded) < wanted; {
		if time.Now().After(deadline) || backoff.Sleep(r.t.Context(), 20*time.Millisecond) != nil {
			r.t.Fatalf("%d frames are recorded, want %d", r.part.Value(health.FramesRecorded), wanted)
		}
	}
}

// TestTheForeignReaderReadsWhatIsRecorded compares what it reads with what the camera sent and the store did: beside the
// recorder, behind it, and when files were set aside.
func TestTheForeignReaderReadsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	device, err := fakecam.Start(fakecam.Options{Audio: fakecam.AudioAAC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close() })
	s, err := segment.Open(segment.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r := recording{t: t, store: s, device: device, part: health.NewRegistry(time.Now).Component(recordedStream, health.JobRecorder)}
	r.run(time.Minute, func() { // a gap within a segment
		r.awaitFrames(40)
		device.Stall()
		if err := backoff.Sleep(t.Context(), segment.GapAfter+500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		device.Resume()
		r.awaitFrames(40)
	})
	var beside storeView
	r.run(2*time.Second, func() {
		r.awaitFrames(160)
		beside = readForeign(t, dir)
	})
	marked := markAll(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	unreadable := layout.WritingName(layout.ID{Start: begin.UnixMilli()})
	if err := os.WriteFile(filepath.Join(dir, recordedStream, unreadable), bytes.Repeat([]byte("no Matroska "), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = segment.Open(segment.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	after := readForeign(t, dir)
	if got := after.Streams[0].Quarantine; len(got) != 1 || got[0] != unreadable {
		t.Errorf("set aside are %v", got)
	}
	expectPrefix(t, beside, after)
	expectMarks(t, after, marked)
	expectSent(t, device, filepath.Join(dir, recordedStream), after)
	expectStreams(t, s, dir, after) // last: it takes the frames out
}

// markAll notes something else of each fragment, and returns how many are to be expected of each kind.
func markAll(t *testing.T, s *segment.Store) map[string]int {
	t.Helper()
	want := map[string]int{}
	infos := s.Segments(recordedStream, time.Time{}, time.Time{})
	if len(infos) < 4 {
		t.Fatalf("%d segments were recorded", len(infos))
	}
	for i, info := range infos {
		r, err := s.OpenSegment(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := r.Fragments()
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		for j, f := range list {
			note := [4][]string{{"persisted", "refused"}, {"persisted"}, {"pending", "refused", "persisted"}, {"again"}}[min(i, 3)]
			kind := note[j%len(note)]
			mark(t, s, info.Key, f, kind)
			if kind == "again" {
				kind = "pending"
			}
			want[kind]++
		}
		if i < 2 { // all is done: the second is uploaded as a whole, the first but for what is refused
			if err := s.MarkUploaded(info.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
	return want
}

func mark(t *testing.T, s *segment.Store, k segment.Key, f mkv.Fragment, kind string) {
	t.Helper()
	var err error
	switch kind {
	case "persisted":
		err = s.MarkPersisted(k, f)
	case "refused", "again":
		err = s.MarkRefused(k, f, "4006 INVALID_MKV_DATA")
	}
	if err == nil && kind == "again" {
		err = s.Requeue(k, []time.Duration{f.Start}, true)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// expectMarks counts what the reader says of the upload.
func expectMarks(t *testing.T, view storeView, want map[string]int) {
	t.Helper()
	got, states := map[string]int{}, map[string]int{}
	for _, s := range view.Streams[0].Segments {
		states[s.State]++
		for _, f := range s.Fragments {
			kind, code, _ := strings.Cut(f.Upload, " ")
			if got[kind]++; kind == "refused" && code != "4006 INVALID_MKV_DATA" {
				t.Errorf("%q", f.Upload)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is uploaded (-marked +reader):\n%s", diff)
	}
	if states["refused"] != 1 || states["uploaded"] != 1 || states["sealed"] < 2 {
		t.Errorf("the segments' states are %v", states)
	}
}

// expectPrefix finds all that was read beside the recorder in what was read later, at the same places.
func expectPrefix(t *testing.T, beside, after storeView) {
	t.Helper()
	later, read := map[int64]fragmentView{}, 0
	for _, s := range after.Streams[0].Segments {
		for _, f := range s.Fragments {
			f.Upload = "pending"
			later[f.Start] = f
		}
	}
	for _, s := range beside.Streams[0].Segments {
		for _, f := range s.Fragments {
			read++
			if diff := cmp.Diff(f, later[f.Start]); diff != "" {
				t.Errorf("a fragment that was complete has changed (-beside +after):\n%s", diff)
			}
		}
	}
	if read < 4 {
		t.Errorf("%d fragments were read beside the recorder", read)
	}
}

// expectSent finds each frame of the camera once, in order, each at a time behind that of the previous one and near
// the one at which it was sent. Only where nothing was recorded do more than a few frames' times lie between two.
func expectSent(t *testing.T, device *fakecam.Camera, dir string, view storeView) {
	t.Helper()
	sessions := device.Sessions()
	session, next, frames := 0, sessions[0].First, 0
	var before int64
	var gaps, noted [][2]int64
	for _, s := range view.Streams[0].Segments {
		data, err := os.ReadFile(filepath.Join(dir, s.Name))
		if err != nil {
			t.Fatal(err)
		}
		if s.Header != "right" || !s.Finished || !s.GapsKnown || s.Fragments[0].Start != s.Start {
			t.Errorf("%s: %+v", s.Name, s)
		}
		noted = append(noted, s.Gaps...)
		for _, b := range videoOf(s) {
			stamp, ok := stamps.OfAccessUnit(data[b[3] : b[3]+b[4]])
			if session+1 < len(sessions) && stamp.Counter == sessions[session+1].First {
				session, next, before = session+1, stamp.Counter, 0
			}
			if !ok || stamp.Counter != next {
				t.Fatalf("%s: frame %d is where %d must be", s.Name, stamp.Counter, next)
			}
			switch distance := b[1] - before; {
			case before == 0 || distance > 0 && distance <= 200:
			case distance > segment.GapAfter.Milliseconds():
				gaps = append(gaps, [2]int64{before, b[1]})
			default:
				t.Errorf("%s: %d ms lie before frame %d", s.Name, distance, next)
			}
			if late := b[1] - stamp.Sent.UnixMilli(); late < -2000 || late > 2000 {
				t.Errorf("%s: frame %d has a time %d ms after it was sent", s.Name, next, late)
			}
			if b[1] == s.Start && b[2] != 1 {
				t.Errorf("%s does not begin with a keyframe", s.Name)
			}
			before = b[1]
			next++
			frames++
		}
	}
	if diff := cmp.Diff(gaps, noted); diff != "" || len(gaps) != 1 {
		t.Errorf("the gaps between frames (-frames +noted):\n%s", diff)
	}
	if session != 1 || frames < 240 {
		t.Errorf("%d sessions, %d frames", session+1, frames)
	}
}

// videoOf lists the frames of video of a segment.
func videoOf(s segmentView) (list [][5]int64) {
	for _, f := range s.Fragments {
		for _, b := range f.Blocks {
			if b[0] == 1 {
				list = append(list, b)
			}
		}
	}
	return list
}
