package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site/played"
)

const (
	testThing = "test-hub"
	// patience bounds every wait for an event. It is long because machines are slow at times, and
	// never waited out when the event comes.
	patience = 3 * time.Minute
	poll     = 100 * time.Millisecond
)

// program is the binary under test: the one that `make build` makes, not the test's own, so that
// it runs as it will on a hub.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kvs-edge-agent-test-")
	if err != nil {
		return "", err
	}
	programDir = dir
	path := filepath.Join(dir, "kvs-edge-agent")
	build := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the agent: %w\n%s", err, output)
	}
	return path, nil
})

// programDir is where program has built it; "" when no test needed it.
var programDir string

// builtOnce runs all tests, and removes the program that they have built.
type builtOnce struct{ *testing.M }

// Run implements testscript.TestingM.
func (m builtOnce) Run() int {
	code := m.M.Run()
	if programDir != "" {
		_ = os.RemoveAll(programDir)
	}
	return code
}

// TestMain has the tests' own binary run as the program, too, in the files of testdata/script.
func TestMain(m *testing.M) {
	testscript.Main(builtOnce{m}, map[string]func(){"kvs-edge-agent": main})
}

// site is a local cloud and one agent as a process of its own.
type site struct {
	t     *testing.T
	world world
	dir   string
	clock *shiftedClock // of the cloud
	cloud *localcloud.Cloud
	kvs   *kinesisvideo.Client
	agent *agentProcess

	excused played.Excuses // rules by which what is uploaded is not playable, with the reasons
}

func newSite(t *testing.T, w world) *site {
	t.Helper()
	return newSiteOf(t, w, func(*localcloud.Options) {})
}

// newSiteOf is newSite with another cloud.
func newSiteOf(t *testing.T, w world, change func(*localcloud.Options)) *site {
	t.Helper()
	// Not t.TempDir: a socket's path must be short.
	dir, err := os.MkdirTemp("", "kvs")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, world: w, dir: dir, clock: new(shiftedClock), excused: played.Excuses{}}
	refusals := new(testtools.Text) // what the local cloud writes about them
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("everything is kept in %s; the end of the agent's output:\n%s\nwhat the local cloud refused:\n%s",
				dir, tail(filepath.Join(dir, "agent.out"), 40), lastLines(refusals.String(), 40))
			return
		}
		_ = os.RemoveAll(dir)
	})
	o := cloudOptions(t, w)
	o.Dir, o.Log, o.Now, o.Refusals = filepath.Join(dir, "cloud"), zap.NewNop(), s.clock.Now, refusals
	change(&o)
	if s.cloud, err = localcloud.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cloud.Close()
		played.Check(t, o.Dir, s.excused)
	})
	if s.kvs, err = integrator.Client(t.Context(), s.cloud); err != nil {
		t.Fatal(err)
	}
	return s
}

// newRecordingSite is a site whose agent records the stream door from a camera.
func newRecordingSite(t *testing.T, w world) (*site, *fakecam.Camera) {
	t.Helper()
	s := newSite(t, w)
	camera := startCamera(t, fakecam.Options{})
	s.configure("door", camera.URL())
	s.startAgent()
	s.awaitRecorded("door", 30)
	return s, camera
}

func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(data), lines)
}

func lastLines(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (s *site) recordings() string { return filepath.Join(s.dir, "recordings") }

func (s *site) env(more ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"AWS_KVS_EDGE_RECORDING_DIRECTORY=" + s.recordings(),
		"AWS_KVS_EDGE_STATE_DIRECTORY=" + filepath.Join(s.dir, "state"),
		"AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY=" + filepath.Join(s.dir, "log"),
		"AWS_KVS_EDGE_SOCKET=" + filepath.Join(s.dir, "agent.sock"),
		"AWS_KVS_EDGE_SEGMENT_DURATION=5s", "AWS_KVS_EDGE_FRAGMENT_DURATION=1s",
		// Whatever would leave this machine fails: loopback needs no proxy, and this one is not there.
		"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1",
	}
	for _, v := range s.cloud.AgentEnv(testThing) {
		env = append(env, v.String())
	}
	return append(env, more...)
}

// startAgent starts the agent (again), with the given variables over the usual ones.
func (s *site) startAgent(more ...string) {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	s.startProgram(path, more...)
}

// startProgram is startAgent with another program.
func (s *site) startProgram(path string, more ...string) {
	s.t.Helper()
	var err error
	if s.agent, err = startAgent(path, filepath.Join(s.dir, "agent.out"), s.env(more...)); err != nil {
		s.t.Fatal(err)
	}
	a := s.agent
	s.t.Cleanup(a.kill)
}

