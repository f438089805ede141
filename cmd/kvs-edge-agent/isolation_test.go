package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/playcheck"
)

// panicking is the stream whose recorder panics after every panicEvery frames, and whose uploader
// panics whenever it looks for something to upload.
const (
	panicking  = "panicking"
	panicEvery = 40
)

// plants are the errors of brokenProgram, and what shows them sooner: code that is put after a line of a file. calls counts how
// often it came there.
var plants = []struct{ file, line, code string }{
	{"recorder/segmenter.go", "	s.session++", fmt.Sprintf("if s.o.Stream == %q && s.session == %d { panic(1) }", panicking, panicEvery)},
	// A thirtieth of the default limit, so that a busy machine exceeds it too.
	{"agent/jobs.go", "	return camera.NewSource(camera.Options{", `Limits: func() (l camera.Limits) { if stream == "flood" { l.Bytes = ` +
		`camera.DefaultLimits().Bytes / 30 }; return l }(),`},
	{"uploader/round.go",
		"func (u *Uploader) round(ctx context.Context, m mode, changes <-chan struct{}) (more bool, wait time.Duration, err error) {",
		fmt.Sprintf("if u.o.Stream == %q { panic(1) }", panicking)},
	{"retention/run.go", "func (k *Keeper) pass(ctx context.Context) {", "if calls++; calls <= 2 { panic(1) }"},
	{"segment/syncqueue/syncqueue.go",
		"func (q *Queue) keep(ctx context.Context, b Beats, disk uint64) {", once(1)},
	{"kvsconfig/listing.go", "func (l *lister) once(ctx context.Context) (listing, error) {", once(1)},
	{"scheduler/clock.go", "func (c *Clock) tick() time.Duration {", once(5)},
	{"cloud/kvs/mediabody/body.go", "func (b *Body) read(p []byte) (int, error) {", once(30)},
	{"cloud/kvs/session.go", "func (s *Session) read(r *ackReader) error {", once(4)},
	{"status/collector.go", "func (c *Collector) Snapshot() Snapshot {", once(20)},
}

// once panics in one call, the nth or one that comes at the same time: goroutines count without a lock.
func once(n int) string {
	return fmt.Sprintf("if calls++; calls >= %d && calls < 1<<30 { calls = 1 << 30; panic(1) }", n)
}

// plantedSentences are in the log for each of them.
var plantedSentences = []string{
	"An internal error stopped the recording of this stream",
	"The uploader of stream " + panicking + " was stopped by an internal error",
	"Deleting old media was stopped by an internal error",
	"Syncing recordings to the disk was stopped by an internal error",
	"Listing the hub's configurations was stopped by an internal error",
	"Checking the clock was stopped by an internal error",
	"An upload was stopped by an internal error",
	"Reading acknowledgements was stopped by an internal error",
}

// brokenProgram builds the agent with errors in many of its parts: what is tested is the real
// program, and it cannot be made to fail from outside.
func brokenProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string)
	for i, p := range plants {
		source, err := filepath.Abs(filepath.Join("../../internal", p.file))
		if err != nil {
			t.Fatal(err)
		}
		code, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		line := []byte("\n" + p.line + "\n")
		if bytes.Count(code, line) != 1 {
			t.Fatalf("%s no longer has the line %q once", source, p.line)
		}
		calls := fmt.Sprintf("calls%d", i)
		planted := strings.ReplaceAll(string(line)+p.code+"\n", "calls", calls)
		code = append(bytes.Replace(code, line, []byte(planted), 1), "\nvar "+calls+" int\n"...)
		replace[source] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[source], code, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay, path := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "kvs-edge-agent")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-overlay", overlay, "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the agent: %v\n%s", err, output)
	}
	return path
}

