package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site/played"
)

// docsWorld is a local cloud, a camera and perhaps an agent, for the blocks of pages.
type docsWorld struct {
	dir    string
	cloud  *localcloud.Cloud
	camera *fakecam.Camera
	second *fakecam.Camera
	env    []string // of what runs there: of agent and user
	lines  string   // the same as localcloud prints it
	port   string   // a free one on 127.0.0.1
	agent  *agentProcess
}

func startDocsWorld(t *testing.T, seed, thing string) *docsWorld {
	t.Helper()
	dir, err := os.MkdirTemp("", "kvs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &docsWorld{dir: dir, camera: startCamera(t, fakecam.Options{}), second: startCamera(t, fakecam.Options{})}
	options := localcloud.Options{Dir: filepath.Join(dir, "cloud")}
	if seed != "" {
		if options.Seed, err = readSeed(seed); err != nil {
			t.Fatal(err)
		}
	}
	if w.cloud, err = localcloud.Start(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.cloud.Close()
		played.Check(t, options.Dir, nil)
	})
	w.lines = environmentLines(w.cloud, thing)
	w.port = testtools.HeldAddress(t, "127.0.0.1")
	w.env = []string{
		"PATH=" + w.programs(t) + ":" + os.Getenv("PATH"), "HOME=" + dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"AWS_KVS_EDGE_STATE_DIRECTORY=" + filepath.Join(dir, "state"),
		"AWS_KVS_EDGE_RECORDING_DIRECTORY=" + filepath.Join(dir, "recordings"),
		"AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY=" + filepath.Join(dir, "log"),
		"AWS_KVS_EDGE_SOCKET=" + filepath.Join(dir, "agent.sock"), "AWS_KVS_EDGE_SEGMENT_DURATION=2s",
		"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1,agent",
	}
	for _, v := range append(w.cloud.AgentEnv(thing), w.cloud.UserEnv()...) {
		w.env = append(w.env, v.String())
	}
	return w
}

// programs is a directory with what a hub has and this machine may not.
func (w *docsWorld) programs(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return writePrograms(t, map[string]string{
		"kvs-edge-agent": `exec ` + path + ` "$@"`,
		"aws":            testtools.AWSCLI,
		"sudo":           `exec "$@"`,
		"ffplay":         `exec ffprobe -hide_banner "$@"`,
		"systemctl": `case "$*" in
"reload kvs-edge-agent") exec ` + path + ` reload ;;
"enable --now kvs-edge-agent") exec ` + path + ` status ;;
*) echo "systemctl $*: no rule for it"; exit 1 ;;
esac`,
	})
}

func writePrograms(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		testtools.WriteProgram(t, filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755)
	}
	return dir
}

// docsDuration is what a machine with little to do needs to record or show something.
const docsDuration = "--duration 3s"

// adapt replaces the examples that pages name by what exists in this world.
func (w *docsWorld) adapt(text string) string {
	for _, r := range []struct{ pattern, with string }{
		{`rtsp://10\.0\.0\.6[^ "']*`, w.second.URL()},
		{`rtsp://(?:user:password@)?(?:10\.0\.0\.\d+|192\.168\.\d+\.\d+)[^ "']*`, w.camera.URL()},
		{`127\.0\.0\.1:8554`, w.port},
		{`--duration 60s`, docsDuration},
		{`--from '2026-11-21 [\d:]+'`, `--from ` + strconv.FormatInt(time.Now().Unix()-600, 10)},
		{`--to '2026-11-21 [\d:]+'`, `--to ` + strconv.FormatInt(time.Now().Unix(), 10)},
		{`/run/kvs-edge-agent/agent\.sock`, filepath.Join(w.dir, "agent.sock")},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	return text
}

func (w *docsWorld) startAgent(t *testing.T) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	// As on a hub, without the user's keys, and with a settings file that can be reloaded.
	file := filepath.Join(w.dir, "agent.env")
	if err := os.WriteFile(file, []byte("AWS_KVS_EDGE_LOG_LEVEL=INFO\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.agent, err = startAgent(path, filepath.Join(w.dir, "agent.out"), w.env, "--env-file", file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.agent.kill)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the agent's output:\n%s", tail(filepath.Join(w.dir, "agent.out"), 30))
		}
	})
}

