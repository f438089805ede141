package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// agentProcess is `kvs-edge-agent run` in a process of its own, as systemd would start it: all it
// knows comes from its environment.
type agentProcess struct {
	cmd     *exec.Cmd
	exited  chan struct{}
	waitErr error // set before exited is closed
	socket  string
	logPath string
}

// startAgent runs program with exactly env; its console output goes to logPath, appended. args are
// those of run.
func startAgent(program, logPath string, env []string, args ...string) (*agentProcess, error) {
	output, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }()
	cmd := exec.Command(program, append([]string{"run"}, args...)...)
	cmd.Env = env
	cmd.Dir = filepath.Dir(logPath)
	cmd.Stdout, cmd.Stderr = output, output
	// A stop by Ctrl-C is for the parent to pass on in its own order, so the child leaves the terminal's group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the agent: %w", err)
	}
	a := &agentProcess{cmd: cmd, exited: make(chan struct{}), socket: socketOf(env), logPath: logPath}
	go func() {
		a.waitErr = cmd.Wait()
		close(a.exited)
	}()
	return a, nil
}

func socketOf(env []string) string {
	for _, line := range env {
		if path, ok := strings.CutPrefix(line, settings.EnvSocket+"="); ok {
			return path
		}
	}
	return ""
}

// stop asks for an orderly end and waits for it. One that was started a moment ago may not wait for the signal yet, and ends by it: it
// has nothing to put in order.
func (a *agentProcess) stop(ctx context.Context) error {
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-a.exited:
		if status, ok := a.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGTERM {
			return nil
		}
		if a.waitErr != nil {
			return fmt.Errorf("the agent did not stop cleanly: %w; see %s", a.waitErr, a.logPath)
		}
		return nil
	case <-ctx.Done():
		a.kill()
		return fmt.Errorf("the agent did not stop in time; see %s", a.logPath)
	}
}

// kill ends it as a power cut would.
func (a *agentProcess) kill() {
	_ = a.cmd.Process.Kill()
	<-a.exited
}

func (a *agentProcess) status(ctx context.Context) (status.Snapshot, error) {
	return localapi.NewClient(a.socket).Status(ctx)
}
