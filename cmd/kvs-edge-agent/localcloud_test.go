package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// localCloudProcess is `kvs-edge-agent localcloud` as a process of its own.
type localCloudProcess struct {
	t      *testing.T
	env    map[string]string // what it prints
	stderr *bufio.Reader
	stop   func()
}

func startLocalCloud(t *testing.T, args ...string) *localCloudProcess {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background()) // it lasts as long as its test, however long that is
	hung := time.AfterFunc(patience, cancel)
	defer hung.Stop()
	command := exec.CommandContext(ctx, path, append([]string{"localcloud", "--dir", filepath.Join(dir, "cloud")}, args...)...)
	command.Env = []string{"HOME=" + dir}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, stderr)
		if err := command.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the local cloud ended with %v", err)
		}
	})
	p := &localCloudProcess{t: t, env: map[string]string{}, stderr: bufio.NewReader(stderr), stop: cancel}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			p.env[name] = value
		}
		if strings.HasPrefix(lines.Text(), "# The local cloud is up") {
			return p
		}
	}
	rest, _ := io.ReadAll(stderr)
	t.Fatalf("the local cloud did not come up: %s", rest)
	return nil
}

// awaitLine reads standard error until a line has all parts.
func (p *localCloudProcess) awaitLine(parts ...string) {
	p.t.Helper()
	hung := time.AfterFunc(patience, p.stop)
	defer hung.Stop()
	var all strings.Builder
	for {
		line, err := p.stderr.ReadString('\n')
		all.WriteString(line)
		missing := 0
		for _, part := range parts {
			if !strings.Contains(line, part) {
				missing++
			}
		}
		if missing == 0 {
			return
		}
		if err != nil {
			p.t.Fatalf("no line with %q: %v\n%s", parts, err, &all)
		}
	}
}

// aws runs the command line of AWS as the user.
func (p *localCloudProcess) aws(args ...string) string {
	p.t.Helper()
	command := exec.CommandContext(p.t.Context(), "/usr/bin/aws", append(args, "--endpoint-url", p.env["AWS_ENDPOINT_URL"])...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.t.TempDir(), "AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=127.0.0.1"}
	for _, name := range []string{"AWS_CA_BUNDLE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"} {
		command.Env = append(command.Env, name+"="+p.env[name])
	}
	out, _ := command.CombinedOutput() // the test checks what it prints
	return string(out)
}

func TestTheLocalCloudPrintsWhatItRefusesAndWhatItIsAsked(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "/usr/bin/aws")
	p := startLocalCloud(t, "--as-aws", "--allow", "iot:RetainPublish", "--allow", "kinesisvideo:ListEdgeAgentConfigurations", "--print-calls")
	if out := p.aws("ssm", "describe-parameters"); !strings.Contains(out, "localcloud has no service ssm") {
		t.Errorf("aws says %s", out)
	}
	p.awaitLine("refused ssm DescribeParameters: UnknownService at the scope of the credentials: localcloud has no service ssm")
	if out := p.aws("secretsmanager", "create-secret", "--name", "a/b", "--secret-string", "hunter2"); !strings.Contains(out, "secret:a/b-") {
		t.Errorf("aws says %s", out)
	}
	p.awaitLine("secretsmanager CreateSecret of a/b by user: 200, ", " ms")
}
