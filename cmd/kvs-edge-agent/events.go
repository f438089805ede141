package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

func newEventsCommand() *cobra.Command {
	var (
		socket, stream string
		most           int
		asJSON         bool
		span           timeFlags
	)
	cmd := &cobra.Command{
		Use:   "events",
		Short: "List events, with what is recorded and what is in the cloud of each",
		Long: `List the events that the running agent knows, oldest first: when, on which stream and why, and how many of
the fragments that were recorded of each are in the cloud. An event is "open" up to its end, "uploading" until all that was
recorded of it is in the cloud, and "done" after that. "gone" says that none of its media is on the hub any more.

Exit code: 0, 2 for wrong arguments or when no agent is running.`,
		Example: `  kvs-edge-agent events --stream front-door --last 1d`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, to, err := span.times()
			if err != nil {
				return err
			}
			if most < 1 || most > event.MaxKept {
				return &exitError{exitSettings, fmt.Errorf("--limit is %d, but must be 1 to %d", most, event.MaxKept)}
			}
			list, err := ask(socket, serviceSettings, func(c *localapi.Client) ([]localapi.Event, error) {
				return c.Events(cmd.Context(), stream, from, to, most)
			})
			if errors.Is(err, localapi.ErrNotRunning) {
				return &exitError{exitDown, err}
			}
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(list)
			}
			return printEvents(cmd.OutOrStdout(), list)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&stream, "stream", "", "only of this stream")
	flags.IntVar(&most, "limit", 1000, "how many at most, the newest")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	span.add(cmd, "the earliest time", "the latest time")
	socketFlag(cmd, &socket)
	completeStreams(cmd, func() []string { return runningStreams(cmd.Context(), socket) })
	return cmd
}

// printEvents prints a line for each stream of each event.
func printEvents(out io.Writer, list []localapi.Event) error {
	if len(list) == 0 {
		fmt.Fprintln(out, "no events")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FROM\tTO\tSTREAM\tSTATE\tRECORDED\tIN THE CLOUD\tHELD UNTIL\tID\tREASON")
	for _, e := range list {
		for _, s := range e.Streams {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d, %s\t%d, %s\t%s\t%s\t%s\n", humanize.Time(e.From.Local()),
				humanize.Time(e.To.Local()), s.Stream, eventState(e, s), s.Recorded,
				humanize.Bytes(s.Bytes), s.Uploaded, humanize.Bytes(s.UploadedBytes), heldUntil(s), e.ID, e.Reason)
		}
	}
	return table.Flush()
}

// eventState is a word for how far an event is on a stream.
func eventState(e localapi.Event, s localapi.EventStream) string {
	switch {
	case e.Open:
		return "open"
	case s.Final && s.Recorded == 0:
		return "nothing recorded"
	case s.Unsent > 0 && s.Uploaded+s.Refused+s.Lost == 0:
		return "on the hub only"
	case s.Final && s.Refused+s.Lost+s.Unsent > 0:
		return "done, but " + eventLacks(s)
	case s.Final && !s.OnHub:
		return "done, gone"
	case s.Final:
		return "done"
	default:
		return "uploading"
	}
}

// eventLacks says how many fragments of an event that has ended are not in the cloud, and why.
func eventLacks(s localapi.EventStream) string {
	var list []string
	for _, x := range []struct {
		n    int
		what string
	}{{s.Lost, "lost"}, {s.Unsent, "on the hub only"}, {s.Refused, "refused"}} {
		if x.n > 0 {
			list = append(list, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	return strings.Join(list, ", ")
}

// heldUntil says how long the media of an event is held on a stream.
func heldUntil(s localapi.EventStream) string {
	switch {
	case s.NotHeld != "":
		return "not held"
	case s.Hold != "" && s.HeldUntil.IsZero():
		return "removed"
	default:
		return timeOrDash(s.HeldUntil)
	}
}
