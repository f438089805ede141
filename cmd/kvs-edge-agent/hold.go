package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

func newHoldCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Keep recordings from being deleted",
		Long: `Keep recordings of a time range from being deleted, by whatever rule: age, size, after their upload, for the space of the
disk, or as their stream is no longer configured. "hold add" adds a hold, "hold list" lists them, and "hold remove" ends one.`,
		Args: arguments(0, 0, "it is followed by add, list or remove"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newHoldAddCommand(), newHoldListCommand(), newHoldRemoveCommand())
	return cmd
}

func newHoldAddCommand() *cobra.Command {
	var socket, until string
	var in localapi.HoldRequest
	var span timeFlags
	cmd := &cobra.Command{
		Use:   "add --stream NAME --from TIME --to TIME --reason TEXT",
		Short: "Hold the recordings of a time range",
		Long: `Hold the recordings of a stream with media of a time range: those that exist, and those that are recorded later when the
range ends in the future. Recordings are held as whole files. A hold lasts until it is removed, or until the time of --until.
A hold that does not fit into AWS_KVS_EDGE_HOLD_MAX is refused.

Exit code: 0 when the recordings are held, 1 when the hold is refused, 2 for wrong arguments or when no agent is running.`,
		Example: `  kvs-edge-agent hold add --stream front-door --from '2026-11-21 04:20' --to '2026-11-21 04:30' --reason 'theft, case 4711'
  kvs-edge-agent hold add --stream front-door --last 1h --reason 'accident' --until '2027-03-01'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if in.From, in.To, err = span.times(); err != nil {
				return err
			}
			if in.Stream == "" || in.Reason == "" || in.From.IsZero() || in.To.IsZero() {
				return &exitError{exitSettings, errors.New("--stream and --reason are needed, and --from with --to, or --last")}
			}
			if until != "" {
				if in.Until, err = humanize.ParseTime(until, time.Now()); err != nil {
					return &exitError{exitSettings, fmt.Errorf("--until: %w", err)}
				}
			}
			done, err := askRunning(socket, func(c *localapi.Client) (localapi.Hold, error) { return c.AddHold(cmd.Context(), in) })
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "hold %s: %s of stream %s, %s, are not deleted\n", done.ID,
				humanize.Count(done.Segments, "recording"), done.Stream, humanize.Bytes(done.Bytes))
			return err
		},
	}
	cmd.Flags().StringVar(&in.Stream, "stream", "", "the stream")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why, for those who find the hold later")
	cmd.Flags().StringVar(&until, "until", "", "when the hold ends by itself: as --from. Default: never")
	cmd.Flags().StringVar(&in.ID, "id", "", "its ID: the same request with the same ID changes nothing. Default: a new one")
	span.add(cmd, "the earliest time", "the time at which to end, which may be in the future")
	socketFlag(cmd, &socket)
	completeStreams(cmd, func() []string { return runningStreams(cmd.Context(), socket) })
	return cmd
}

func newHoldListCommand() *cobra.Command {
	var socket, stream string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the holds, with what they hold",
		Long: `List the holds of all streams, or of one, with the recordings that they hold now.

Exit code: 0 when the agent has answered, 2 for wrong arguments or when no agent is running.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := askRunning(socket, func(c *localapi.Client) ([]localapi.Hold, error) { return c.Holds(cmd.Context(), stream) })
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(list)
			}
			return writeHolds(cmd.OutOrStdout(), list)
		},
	}
	cmd.Flags().StringVar(&stream, "stream", "", "only of this stream")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	socketFlag(cmd, &socket)
	completeStreams(cmd, func() []string { return runningStreams(cmd.Context(), socket) })
	return cmd
}

func newHoldRemoveCommand() *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "End a hold: its recordings may be deleted again",
		Long: `End a hold. Its recordings are deleted then as those of their stream are; those of other holds stay. The agent logs who
ended it.

Exit code: 0 when the hold is removed, 1 when it is not, 2 for wrong arguments or when no agent is running.`,
		Example: `  kvs-edge-agent hold remove 5c1d0f7a92be`,
		Args:    arguments(1, 1, "name one hold by its ID; `kvs-edge-agent hold list` lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := askRunning(socket, func(c *localapi.Client) (localapi.Hold, error) { return c.RemoveHold(cmd.Context(), args[0]) })
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed: hold %s of stream %s\n", done.ID, done.Stream)
			return err
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (ids []string, _ cobra.ShellCompDirective) {
			list, err := askRunning(socket, func(c *localapi.Client) ([]localapi.Hold, error) { return c.Holds(cmd.Context(), "") })
			if err == nil && len(args) == 0 {
				for _, h := range list {
					ids = append(ids, h.ID+"\t"+h.Stream+": "+h.Reason)
				}
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
	}
	socketFlag(cmd, &socket)
	return cmd
}

// askRunning asks the running agent; without one the exit code says so.
func askRunning[T any](socket string, question func(*localapi.Client) (T, error)) (T, error) {
	answer, err := ask(socket, serviceSettings, question)
	if errors.Is(err, localapi.ErrNotRunning) {
		err = &exitError{exitDown, err}
	}
	return answer, err
}

func writeHolds(w io.Writer, list []localapi.Hold) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "There are no holds.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOLD\tSTREAM\tFROM\tTO\tUNTIL\tRECORDINGS\tSIZE\tBY\tREASON")
	for _, h := range list {
		if h.Unreadable {
			fmt.Fprintf(table, "-\t%s\t-\t-\t-\t%d\t%s\t-\tthe file of holds cannot be read: everything is held\n", h.Stream, h.Segments,
				humanize.Bytes(h.Bytes))
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", h.ID, h.Stream, timeOrDash(h.From), timeOrDash(h.To), timeOrDash(h.Until),
			h.Segments, humanize.Bytes(h.Bytes), orDash(h.Source), h.Reason)
	}
	return table.Flush()
}