// await repeats done until it returns nil.
func (w *docsWorld) await(t *testing.T, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := done(ctx)
		if err == nil || backoff.Sleep(ctx, poll) != nil {
			return err
		}
	}
}

// awaitRecording waits until the hub has finished fragments of a stream on disk.
func (w *docsWorld) awaitRecording(t *testing.T, stream string) error {
	return w.await(t, func(ctx context.Context) error {
		status, err := w.agent.status(ctx)
		if err != nil {
			return err
		}
		for _, s := range status.Streams {
			if s.Name == stream && s.Recorder.FramesRecorded > 150 {
				return nil
			}
		}
		return fmt.Errorf("%s has not recorded 150 frames", stream)
	})
}

// awaitInSync waits until the hub has the last edge configuration, as another is refused before.
func (w *docsWorld) awaitInSync(t *testing.T) error {
	client, err := integrator.Client(t.Context(), w.cloud)
	if err != nil {
		return err
	}
	return w.await(t, func(ctx context.Context) error {
		out, err := client.DescribeEdgeConfiguration(ctx, &kinesisvideo.DescribeEdgeConfigurationInput{StreamName: aws.String("front-door")})
		if err == nil && out.SyncStatus != types.SyncStatusInSync {
			err = fmt.Errorf("front-door is %s", out.SyncStatus)
		}
		return err
	})
}

// withoutEffect runs a block on programs that check their arguments and do nothing.
func (r *docsRunner) withoutEffect(b docsBlock) error {
	r.once.Do(r.startFakes)
	dir := r.dir(b.page)
	text := b.text
	if b.directive != "image" { // the paths of an image are in the arguments of docker
		text = regexp.MustCompile(`([ '"])/(usr|etc|mnt)/`).ReplaceAllString(text, `$1`+dir+`/$2/`)
		text = strings.ReplaceAll(text, dir+"/usr/share/doc/kvs-edge-agent/", dir+"/")
	}
	for _, name := range []string{"usr/bin", "etc/systemd/system", "etc/kvs-edge-agent"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	command := exec.CommandContext(r.t.Context(), "sh", "-euc", text)
	command.Dir = dir
	command.Env = []string{
		"PATH=" + r.fakePrograms + ":" + os.Getenv("PATH"), "HOME=" + dir, "AWS_REGION=us-west-2", "AWS_DEFAULT_REGION=us-west-2",
		"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_PAGER=", "FAKE_AWS=" + r.fakeAWS, "NO_PROXY=127.0.0.1",
	}
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, lastLines(string(out), 20))
	}
	return nil
}

