package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
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
		pre, post, hold        time.Duration
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

With --hold its media stays on the hub for so long after the end of the event, whatever rule would delete it. Where that does
not fit into AWS_KVS_EDGE_HOLD_MAX, the event continues without it, and the command says so.

Exit code: 0 when the event is on the disk, 1 when it was refused, 2 for wrong arguments or when no agent is running.`,
		Example: `  kvs-edge-agent event --stream front-door --pre 10s --post 30s --reason "door 4"
  kvs-edge-agent event --stream front-door --stream yard --id alarm-17
  kvs-edge-agent event --stream front-door --reason "accident" --hold 90d`,
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
					Reason: reason, Source: sourceCommand, Hold: hold.Seconds()})
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
	spanVar(flags, &hold, "hold", 0, "how long after its end its media is held on the hub, as by `hold add`: 90d (default 0s: not at all)")
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
	for _, s := range e.Streams {
		if s.Hold != "" {
			fmt.Fprintf(out, "hold %s: what is recorded of stream %s is not deleted until %s\n", s.Hold, s.Stream, timeOrDash(s.HeldUntil))
		}
		if s.NotHeld != "" {
			fmt.Fprintf(out, "not held: %s\n", s.NotHeld)
		}
	}
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
