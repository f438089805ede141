package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func startCamera(t *testing.T, o fakecam.Options) *fakecam.Camera {
	t.Helper()
	camera, err := fakecam.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = camera.Close() })
	return camera
}

// sentByCamera is what a test expects in the cloud.
func sentByCamera(camera *fakecam.Camera) func() (tally, error) {
	return func() (tally, error) { return sentBy(camera.Sessions()), nil }
}

func TestDemoLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kvs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	output, err := exec.CommandContext(t.Context(), path, "demo", "--duration", "8s", "--dir", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("the demo failed: %v\n%s\n%s", err, output, tail(filepath.Join(dir, "agent.out"), 40))
	}
	for _, want := range []string{"IN_SYNC", "lost                           0\n", "repeated                       0\n", "recording"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("the demo does not say %q:\n%s", want, output)
		}
	}
	number := func(pattern string) (n int) {
		if m := regexp.MustCompile(pattern).FindSubmatch(output); m != nil {
			n, _ = strconv.Atoi(string(m[1]))
		}
		return n
	}
	// A camera numbers its frames from 1 on, and the agent begins with a keyframe.
	sent := number(`frames the camera sent +(\d+)\n`)
	played := number(`played by the cloud's HLS +frame (\d+), the last one of \d+ fragments\n`)
	if sent == 0 || played < sent {
		t.Errorf("a player ends with frame %d of %d:\n%s", played, sent, output)
	}
}

// TestDemoWithAStreamFile has a hub that may do nothing at AWS but upload, and one without the cloud.
func TestDemoWithAStreamFile(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for cloud, wants := range map[string][]string{
		"on": {"the cloud refuses ListEdgeAgentConfigurations, DescribeEdgeConfiguration and ListTagsForStream, and MQTT cannot be reached",
			"every frame that the camera sent is in the cloud once", "The hub is healthy, the stream is configured by: file."},
		"off": {"every frame that the camera sent is on the disk once", "The hub is healthy, the stream is configured by: file.",
			"The cloud was not called once, and the recording of 2 h 00 min ago is deleted."},
	} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			cmd := exec.CommandContext(t.Context(), path, "demo", "--stream-file", "--duration", "5s", "--dir", dir)
			cmd.Env = append(os.Environ(), settings.EnvCloud+"="+cloud)
			output, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("the demo failed: %v\n%s", err, output)
			}
			for _, want := range append(wants, "lost                           0\n", "IN_SYNC, its origin: file") {
				if !strings.Contains(string(output), want) {
					t.Errorf("the demo does not say %q:\n%s", want, output)
				}
			}
			expectNoPassword(t, dir)
		})
	}
}

// expectNoPassword finds the camera's in no file but the stream file and the agent's copy of it.
func expectNoPassword(t *testing.T, dir string) {
	t.Helper()
	read := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) == ".mkv" {
			return err
		}
		text, err := os.ReadFile(path)
		read++
		for _, form := range []string{"p@ss:word", "p%40ss"} {
			if base := filepath.Base(path); bytes.Contains(text, []byte(form)) && base != demoStream+".json" && base != "stream-files.json" {
				t.Errorf("%s has the camera's password", path)
			}
		}
		return err
	})
	if err != nil || read < 4 {
		t.Errorf("%d files were read: %v", read, err)
	}
}

func TestKilledAtAnyMomentLosesNoCompletedFragment(t *testing.T) {
	inWorlds(t, killedAtAnyMomentLosesNoCompletedFragment)
}

func killedAtAnyMomentLosesNoCompletedFragment(t *testing.T, w world) {
	for length, repeated := range map[string]time.Duration{"1s": 5 * time.Second, "auto": 2 * 9900 * time.Millisecond} {
		t.Run(length, func(t *testing.T) {
			t.Parallel()
			killedAtAnyMoment(t, w, length, repeated)
		})
	}
}

