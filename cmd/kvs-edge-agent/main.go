// Command kvs-edge-agent records cameras on a hub and uploads what it recorded to Amazon Kinesis
// Video Streams. Each subcommand is in a file of its own; the work is done in internal/.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and a hub may lack the database

	"github.com/spf13/cobra"

	_ "github.com/kvs-edge/kvs-edge-agent/internal/fipsmode" // says which mode is not supported
	"github.com/kvs-edge/kvs-edge-agent/internal/trimrss"
)

func main() {
	trimrss.Start()
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
		err = execute(ctx, isLasting(root, args), func() error { return root.ExecuteContext(ctx) })
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
		newStreamsCommand(),
		newSegmentsCommand(),
		newExportCommand(),
		newVerifyCommand(),
		newCostCommand(),
		newLogLevelCommand(),
		newReloadCommand(),
		newSupportBundleCommand(),
		newRecordCommand(),
		newUploadCommand(),
		newAuditCommand(),
		newHoldCommand(),
		newEventCommand(),
		newEventsCommand(),
		newWebCommand(),
		newDemoCommand(),
		newLocalCloudCommand(),
		newFakecamCommand(),
		newScheduleCommand(),
		newSetupCommand(),
		newVersionCommand(),
		newGenerateDocsCommand(),
	)
	addHelp(root)
	return root
}
