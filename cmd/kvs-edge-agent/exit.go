package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // schedules name time zones, and a hub may lack the database

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The exit codes of all subcommands.
const (
	exitFailure  = 1 // the command ran and its answer is negative, or something failed
	exitSettings = 2 // wrong settings or arguments: nothing was started
)

// exitError carries an exit code to main.
type exitError struct {
	code int
	err  error // nil when everything was said already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// maxErrorLines bounds what is printed of an error.
const maxErrorLines = 100

// shownError is the text of an error as it is printed: a camera or a service may have written parts of it.
func shownError(err error) string {
	return health.CleanLines(err.Error(), health.MaxText, maxErrorLines)
}

// shownName is a name or a path of a file, which anybody who writes to the disk may have chosen, as it is printed.
func shownName(name string) string { return health.Clean(name, len(name)) }

// stopped reports whether a command failed because a signal stopped it, and for no other reason.
func stopped(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)))
}

// signalled is the exit code of a command that a signal stopped: 128 and the signal's number, as shells have it.
func signalled(ctx context.Context) int {
	signal := syscall.SIGINT
	if cause := context.Cause(ctx); cause != nil && strings.HasPrefix(cause.Error(), syscall.SIGTERM.String()) {
		signal = syscall.SIGTERM
	}
	return 128 + int(signal)
}

// stopPatience is how long a command may take to end after a signal, with what it has open: a disk or a server that hangs is
// not waited for.
const stopPatience = 4500 * time.Millisecond

// isLasting reports whether a command ends in an order of its own, in which recordings are sealed, however long that takes.
func isLasting(root *cobra.Command, args []string) bool {
	cmd, _, err := root.Find(args)
	return err == nil && slices.Contains([]string{"run", "record", "demo"}, cmd.Name())
}

// execute runs a command. One that is not lasting and does not end after ctx is given up, and ends with the process.
func execute(ctx context.Context, lasting bool, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if lasting {
		return <-done
	}
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		return context.Cause(ctx)
	}
}
