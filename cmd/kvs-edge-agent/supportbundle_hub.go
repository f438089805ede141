package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
)

const (
	bundleCheckTime = 2 * time.Minute
	bundleToolTime  = 20 * time.Second
	bundleDiskTime  = 30 * time.Second
	// bundleGrace is how long something may take to stop after its time.
	bundleGrace = 10 * time.Second

	bundleJournalLines = 2000
	bundleToolBytes    = 5 << 20 // of what a program prints, the last
)

// within waits for f, whose context ends after a time. A disk that hangs keeps only f from returning.
func within[T any](ctx context.Context, limit time.Duration, f func(context.Context) (T, error)) (value T, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := f(ctx)
		answers <- answer{value, err}
	}()
	late := time.NewTimer(limit + bundleGrace)
	defer late.Stop()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-late.C:
		return value, fmt.Errorf("there was no answer for %s", limit)
	}
}

// part adds a file whose content is made within a time, and notes why it lacks all of it or some.
func (b *bundle) part(ctx context.Context, name string, limit time.Duration, content func(context.Context) ([]byte, error)) (added bool) {
	data, err := within(ctx, limit, content)
	b.miss(name, err)
	if len(data) > 0 {
		b.add(name, data)
	}
	return len(data) > 0
}

// outputOf returns the end of what a program prints until ctx ends, when it is interrupted.
func outputOf(ctx context.Context, environ []string, name string, arguments ...string) ([]byte, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("there is no %s on this machine", name)
	}
	out, problems := &ending{most: bundleToolBytes}, &ending{most: 1 << 10}
	cmd := exec.CommandContext(ctx, path, arguments...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, out, problems
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = bundleGrace / 2
	err = cmd.Run()
	switch said := strings.TrimSpace(string(problems.text())); {
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		err = fmt.Errorf("%s was stopped by Ctrl-C", filepath.Base(name))
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("%s was stopped, as it took too long", filepath.Base(name))
	case err != nil && said != "":
		err = fmt.Errorf("%s: %w", said, err)
	}
	return out.text(), err
}

// ending keeps the last bytes that are written to it, from the beginning of a line.
type ending struct {
	most int
	data []byte
	cut  bool
}

// Write implements io.Writer.
func (e *ending) Write(data []byte) (int, error) {
	e.data = append(e.data, data...)
	if len(e.data) > 2*e.most {
		e.data, e.cut = append([]byte(nil), e.data[len(e.data)-e.most:]...), true
	}
	return len(data), nil
}

func (e *ending) text() []byte {
	data, cut := e.data, e.cut
	if over := len(data) - e.most; over > 0 {
		data, cut = data[over:], true
	}
	if cut {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	return data
}

// checkFindings are those of a check in a process of its own, which may give up root for the service's rights. It
// starts from the variables of this shell, as somebody's own check does.
func checkFindings(ctx context.Context, environ []string) ([]byte, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data, err := outputOf(ctx, environ, program, "check", "--json")
	if !json.Valid(data) {
		return nil, cmp.Or(err, errors.New("the check printed no JSON"))
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == exitFailure {
		err = nil // it found something, and says what
	}
	return data, err
}

// journal is the end of what systemd noted of the service.
func journal(ctx context.Context) ([]byte, error) {
	data, err := outputOf(ctx, os.Environ(), "journalctl", "--quiet", "--no-pager", "--output=short-iso",
		"--unit="+serviceUnit, "--lines="+strconv.Itoa(bundleJournalLines))
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("the journal has no lines of %s that this user may read", serviceUnit)
	}
	return data, err
}

// clockText says what the kernel, which the agent asks, and timedatectl know of the clock.
func clockText(ctx context.Context) ([]byte, error) {
	var text bytes.Buffer
	now := time.Now()
	fmt.Fprintf(&text, "hub's time    %s\nin UTC        %s\n", now.Format(time.RFC3339Nano), now.UTC().Format(time.RFC3339Nano))
	var state unix.Timex
	leap, err := unix.Adjtimex(&state)
	if err != nil {
		err = fmt.Errorf("the kernel's clock cannot be queried: %w", err)
	} else {
		const format = "synchronised  %t\nadjtimex      state %d, status %#x, offset %d, frequency %d, " +
			"largest error %d us, estimated error %d us\n"
		fmt.Fprintf(&text, format,
			hubclock.Kernel(), leap, state.Status, state.Offset, state.Freq, state.Maxerror, state.Esterror)
	}
	said, toolErr := outputOf(ctx, append(os.Environ(), "LC_ALL=C"), "timedatectl", "status")
	if len(said) > 0 {
		fmt.Fprintf(&text, "\ntimedatectl status\n%s", said)
	}
	return text.Bytes(), errors.Join(err, toolErr)
}

// pressureText is what the kernel says of the hub, and of the control group of the agent when that runs.
func pressureText(agent int) []byte {
	process := "self"
	if agent > 0 {
		process = strconv.Itoa(agent)
	}
	return pressure.NewReader(process, runtime.NumCPU()).Text()
}
