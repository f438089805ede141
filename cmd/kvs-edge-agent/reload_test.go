package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

// envFile is the file with the settings of the stage's agent.
func (s *stage) envFile() string { return filepath.Join(s.dir, "agent.env") }

// writeEnv writes the usual settings into the file, and then more lines.
func (s *stage) writeEnv(more ...string) {
	s.t.Helper()
	text := "# settings of a test\n" + strings.Join(append(s.env(), more...), "\n") + "\n"
	if err := os.WriteFile(s.envFile(), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// startService starts the agent as the unit does: nearly all that it knows is in the file.
func (s *stage) startService(env ...string) {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	s.writeEnv()
	s.agent, err = startAgent(path, filepath.Join(s.dir, "agent.out"), env, "--env-file", s.envFile())
	if err != nil {
		s.t.Fatal(err)
	}
	s.agent.socket = socketOf(s.env())
	s.t.Cleanup(s.agent.kill)
}

// hangup sends SIGHUP, as systemctl kill does.
func (s *stage) hangup() {
	s.t.Helper()
	if err := s.agent.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

// reload asks over the socket, as the unit's ExecReload= does.
func (s *stage) reload(wantCode int, wantText string) {
	s.t.Helper()
	out, stderr, code := s.command("reload")
	if code != wantCode || !strings.Contains(out+stderr, wantText) {
		s.t.Errorf("reload: exit code %d, want %d with %q:\n%s%s", code, wantCode, wantText, out, stderr)
	}
}

// expectLevel waits until the agent logs at that level.
func (s *stage) expectLevel(want string) {
	s.t.Helper()
	s.eventually("log level "+want, func() error {
		out, stderr, _ := s.command("log-level")
		if strings.TrimSpace(out) != want {
			return errors.New(out + stderr)
		}
		return nil
	})
}

// configureFile makes a stream that plays a file of the media directory.
func (s *stage) configureFile(stream, file string) {
	s.t.Helper()
	arn, err := s.cloud.PutSecret(stream, fmt.Sprintf(`{"MediaURI":"file:///%s"}`, file))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.cloud.CreateStream(stream, demoRetention); err != nil {
		s.t.Fatal(err)
	}
	s.start(stream, &types.EdgeConfig{
		HubDeviceArn: aws.String(edgeconfig.HubARN(localcloud.Region, localcloud.Account, testThing)),
		RecorderConfig: &types.RecorderConfig{MediaSourceConfig: &types.MediaSourceConfig{
			MediaUriSecretArn: aws.String(arn), MediaUriType: types.MediaUriTypeFileUri,
		}},
	})
}

// linkFinished adds another name for a finished file of a stream, once such a file exists.
func (s *stage) linkFinished(stream, name string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("a finished file of "+stream, func() error {
		files, err := filepath.Glob(filepath.Join(s.recordings(), stream, "*.mkv"))
		for _, path := range files {
			if !strings.HasSuffix(path, ".writing.mkv") && os.Link(path, name) == nil { // its state is in its name
				return nil
			}
		}
		return errors.Join(errors.New("there is none"), err)
	})
}

// TestAReloadTakesNoFrameOfAStreamItDoesNotConcern changes, while the door is recorded, all that a
// running agent can change without the door, wrongly and rightly.
func TestAReloadTakesNoFrameOfAStreamItDoesNotConcern(t *testing.T) {
	inWorlds(t, aReloadTakesNoFrameOfAStreamItDoesNotConcern)
}

func aReloadTakesNoFrameOfAStreamItDoesNotConcern(t *testing.T, w world) {
	s := newStage(t, w)
	door := startCamera(t, fakecam.Options{})
	s.configure("door", door.URL())
	s.configureFile("film", "film.mkv")
	manager := listenAsSystemd(t, filepath.Join(s.dir, "notify"))
	s.startService("NOTIFY_SOCKET=" + manager.path)
	s.awaitRecorded("door", 30)
	media := filepath.Join(s.dir, "media")
	s.linkFinished("door", filepath.Join(media, "film.mkv"))

	s.writeEnv("AWS_KVS_EDGE_LOG_LEVEL=DEBUG", "AWS_KVS_EDGE_UPLOAD_MAX_BITRATE='20M, 22:00-06:00=40M'", "AWS_KVS_EDGE_UPLOAD_MODE=live",
		"AWS_KVS_EDGE_MIN_FREE_DISK=1MB", "AWS_KVS_EDGE_CLOUD_WATCH_ENABLED=TRUE", "AWS_KVS_EDGE_METRICS_ADDRESS=127.0.0.1:0",
		"AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY="+filepath.Join(s.dir, "log2"))
	s.hangup()
	s.expectLevel("DEBUG")
	s.eventually("a line in the other directory", func() error {
		text, err := os.ReadFile(filepath.Join(s.dir, "log2", "kvs-edge-agent.log"))
		if err == nil && !bytes.Contains(text, []byte(`"event":"settings-reloaded"`)) {
			err = errors.New(string(text))
		}
		return err
	})

	s.writeEnv("AWS_KVS_EDGE_LOG_LEVEL=ERROR", "AWS_KVS_EDGE_AUDIO=loud")
	line := fmt.Sprintf("line %d: AWS_KVS_EDGE_AUDIO", len(s.env())+3)
	s.reload(exitFailure, line)
	s.expectLevel("DEBUG")
	if out, _, code := s.command("status"); code != exitDegraded || !strings.Contains(out, line) {
		t.Errorf("status, exit code %d:\n%s", code, out)
	}
	s.writeEnv("AWS_REGION=eu-west-1")
	s.reload(0, "in effect after `systemctl restart kvs-edge-agent`: AWS_REGION\n")
	if out, _, _ := s.command("status"); !strings.Contains(out,
		"The new AWS_REGION: takes effect after `systemctl restart kvs-edge-agent`.") || strings.Contains(out, "refused") {
		t.Errorf("status:\n%s", out)
	}
	for n := range 20 { // faster than they are done, and at times while the file is half written
		s.writeEnv("AWS_KVS_EDGE_LOG_LEVEL=" + []string{"WARN", "DEBUG"}[n%2])
		s.hangup()
	}
	s.expectLevel("DEBUG")

	s.awaitCondition("film", "media directory")
	s.writeEnv("AWS_KVS_EDGE_MEDIA_DIRECTORY=" + media)
	s.reload(0, "restarted streams: film\n")
	s.awaitRecorded("film", 10)

	st, err := s.stream("door")
	if err != nil {
		t.Fatal(err)
	}
	if st.Recorder.FramesLost > 0 || st.Recorder.Gaps > 0 || st.Recorder.Reconnects > 0 {
		t.Errorf("the recorder of the door: %+v", st.Recorder)
	}
	door.Unplug()
	s.awaitAllInCloud("door", sentByCamera(door))
	s.stopAgent()
	onDisk, err := localFrames(filepath.Join(s.recordings(), "door"))
	if err != nil {
		t.Fatal(err)
	}
	sent := sentBy(door.Sessions())
	if lost := sent.missingFrom(onDisk); lost > 0 || onDisk.repeated() > 0 || len(door.Sessions()) != 1 {
		t.Errorf("of %d frames in %d sessions %d are lost and %d came twice", sent.distinct(), len(door.Sessions()), lost, onDisk.repeated())
	}
	t.Logf("%d frames of the door through 24 reloads, none lost", sent.distinct())
	manager.expectReloads(t)
}

// manager is systemd as a service sees it: a socket for what the service has to tell.
type manager struct {
	path string
	told chan string
}

func listenAsSystemd(t *testing.T, path string) *manager {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	m := &manager{path: path, told: make(chan string, 1000)}
	go func() {
		for buffer := make([]byte, 4096); ; {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			m.told <- string(buffer[:n])
		}
	}()
	return m
}

// expectReloads checks every notification: ready, then pairs of reloading and ready, and the stop.
func (m *manager) expectReloads(t *testing.T) {
	t.Helper()
	var words []string
	reasons := 0
	for len(words) == 0 || words[len(words)-1] != "STOPPING=1" {
		var text string
		select {
		case text = <-m.told:
		case <-time.After(patience):
			t.Fatalf("systemd was notified of %v", words)
		}
		first, more, _ := strings.Cut(text, "\n")
		words = append(words, first)
		if first == "RELOADING=1" && !strings.HasPrefix(more, "MONOTONIC_USEC=") {
			t.Errorf("%q has no time", text)
		}
		if first == "READY=1" && strings.HasPrefix(more, "STATUS=The new settings are refused") {
			reasons++
		}
	}
	for i, word := range words[:len(words)-1] {
		if want := []string{"READY=1", "RELOADING=1"}[i%2]; word != want {
			t.Fatalf("systemd was notified of %v", words)
		}
	}
	if len(words) < 10 || reasons == 0 {
		t.Errorf("systemd was notified of %v, %d times of a refusal", words, reasons)
	}
}

// TestARecordingThatBeginsAnewLosesNothingThatTheCameraSent changes what all recordings depend on.
// Each of the two sessions is ended while the camera plays, and what it sent till then is recorded.
func TestARecordingThatBeginsAnewLosesNothingThatTheCameraSent(t *testing.T) {
	inWorlds(t, aRecordingThatBeginsAnewLosesNothingThatTheCameraSent)
}

func aRecordingThatBeginsAnewLosesNothingThatTheCameraSent(t *testing.T, w world) {
	s := newStage(t, w)
	camera := startCamera(t, fakecam.Options{})
	s.configure("door", camera.URL())
	s.startService()
	s.awaitRecorded("door", 60)
	s.writeEnv("AWS_KVS_EDGE_SEGMENT_DURATION=1s")
	s.reload(0, "in effect now: AWS_KVS_EDGE_SEGMENT_DURATION\nrestarted streams: door\n")
	st, err := s.stream("door")
	if err != nil {
		t.Fatal(err)
	}
	s.awaitRecorded("door", st.Recorder.FramesRecorded+60)
	s.stopAgent()
	onDisk, err := localFrames(filepath.Join(s.recordings(), "door"))
	if err != nil {
		t.Fatal(err)
	}
	sessions := camera.Sessions()
	lost := sentBy(sessions).missingFrom(onDisk)
	if len(sessions) != 2 || lost > 0 || onDisk.repeated() > 0 {
		t.Errorf("%d frames are lost in %d sessions, %d came twice", lost, len(sessions), onDisk.repeated())
	}
	files, err := filepath.Glob(filepath.Join(s.recordings(), "door", "*.mkv"))
	if err != nil || len(files) < 3 {
		t.Errorf("files of a second should be %v, %v", files, err)
	}
	t.Logf("%d of %d frames lost", lost, sentBy(sessions).distinct())
}

func TestAnAgentWithoutAFileSaysThatItCannotReload(t *testing.T) {
	inWorlds(t, anAgentWithoutAFileSaysThatItCannotReload)
}

func anAgentWithoutAFileSaysThatItCannotReload(t *testing.T, w world) {
	s := newStage(t, w)
	s.reload(exitDown, "no agent is running")
	s.startAgent()
	s.status()
	s.reload(exitFailure, "was started without --env-file")
	s.stopAgent()
}