// startFakes makes the programs of withoutEffect.
func (r *docsRunner) startFakes() {
	server := httptest.NewServer(http.HandlerFunc(answerAnything))
	r.t.Cleanup(server.Close)
	r.fakeAWS = server.URL
	path, err := program()
	if err != nil {
		r.t.Fatal(err)
	}
	root, err := filepath.Abs(repository)
	if err != nil {
		r.t.Fatal(err)
	}
	const refuse = `echo "$0 $*: no rule for it" >&2; exit 1`
	r.fakePrograms = writePrograms(r.t, map[string]string{
		"aws": `[ "$1 $2" = "cloudformation deploy" ] || exec /usr/bin/aws --endpoint-url "$FAKE_AWS" "$@"
template=; parameters=
shift 2
while [ $# -gt 0 ]; do case $1 in
--template-file) template=$2; shift ;;
--stack-name|--capabilities) shift ;;
--parameter-overrides) parameters=yes ;;
[A-Z]*=*) [ -n "$parameters" ] && grep -q "^  ${1%%=*}:" "$template" || { echo "$template has no parameter $1"; exit 1; } ;;
*) echo "aws cloudformation deploy: no rule for $1" >&2; exit 1 ;;
esac; shift; done; [ -f "$template" ]`,
		"sudo": `case $1 in /greengrass/v2/bin/greengrass-cli) shift; set -- greengrass-cli "$@" ;; esac; exec "$@"`,
		"greengrass-cli": `case "$1 $2" in "deployment create"|"component details") ;; *) ` + refuse + ` ;; esac
while [ $# -gt 0 ]; do case $1 in --recipeDir|--artifactDir) [ -n "$(ls "$2")" ] ;; esac; shift; done`,
		"git": `[ "$1 $2" = "clone https://$(sed -n 's/^module //p' ` + root + `/go.mod).git" ] || { ` + refuse + `; }
mkdir -p "$(basename "$2" .git)"`,
		"make": `case "$*" in deb-one) mkdir -p bin; : >bin/kvs-edge-agent_1.0.0_amd64.deb ;; esac
exec /usr/bin/make -C ` + root + ` -n "$@" >/dev/null`,
		"sudoedit": `[ $# -eq 1 ] && [ "$(basename "$1")" = agent.env ]`,
		"curl":     `case "$*" in "-o AmazonRootCA1.pem https://www.amazontrust.com/repository/AmazonRootCA1.pem") ;; *) ` + refuse + ` ;; esac`,
		"apt":      `[ "$1" = install ] && [ -f "$2" ] || { ` + refuse + `; }`,
		"yum":      `[ "$1" = install ] && [ -f "$2" ] || { ` + refuse + `; }`,
		"systemctl": `case "$*" in daemon-reload|"enable --now kvs-edge-agent"|"disable --now kvs-edge-agent") exit ;; esac
for verb in enable disable; do case "$*" in "$verb --now "*)
  grep -q "^Conflicts=$3.service" ` + root + `/deploy/systemd/kvs-edge-agent.service && exit ;; esac; done; ` + refuse,
		"sh":             `[ -f "$1" ] && exec /bin/sh -n "$1"; exec /bin/sh "$@"`,
		"chown":          `[ $# -ge 2 ]`,
		"install":        `set -- $(printf '%s\n' "$@" | sed '/^-o$/,+1d; /^-g$/,+1d'); exec /usr/bin/install "$@"`,
		"docker":         fakeDocker(path),
		"kvs-edge-agent": `exec ` + path + ` "$1" --help >/dev/null`,
	})
}

// fakeDocker takes the options that the pages use, and has the program judge the command in the container.
func fakeDocker(path string) string {
	return `case $1 in
logs) [ "$2" = kvs-edge-agent ]; exit ;;
exec) [ "$2 $3" = "kvs-edge-agent /usr/bin/kvs-edge-agent" ] && exec ` + path + ` "$4" --help >/dev/null ;;
run) shift; while [ $# -gt 0 ]; do case $1 in
  -d|--rm|--read-only) ;;
  --name|--restart|--network|--tmpfs|--cap-drop|--security-opt|--stop-timeout) shift ;;
  -v) case ${2%%:*} in /*) [ -d "${2%%:*}" ] || { echo "there is no ${2%%:*}" >&2; exit 1; } ;; esac; shift ;;
  kvs-edge-agent:*) shift; [ $# -eq 0 ] || exec ` + path + ` "$1" --help >/dev/null; exit 0 ;;
  *) break ;;
  esac; shift; done ;;
esac; echo "docker $*: no rule for it" >&2; exit 1`
}

// answerAnything answers what calls of the pages read, and nothing else, in either protocol.
func answerAnything(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a server of a test
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		action := regexp.MustCompile(`Action=(\w+)`).FindSubmatch(body)
		if action != nil {
			fmt.Fprintf(w, "<%sResponse/>", action[1])
		}
		return
	}
	arn := "arn:aws:iot:us-west-2:123456789012:cert/" + strings.Repeat("0a", 32)
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client of a test
		"certificateArn": arn, "certificatePem": "x", "keyPair": map[string]string{"PrivateKey": "x", "PublicKey": "x"},
		"principals": []string{arn},
	})
}
