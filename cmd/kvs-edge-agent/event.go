package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// sourceCommand is the source of the events that the command triggers.
const sourceCommand = "cli"

func newEventCommand() *cobra.Command {
	var (
		socket, id, reason, at string
		streams                []string
		pre, post              time.Duration
	)
	cmd := &cobra.Command{
		Use:   "event --stream NAME",
		Short: "Trigger an event: its media goes to the cloud at once, before everything else",
		Long: `Tell the running agent that something happened. The media of the streams from some seconds before that time
(the pre-roll, which is recorded already) to some seconds after it (the post-roll) goes to the cloud at once, before
everything else and regardless of the streams' upload modes and schedules.

A trigger for the same reason while the event is open extends it, and so does one with its id. The command
returns once the event is on the hub's disk: the agent then brings its media to the cloud, also after a restart or
an outage. "kvs-edge-agent events" shows how far it is.

Exit code: 0 when the event is on the disk, 1 when it was refused, 2 for wrong arguments or when no agent is running.`,
		Example: `  kvs-edge-agent event --stream front-door --pre 10s --post 30s --reason "door 4"
  kvs-edge-agent event --stream front-door --stream yard --id alarm-17`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(streams) == 0 {
				return &exitError{exitSettings, errors.New("--stream is needed")}
			}
			when, err := timeOf("--at", at, time.Now())
			if err != nil {
				return err
			}
			before, after := pre.Seconds(), post.Seconds()
			done, err := ask(socket, serviceSettings, func(c *localapi.Client) (localapi.TriggeredEvent, error) {
				return c.TriggerEvent(cmd.Context(), localapi.EventRequest{ID: id, Streams: streams, Time: when, Pre: &before, Post: &after,
					Reason: reason, Source: sourceCommand})
			})
			if errors.Is(err, localapi.ErrNotRunning) {
				return &exitError{exitDown, err}
			}
			if err != nil {
				return err
			}
			printTriggered(cmd.OutOrStdout(), done)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&streams, "stream", nil, "a stream; may be given several times")
	spanVar(flags, &pre, "pre", event.DefaultPre, "how long before it the media begins")
	spanVar(flags, &post, "post", event.DefaultPost, "how long after it the media ends")
	flags.StringVar(&reason, "reason", "", "what happened, for people")
	flags.StringVar(&id, "id", "", "the id of the event: letters, digits, and . _ : - between them (default a new one)")
	flags.StringVar(&at, "at", "", "when it happened (default now): "+humanize.TimeForms)
	socketFlag(cmd, &socket)
	completeStreams(cmd, func() []string { return runningStreams(cmd.Context(), socket) })
	return cmd
}

// printTriggered prints the event of a trigger.
func printTriggered(out io.Writer, done localapi.TriggeredEvent) {
	e := done.Event
	verb := "began"
	switch {
	case !done.Began && e.Open:
		verb = "continues"
	case !done.Began:
		verb = "is known already, and has ended"
	}
	fmt.Fprintf(out, "event %s %s: stream %s from %s to %s\n", e.ID, verb, strings.Join(streamsOfEvent(e), ", "),
		humanize.Time(e.From.Local()), humanize.Time(e.To.Local()))
	if done.Note != "" {
		fmt.Fprintln(out, done.Note)
	}
}

func streamsOfEvent(e localapi.Event) (names []string) {
	for _, s := range e.Streams {
		names = append(names, s.Stream)
	}
	return names
}

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
	fmt.Fprintln(table, "FROM\tTO\tSTREAM\tSTATE\tRECORDED\tIN THE CLOUD\tID\tREASON")
	for _, e := range list {
		for _, s := range e.Streams {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d, %s\t%d, %s\t%s\t%s\n", humanize.Time(e.From.Local()),
				humanize.Time(e.To.Local()), s.Stream, eventState(e, s), s.Recorded,
				humanize.Bytes(s.Bytes), s.Uploaded, humanize.Bytes(s.UploadedBytes), e.ID, e.Reason)
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
	case s.Final && s.Refused > 0:
		return fmt.Sprintf("done, but %d refused", s.Refused)
	case s.Final && !s.OnHub:
		return "done, gone"
	case s.Final:
		return "done"
	default:
		return "uploading"
	}
}