// killedAtAnyMoment has fragments of that length, of which a kill may repeat as much as repeated says.
func killedAtAnyMoment(t *testing.T, w world, length string, repeated time.Duration) {
	const cameras = 4
	kills := testtools.Proof(t, "kills", killed)
	s := newSite(t, w)
	start := func() { // with segments in which fragments can be as long
		s.startAgent(settings.EnvFragmentDuration+"="+length, settings.EnvSegmentDuration+"=1m")
	}
	all := make(map[string]*fakecam.Camera, cameras)
	for i := range cameras {
		name := fmt.Sprintf("camera-%d", i)
		all[name] = startCamera(t, fakecam.Options{})
		s.configure(name, all[name].URL())
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range kills {
		start()
		s.awaitRecorded("camera-0", 30)
		// The moment is what is random here; nothing is waited for.
		if err := backoff.Sleep(t.Context(), time.Duration(random.IntN(2000))*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		s.agent.kill()
	}
	for _, camera := range all {
		camera.Unplug()
	}
	start()
	s.status() // it is up, so that it can be stopped in order
	for name := range all {
		onDisk := func() (tally, error) { return localFrames(filepath.Join(s.recordings(), name)) }
		inCloud := s.awaitAllInCloud(name, onDisk)
		// What was in flight at a kill may come twice: the promise is at most 5 s of media for each, or two fragments.
		if most := kills * int(repeated/(time.Second/25)); inCloud.repeated() > most {
			t.Errorf("%s: %d frames came twice, more than the %d that %d kills allow", name, inCloud.repeated(), most, kills)
		}
		t.Logf("%s: %d frames in the cloud after %d kills, %d of them twice", name, inCloud.distinct(), kills, inCloud.repeated())
		s.expectLittleLost(name, all[name], kills)
	}
	s.stopAgent()
}

// expectLittleLost compares what the camera sent with what is on disk: a kill takes what was
// gathered in memory, at most 2 s or a GOP (1 s here), and what was on the wire.
func (s *site) expectLittleLost(stream string, camera *fakecam.Camera, kills int) {
	s.t.Helper()
	onDisk, err := localFrames(filepath.Join(s.recordings(), stream))
	if err != nil {
		s.t.Fatal(err)
	}
	if lost, most := sentBy(camera.Sessions()).missingFrom(onDisk), kills*2*25; lost > most {
		s.t.Errorf("%s: %d frames are lost, more than the %d that %d kills may take", stream, lost, most, kills)
	}
}

// TestRows has what networks do wrong, by its name in the recorder's TestRows.
func TestRows(t *testing.T) {
	t.Parallel()
	t.Run("cloud-gone", func(t *testing.T) { inWorlds(t, cloudGone) })
}

// cloudGone cuts the whole cloud off for a while. Nothing is lost.
func cloudGone(t *testing.T, w world) {
	outage := testtools.Proof(t, "cuts", testtools.Sizes[time.Duration]{Short: 10 * time.Second, Middle: time.Minute, Long: 10 * time.Minute})
	s := newSite(t, w)
	camera := startCamera(t, fakecam.Options{})
	s.configure("door", camera.URL())
	s.startAgent()
	if err := s.cloud.Media().AwaitFragments(t.Context(), "door", 2); err != nil {
		t.Fatal(err)
	}
	s.cloud.Faults().CutOff()
	end := time.Now().Add(outage)
	st := s.awaitBacklog("door", min(10, outage.Seconds()/2))
	if st.Recorder.State != "recording" {
		t.Errorf("the recorder is %q while the cloud is away", st.Recorder.State)
	}
	if err := backoff.Sleep(t.Context(), time.Until(end)); err != nil {
		t.Fatal(err)
	}
	s.awaitBacklog("door", outage.Seconds()*2/3)
	s.cloud.Faults().Restore()
	unplug(t, camera)
	inCloud := s.awaitAllInCloud("door", sentByCamera(camera))
	if n := inCloud.repeated(); n > 5*25 {
		t.Errorf("%d frames came twice", n)
	}
	s.stopAgent()
}

// awaitBacklog waits until at least this many seconds of media wait for the cloud.
func (s *site) awaitBacklog(stream string, seconds float64) (st status.Stream) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("a backlog of %.0f s", seconds), func() (err error) {
		if st, err = s.stream(stream); err == nil && st.Uploader.BacklogSeconds < seconds {
			err = fmt.Errorf("backlog %.1f s", st.Uploader.BacklogSeconds)
		}
		return err
	})
	return st
}

func TestSixteenCamerasLoseNothing(t *testing.T) { inWorlds(t, sixteenCamerasLoseNothing) }

