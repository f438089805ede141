package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
)

const (
	thing = "soak-hub"
	// credentials of the hub live so long: 15 minutes is the least that AWS has.
	credentialLife = 15 * time.Minute
	// stopWithin is how long the agent may take to stop.
	stopWithin = 30 * time.Second
)

// printer is where tables and the verdict go.
type printer = io.Writer

// soak is one run: a cloud, cameras, and an agent as a process of its own.
type soak struct {
	o       options
	dir     string
	out     printer
	cloud   *localcloud.Cloud
	user    *integrator.Integrator
	cameras []*camera
	deeds   []*deed
	began   time.Time // of all that happens
	rests   int
	// nextTable is when the next table is due, after began.
	nextTable time.Duration

	agent  *exec.Cmd
	exited chan struct{}
	api    *localapi.Client
	http   *http.Client // of the local API

	mu       sync.Mutex        // guards what follows
	findings []string          // what must not be
	faults   map[string]int    // what may have media sent twice, by stream; "" = of all
	settings map[string]string // that differ from those of the start
	last     overview          // of the agent's status
	samples  []sample
}

// start starts cameras, cloud and agent.
func start(ctx context.Context, o options, dir string) (s *soak, err error) {
	s = &soak{o: o, dir: dir, faults: map[string]int{}, out: io.Discard}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if o.agent, err = filepath.Abs(o.agent); err != nil {
		return s, err
	}
	if err := s.startCameras(); err != nil {
		return s, err
	}
	s.cloud, err = localcloud.Start(localcloud.Options{Dir: s.path("cloud"), CredentialLifetime: credentialLife,
		Seed: &localcloud.Seed{Things: []string{thing}}})
	if err != nil {
		return s, err
	}
	if s.user, err = integrator.New(ctx, s.cloud); err != nil {
		return s, err
	}
	socket := s.path("agent.sock")
	s.api = localapi.NewClient(socket)
	s.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	s.nextTable, s.deeds = o.table, s.allDeeds()
	for i, d := range s.deeds {
		d.random = rand.New(rand.NewPCG(o.seed, uint64(i)))
	}
	return s, s.startAgent(o.agent)
}

// writeSettings writes the file of the agent's settings.
func (s *soak) writeSettings() error {
	lines := []string{
		"AWS_KVS_EDGE_RECORDING_DIRECTORY=" + s.path("recordings"),
		"AWS_KVS_EDGE_STATE_DIRECTORY=" + s.path("state"),
		"AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY=" + s.path("log"),
		"AWS_KVS_EDGE_SOCKET=" + s.path("agent.sock"),
		"AWS_KVS_EDGE_RTSPS_CA_CERT=" + s.path("camera.pem"),
		"AWS_KVS_EDGE_LOG_MAX_FILE_SIZE=1", "AWS_KVS_EDGE_LOG_ROLLOVER_COUNT=2",
		"AWS_KVS_EDGE_AUDIO=on", "AWS_KVS_EDGE_METRICS_ADDRESS=127.0.0.1:0", "AWS_KVS_EDGE_CLOUD_WATCH_ENABLED=TRUE",
	}
	for _, v := range s.cloud.AgentEnv(thing) {
		lines = append(lines, v.String())
	}
	s.mu.Lock()
	for name, value := range s.settings {
		lines = append(lines, name+"="+value)
	}
	s.mu.Unlock()
	return os.WriteFile(s.path("agent.env"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// firstSettings are those of the start that deeds change.
func (s *soak) firstSettings() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = map[string]string{"AWS_KVS_EDGE_SEGMENT_DURATION": "20s", "AWS_KVS_EDGE_LOG_LEVEL": "DEBUG"}
}

func (s *soak) startAgent(program string) error {
	s.firstSettings()
	if err := s.writeSettings(); err != nil {
		return err
	}
	output, err := os.OpenFile(s.path("agent.out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()
	cmd := exec.Command(program, "run", "--env-file", s.path("agent.env"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, output, output
	// Whatever would leave this machine fails: this proxy is not there, and loopback needs none.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := proc.StartAsService(cmd); err != nil {
		return fmt.Errorf("cannot start the agent: %w", err)
	}
	s.agent, s.exited = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait() // its exit code is in ProcessState
		close(s.exited)
	}()
	return nil
}

// ended says whether the agent is gone.
func (s *soak) ended() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// stopAgent ends the agent in order.
func (s *soak) stopAgent() error {
	_ = s.agent.Process.Signal(syscall.SIGTERM) // an error is its earlier end, which the exit code shows
	select {
	case <-s.exited:
	case <-time.After(stopWithin):
		return fmt.Errorf("the agent did not stop within %s", stopWithin)
	}
	if code := s.agent.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the agent stopped with exit code %d", code)
	}
	return nil
}

// close ends everything. It may be called twice.
func (s *soak) close() {
	if s.agent != nil {
		_ = s.agent.Process.Kill()
		<-s.exited
		s.agent = nil
	}
	if s.cloud != nil {
		_ = s.cloud.Close()
		s.cloud = nil
	}
	for _, c := range s.cameras {
		_ = c.Close()
	}
}

// found notes what must not be, once for each sentence.
func (s *soak) found(format string, values ...any) {
	const most = 100
	text := fmt.Sprintf(format, values...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.findings) < most {
		s.findings = append(s.findings, time.Now().UTC().Format(time.TimeOnly)+" "+text)
		fmt.Fprintln(s.out, "FOUND:", text)
	}
}

// strike notes a fault that may have media of a stream (all with "") sent twice.
func (s *soak) strike(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[stream]++
}

var errNoAnswer = errors.New("no answer yet")