// longGOP is a film with a keyframe every 193 frames only, of the clip's pictures.
func longGOP(t *testing.T) []byte {
	t.Helper()
	clip, err := os.ReadFile("../../internal/fakecam/clip.h264")
	if err != nil {
		t.Fatal(err)
	}
	start := []byte{0, 0, 0, 1}
	var gop, slices []byte
	keyframes := 0
	for _, nal := range bytes.Split(clip, start[1:]) {
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) == 0 {
			continue
		}
		kind := nal[0] & 0x1f
		if kind == 5 {
			keyframes++
		}
		if keyframes == 2 {
			break
		}
		nal = append(bytes.Clone(start), nal...)
		gop = append(gop, nal...)
		if kind == 1 {
			slices = append(slices, nal...)
		}
	}
	return append(gop, bytes.Repeat(slices, 7)...)
}

// enormous puts a picture of 18 MB, which never ends, into every 40th frame.
func enormous() func(fakecam.Packet) []fakecam.Packet {
	var sequence uint16
	frame := ^uint64(0)
	chunk := make([]byte, 1400)
	return func(p fakecam.Packet) (out []fakecam.Packet) {
		if p.Frame != frame && p.Frame%40 == 30 {
			for i := range 13_000 {
				// A fragment of an IDR slice (RFC 6184, section 5.8), the first of them with the start bit.
				payload := chunk
				payload[0], payload[1] = 0x7c, 0x05
				if i == 0 {
					payload = bytes.Clone(chunk)
					payload[1] = 0x85
				}
				out = append(out, fakecam.Packet{Timestamp: p.Timestamp, Payload: payload})
			}
		}
		frame = p.Frame
		out = append(out, p)
		for i := range out {
			out[i].Sequence = sequence
			sequence++
		}
		return out
	}
}

// restart replaces a camera by one of another kind at the same address.
func restart(t *testing.T, camera *fakecam.Camera, o fakecam.Options) *fakecam.Camera {
	t.Helper()
	address, err := url.Parse(camera.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := camera.Close(); err != nil {
		t.Fatal(err)
	}
	o.Addr = address.Host
	return startCamera(t, o)
}

// footprint is what the agent's process holds.
type footprint struct{ memory, files, threads int }

func (s *site) footprint() (f footprint) {
	s.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(s.agent.cmd.Process.Pid))
	data, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch name {
		case "VmHWM": // the most there ever was, in KiB
			f.memory, err = strconv.Atoi(fields[0])
			f.memory >>= 10
		case "Threads":
			f.threads, err = strconv.Atoi(fields[0])
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		s.t.Fatal(err)
	}
	f.files = len(open)
	return f
}

// TestFourOfSixteenCamerasMisbehave records twelve cameras while a thirteenth floods its recorder
// with 200 Mbit/s, another sends pictures of 18 MB, the recorder of another panics repeatedly,
// and another hangs up all the time. One of the twelve sends GOPs of 50 MB, which is its right. The
// twelve miss no frame, the agent stays small, and what is set right is recorded again. Meanwhile a
// panic strikes each part that the streams share, and none of them ends the process.
func TestFourOfSixteenCamerasMisbehave(t *testing.T) { inWorlds(t, fourOfSixteenCamerasMisbehave) }