func sixteenCamerasLoseNothing(t *testing.T, w world) {
	const cameras = 16
	length := testtools.Proof(t, "many", testtools.Sizes[time.Duration]{
		Short: 4 * time.Second, Middle: 10 * time.Second, Long: 10 * time.Minute,
	})
	s := newSite(t, w)
	all := make(map[string]*fakecam.Camera, cameras)
	for i := range cameras {
		name := fmt.Sprintf("camera-%02d", i)
		all[name] = startCamera(t, fakecam.Options{Bitrate: 4_000_000})
		s.configure(name, all[name].URL())
	}
	s.startAgent()
	for name := range all {
		s.awaitRecorded(name, int64(length.Seconds()*25))
	}
	unplug(t, slices.Collect(maps.Values(all))...)
	for name, camera := range all {
		inCloud := s.awaitAllInCloud(name, sentByCamera(camera))
		if n := inCloud.repeated(); n > 0 {
			t.Errorf("%s: %d frames came twice", name, n)
		}
	}
	s.stopAgent()
}

func TestOneBrokenStreamNeverDisturbsAnother(t *testing.T) {
	inWorlds(t, oneBrokenStreamNeverDisturbsAnother)
}

func oneBrokenStreamNeverDisturbsAnother(t *testing.T, w world) {
	s := newSite(t, w)
	good := startCamera(t, fakecam.Options{})
	s.configure("good", good.URL())
	s.configure("mjpeg", startCamera(t, fakecam.Options{MJPEG: true}).URL())
	locked := startCamera(t, fakecam.Options{User: "admin", Pass: "planted-secret"})
	s.configure("locked", strings.Replace(locked.URL(), "planted-secret", "planted-wrong", 1))
	off := startCamera(t, fakecam.Options{})
	offURL := off.URL()
	off.Unplug()
	s.configure("off", offURL)
	s.configureSecret("no-secret", "arn:aws:secretsmanager:us-west-2:123456789012:secret:nowhere-AbCdEf")
	refused, err := s.cloud.PutSecret("refused", `{"MediaURI":"rtsp://127.0.0.1/planted-wrong"}`)
	if err != nil {
		t.Fatal(err)
	}
	s.cloud.Faults().RefuseSecret(refused, "AccessDeniedException")
	s.configureSecret("refused", refused)
	s.startAgent()

	s.awaitRecorded("good", 50)
	for stream, want := range map[string]struct{ text, class string }{
		"mjpeg":     {"MJPEG", "USER_ERROR"},
		"locked":    {"password", "USER_ERROR"},
		"off":       {"", "SYSTEM_ERROR"},
		"no-secret": {"does not exist", "USER_ERROR"},
		"refused":   {"may not read the secret", "USER_ERROR"},
	} {
		c := s.awaitCondition(stream, want.text)
		t.Logf("%s: %s %s", stream, c.Class, c.Text)
		if string(c.Class) != want.class {
			t.Errorf("%s: %q is a %s, want %s", stream, c.Text, c.Class, want.class)
		}
	}
	st, err := s.stream("good")
	if err != nil || len(st.Conditions) > 0 {
		t.Errorf("the good stream has conditions: %+v %v", st.Conditions, err)
	}
	unplug(t, good)
	s.awaitAllInCloud("good", sentByCamera(good))
	s.stopAgent()

	var written bytes.Buffer
	for _, path := range []string{"agent.out", "log/kvs-edge-agent.log"} {
		data, err := os.ReadFile(filepath.Join(s.dir, path))
		if err != nil {
			t.Fatal(err)
		}
		written.Write(data)
	}
	for _, planted := range []string{"planted-secret", "planted-wrong"} {
		if bytes.Contains(written.Bytes(), []byte(planted)) {
			t.Errorf("the log shows the password %q", planted)
		}
	}
}

func TestARevokedCertificateIsOneSentenceAndRecordingGoesOn(t *testing.T) {
	inWorlds(t, aRevokedCertificateIsOneSentenceAndRecordingGoesOn)
}

func aRevokedCertificateIsOneSentenceAndRecordingGoesOn(t *testing.T, w world) {
	s, _ := newRecordingSite(t, w)
	if err := s.cloud.Faults().RevokeCertificate(testThing); err != nil {
		t.Fatal(err)
	}
	s.stopAgent()
	s.startAgent() // with the last good configuration
	s.awaitRecorded("door", 30)
	s.eventually("a sentence about the certificate", func() error {
		snapshot := s.status()
		for _, c := range snapshot.Agent {
			if strings.Contains(c.Text, "certificate") && string(c.Class) == "USER_ERROR" {
				return nil
			}
		}
		return fmt.Errorf("the agent says %+v", snapshot.Agent)
	})
	s.stopAgent()
}
