// Command kvs-edge-agent records cameras on a hub and uploads what it recorded to Amazon Kinesis
// Video Streams. Each subcommand stands in a file of its own; the work is done in internal/.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and a hub may lack the database

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// version is set by the linker from the git tag.
var version = "devel"

// The exit codes of all subcommands.
const (
	exitFailure  = 1 // the command ran and its answer is no, or something failed
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

// gcPercent trades a little processor time for memory, of which hubs have less. With 16 cameras of
// 4 Mbit/s it takes the agent from 41 to 36 MB, and its processor time stays within the noise.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	// The first signal asks for an orderly stop; after it the default action is back, so that a
	// second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	root := newRootCommand()
	root.SetArgs(args)
	err := checkCommand(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case stopped(ctx, err):
		fmt.Fprintln(os.Stderr, "kvs-edge-agent: stopped")
		return signalled(ctx)
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(os.Stderr, "kvs-edge-agent:", shownError(exit.err))
		}
		return exit.code
	default:
		fmt.Fprintln(os.Stderr, "kvs-edge-agent:", shownError(err))
		return exitFailure
	}
}

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

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "kvs-edge-agent",
		Short:         "Records RTSP cameras to disk and uploads them to Amazon Kinesis Video Streams",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newRunCommand(),
		newStatusCommand(),
		newCheckCommand(),
		newSegmentsCommand(),
		newExportCommand(),
		newVerifyCommand(),
		newLogLevelCommand(),
		newReloadCommand(),
		newSupportBundleCommand(),
		newRecordCommand(),
		newUploadCommand(),
		newDemoCommand(),
		newLocalCloudCommand(),
		newFakecamCommand(),
		newScheduleCommand(),
		newVersionCommand(),
		newGenerateDocsCommand(),
	)
	addHelp(root)
	return root
}