func fourOfSixteenCamerasMisbehave(t *testing.T, w world) {
	path := brokenProgram(t)
	s := newSite(t, w)
	good := make(map[string]*fakecam.Camera)
	for i := range 11 {
		good[fmt.Sprintf("good-%02d", i)] = startCamera(t, fakecam.Options{})
	}
	s.excused[playcheck.FirstFrame] = "a GOP of 50 MB is more than a fragment may have, and is split"
	good["long-gop"] = startCamera(t, fakecam.Options{Film: longGOP(t), Bitrate: 56_000_000})
	bad := map[string]*fakecam.Camera{
		"flood":    startCamera(t, fakecam.Options{Bitrate: 200_000_000}),
		"enormous": startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Wire: enormous()}}),
		"restless": startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Lifetime: 200 * time.Millisecond}}),
		panicking:  startCamera(t, fakecam.Options{}),
	}
	for name, camera := range good {
		s.configure(name, camera.URL())
	}
	s.startProgram(path)
	for name := range good {
		s.awaitRecorded(name, 25)
	}
	before, began := s.footprint(), time.Now()
	for name, camera := range bad {
		s.configure(name, camera.URL())
	}
	for _, c := range []struct{ stream, text string }{
		{panicking, "An internal error stopped the recording of this stream"},
		{"enormous", "pictures larger than 16 MiB: lower the bitrate or the resolution"},
		{"flood", "more than 100 Mbit/s, which Kinesis Video Streams does not accept: lower the bitrate"},
	} {
		t.Logf("%s: %s", c.stream, s.awaitCondition(c.stream, c.text).Text)
		if c.stream != panicking { // it is set right
			bad[c.stream] = restart(t, bad[c.stream], fakecam.Options{Start: 1 << 48})
		}
	}
	s.awaitRecorded(panicking, 3*panicEvery)
	s.eventually("many sessions of the camera that hangs up", func() error {
		if n := len(bad["restless"].Sessions()); n < 4 {
			return fmt.Errorf("%d sessions", n)
		}
		return nil
	})
	_ = backoff.Sleep(t.Context(), 8*time.Second-time.Since(began)) // a whole GOP of 50 MB
	during := s.footprint()
	t.Logf("the agent's memory at most %d MiB before and %d MiB with the bad cameras, open files %d and %d, threads %d and %d",
		before.memory, during.memory, before.files, during.files, before.threads, during.threads)
	if during.memory > 200 {
		t.Errorf("the agent took %d MiB", during.memory)
	}
	if during.files > before.files+32 { // connections, and segments of more streams being uploaded
		t.Errorf("open files grew from %d to %d", before.files, during.files)
	}

	for _, name := range []string{"flood", "enormous"} {
		s.eventually(name+" records again", func() error {
			st, err := s.stream(name)
			if err != nil {
				return err
			}
			for _, c := range st.Conditions {
				if c.Severity != health.Info { // that the new camera's timestamps are others may be said
					return fmt.Errorf("%s, %+v", st.Recorder.State, st.Conditions)
				}
			}
			if st.Recorder.State != "recording" {
				err = errors.New(st.Recorder.State)
			}
			return err
		})
	}
	good[panicking], good["restless"] = bad[panicking], bad["restless"]
	unplug(t, slices.Collect(maps.Values(good))...)
	for name, camera := range good {
		s.expectAccount(name, camera, name == panicking)
	}
	s.stopAgent() // fails when it had ended
	said, err := os.ReadFile(filepath.Join(s.dir, "agent.out"))
	if err != nil {
		t.Fatal(err)
	}
	for _, sentence := range plantedSentences {
		if !bytes.Contains(said, []byte(sentence)) {
			t.Errorf("the log does not say %q", sentence)
		}
	}
}

// expectAccount compares what a camera sent with what is recorded and what is reported lost. A frame within which a
// session ended was not sent, and may have come far enough to be either.
func (s *site) expectAccount(stream string, camera *fakecam.Camera, mayLose bool) {
	s.t.Helper()
	sent, cut := sentBy(camera.Sessions()), 0
	for _, session := range camera.Sessions() {
		if session.Cut {
			cut++
		}
	}
	var recorded, lost int
	s.eventually("the account of "+stream, func() error {
		st, err := s.stream(stream)
		if recorded, lost = int(st.Recorder.FramesRecorded),
			int(st.Recorder.FramesLost); err == nil && !upTo(cut, recorded+lost-sent.distinct()) {
			err = fmt.Errorf("%d frames sent, %d recorded, %d reported lost", sent.distinct(), recorded, lost)
		}
		return err
	})
	onDisk, err := localFrames(filepath.Join(s.recordings(), stream))
	if err != nil {
		s.t.Fatal(err)
	}
	if n := sent.missingFrom(onDisk); !upTo(cut, lost-n) || onDisk.repeated() > 0 || onDisk.missingFrom(sent) > cut {
		s.t.Errorf("%s: of %d frames %d are not on disk, %d are reported lost, %d lie there twice", stream, sent.distinct(), n, lost,
			onDisk.repeated())
	}
	if lost > cut && !mayLose {
		s.t.Errorf("%s: %d of %d frames are lost", stream, lost, sent.distinct())
	}
	s.t.Logf("%s: %d frames sent = %d recorded + %d reported lost", stream, sent.distinct(), recorded, lost)
}

// upTo reports whether n lies from 0 to most.
func upTo(most, n int) bool { return n >= 0 && n <= most }