func (s *site) stopAgent() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.agent.stop(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// configure makes the stream, puts the camera's URL into a secret and sends the edge configuration.
func (s *site) configure(stream, cameraURL string, edits ...func(*types.EdgeConfig)) {
	s.t.Helper()
	arn, err := s.cloud.PutSecret(stream, fmt.Sprintf(`{"MediaURI":%q}`, cameraURL))
	if err != nil {
		s.t.Fatal(err)
	}
	s.configureSecret(stream, arn, edits...)
}

func (s *site) configureSecret(stream, secretARN string, edits ...func(*types.EdgeConfig)) {
	s.t.Helper()
	if _, err := s.cloud.CreateStream(stream, demoRetention); err != nil {
		s.t.Fatal(err)
	}
	config := &types.EdgeConfig{
		HubDeviceArn: aws.String(edgeconfig.HubARN(localcloud.Region, localcloud.Account, testThing)),
		RecorderConfig: &types.RecorderConfig{MediaSourceConfig: &types.MediaSourceConfig{
			MediaUriSecretArn: aws.String(secretARN), MediaUriType: types.MediaUriTypeRtspUri,
		}},
		UploaderConfig: &types.UploaderConfig{ScheduleConfig: &types.ScheduleConfig{
			ScheduleExpression: aws.String("0 * * * * ? *"), DurationInSeconds: aws.Int32(60),
		}},
		DeletionConfig: &types.DeletionConfig{DeleteAfterUpload: aws.Bool(false)},
	}
	for _, edit := range edits {
		edit(config)
	}
	s.start(stream, config)
}

// eventually waits until done returns nil, and fails with its last answer otherwise.
func (s *site) eventually(what string, done func() error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		err := done()
		if err == nil {
			return
		}
		if backoff.Sleep(ctx, poll) != nil {
			s.t.Fatalf("%s: %v", what, err)
		}
	}
}

// inTheEnd is eventually for what comes bit by bit: it waits for as long as there is less and less left, which done returns.
func (s *site) inTheEnd(what string, done func() (left int, err error)) {
	s.t.Helper()
	least := -1
	for over := false; !over; {
		s.eventually(what, func() error {
			left, err := done()
			if err == nil {
				over = true
			} else if least < 0 || left < least {
				least, err = left, nil
			}
			return err
		})
		if !over && backoff.Sleep(s.t.Context(), poll) != nil {
			s.t.Fatalf("%s: %d are left", what, least)
		}
	}
}

func (s *site) status() status.Snapshot {
	s.t.Helper()
	var snapshot status.Snapshot
	s.eventually("asking for the status", func() (err error) {
		snapshot, err = s.agent.status(s.t.Context())
		return err
	})
	return snapshot
}

func (s *site) stream(name string) (status.Stream, error) {
	for _, st := range s.status().Streams {
		if st.Name == name {
			return st, nil
		}
	}
	return status.Stream{}, fmt.Errorf("stream %s is not in the status", name)
}

// awaitRecorded waits until the agent has recorded at least n frames of the stream since it started.
func (s *site) awaitRecorded(stream string, n int64) {
	s.t.Helper()
	s.inTheEnd(fmt.Sprintf("recording %d frames of %s", n, stream), func() (left int, err error) {
		st, err := s.stream(stream)
		if err == nil && st.Recorder.FramesRecorded < n {
			err = fmt.Errorf("%d frames, state %q, %s", st.Recorder.FramesRecorded, st.Recorder.State, st.Recorder.Details)
		}
		return int(n - st.Recorder.FramesRecorded), err
	})
}

// awaitCondition waits until a condition of the stream says something that holds text.
func (s *site) awaitCondition(stream, text string) status.Condition {
	s.t.Helper()
	var found status.Condition
	s.eventually(fmt.Sprintf("a sentence of %s with %q", stream, text), func() error {
		st, err := s.stream(stream)
		if err != nil {
			return err
		}
		for _, c := range st.Conditions {
			if strings.Contains(c.Text, text) {
				found = c
				return nil
			}
		}
		return fmt.Errorf("conditions: %+v", st.Conditions)
	})
	return found
}

// awaitAllInCloud waits until every frame of want is in the cloud, and returns what is there.
func (s *site) awaitAllInCloud(stream string, want func() (tally, error)) tally {
	s.t.Helper()
	var inCloud tally
	s.inTheEnd("everything of "+stream+" in the cloud", func() (left int, err error) {
		wanted, err := want()
		if err != nil {
			return math.MaxInt, err
		}
		if inCloud, _, err = cloudFrames(s.cloud.Media(), stream); err != nil {
			return math.MaxInt, err
		}
		if left = wanted.missingFrom(inCloud); left > 0 || wanted.distinct() == 0 {
			err = fmt.Errorf("%d of %d frames are missing", left, wanted.distinct())
		}
		return left, err
	})
	return inCloud
}
