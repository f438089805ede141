package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

func newUploadCommand() *cobra.Command {
	var socket, stream, fromText, toText string
	cmd := &cobra.Command{
		Use:   "upload --stream NAME --from TIME --to TIME",
		Short: "Upload what was recorded in a time span now, before everything else",
		Long: `Have the running agent upload what it has recorded of a stream in a time span, now, whatever the
stream's schedule is, and show how far it is. What is in the cloud already is not sent again.
Ending this command gives up what is left; it is then uploaded as scheduled.

Exit code: 0 when everything is in the cloud, 1 when something is not, 2 for wrong arguments or
when no agent is running.`,
		Example: `  kvs-edge-agent upload --stream front-door --from '2026-11-21 04:20' --to '2026-11-21 04:30'`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseTime("--from", fromText)
			if err != nil {
				return err
			}
			to, err := parseTime("--to", toText)
			if err != nil {
				return err
			}
			if stream == "" || from.IsZero() || to.IsZero() || !from.Before(to) {
				return &exitError{exitSettings, errors.New("--stream, --from and --to are needed, and --from must be before --to")}
			}
			out := cmd.OutOrStdout()
			var last status.UploadProgress
			_, err = ask(socket, serviceSettings, func(c *status.Client) (struct{}, error) {
				return struct{}{}, c.Upload(cmd.Context(), status.UploadRequest{Stream: stream, From: from, To: to}, func(p status.UploadProgress) {
					if last = p; !p.Finished {
						fmt.Fprintf(out, "%d of %d fragments are in the cloud\n", p.Done-p.Refused, p.Total)
					}
				})
			})
			switch {
			case errors.Is(err, status.ErrNotRunning):
				return &exitError{exitDown, err}
			case err != nil:
				return err
			case last.Total == 0:
				return fmt.Errorf("nothing is recorded of stream %s from %s to %s", stream, fromText, toText)
			case last.Refused > 0:
				return fmt.Errorf("%d of %d fragments stay on the hub, as the service does not take them; `kvs-edge-agent status` says why", last.Refused, last.Total)
			}
			fmt.Fprintf(out, "done: all %d fragments are in the cloud\n", last.Total)
			return nil
		},
	}
	cmd.Flags().StringVar(&stream, "stream", "", "the stream")
	cmd.Flags().StringVar(&fromText, "from", "", "the earliest time: 2026-11-21T04:20:00Z, or without Z in local time")
	cmd.Flags().StringVar(&toText, "to", "", "the time at which to end")
	socketFlag(cmd, &socket)
	return cmd
}
