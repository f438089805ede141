package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// statusOptions are the flags of status.
type statusOptions struct {
	socket   string
	stream   string
	asJSON   bool
	watch    bool
	interval time.Duration
	view     status.View
}

func newStatusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running agent records and uploads, and what is wrong",
		Long: `Show, for each stream, the recorder, the uploader, the backlog and the space used, and a
sentence for everything that needs attention. With --watch it is refreshed until Ctrl-C and fitted to the
terminal, streams with a problem first; with --json as well, each refresh is one line of JSON. Where no agent runs, it
shows the recordings.

Exit code: 0 when healthy, 1 when degraded, 2 when down or when no agent is running. With --watch
it is that of the last time, with --stream that of the stream.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.interval < 100*time.Millisecond {
				return &exitError{exitSettings, fmt.Errorf("--interval is %s, but must be at least 100ms", o.interval)}
			}
			if o.watch {
				return watchStatus(cmd.Context(), cmd.OutOrStdout(), o)
			}
			t := terminalOf(cmd.OutOrStdout())
			o.view = status.View{Width: t.width, Color: t.color}
			return showStatus(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	socketFlag(cmd, &o.socket)
	cmd.Flags().StringVar(&o.stream, "stream", "", "show this stream only (default all)")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "refresh until Ctrl-C")
	spanVar(cmd.Flags(), &o.interval, "interval", 2*time.Second, "how often, with --watch")
	completeStreams(cmd, func() []string { return runningStreams(cmd.Context(), o.socket) })
	return cmd
}

func showStatus(ctx context.Context, out io.Writer, o statusOptions) error {
	snapshot, err := ask(o.socket, serviceSettings, func(c *localapi.Client) (status.Snapshot, error) { return c.Status(ctx) })
	if err != nil {
		if errors.Is(err, localapi.ErrNotRunning) && o.socket == "" && !o.asJSON && !o.watch {
			writeRecorded(ctx, out, serviceSettings)
		}
		return &exitError{exitDown, err}
	}
	if o.stream != "" {
		only, found := snapshot.Only(o.stream)
		if !found {
			return &exitError{exitSettings, fmt.Errorf("this hub has no stream %s; it has: %s", o.stream, humanize.List(namesOf(snapshot)))}
		}
		snapshot = only
	}
	if o.asJSON {
		encoder := json.NewEncoder(out)
		if !o.watch {
			encoder.SetIndent("", "  ")
		}
		err = encoder.Encode(snapshot)
	} else {
		err = o.view.Write(out, snapshot)
	}
	if err != nil {
		return err
	}
	if code := verdictCodes[snapshot.Verdict]; code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// namesOf lists the streams of a snapshot.
func namesOf(s status.Snapshot) []string {
	var names []string
	for _, st := range s.Streams {
		names = append(names, st.Name)
	}
	return names
}

// watchStatus refreshes the status at each interval, and at once when the terminal's size has changed. When no agent
// answers, it shows that and keeps trying.
func watchStatus(ctx context.Context, out io.Writer, o statusOptions) error {
	redraw := !o.asJSON && terminalOf(out).present
	resized := make(chan os.Signal, 1)
	if redraw {
		signal.Notify(resized, syscall.SIGWINCH)
		defer signal.Stop(resized)
		fmt.Fprint(out, enterScreen)
		defer fmt.Fprint(out, leaveScreen)
	}
	ticker := time.NewTicker(o.interval)
	defer ticker.Stop()
	var last error
	for {
		if redraw {
			t := terminalOf(out)
			o.view = status.View{Width: t.width, Height: t.height, Color: t.color}
		}
		frame := &display{out: out, redraw: redraw}
		err := showStatus(ctx, frame, o)
		if ctx.Err() != nil && frame.text.Len() == 0 {
			return last // Ctrl-C came while asking
		}
		var exit *exitError
		if errors.As(err, &exit) && exit.err != nil {
			if o.asJSON {
				fmt.Fprintln(os.Stderr, "kvs-edge-agent:", shownError(exit.err))
			} else {
				fmt.Fprintln(frame, shownError(exit.err))
			}
			err = &exitError{code: exit.code}
		}
		last = err
		if err := frame.flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		case <-resized:
		}
	}
}

// The exit codes of status, as monitoring plugins expect them.
const (
	exitDegraded = 1
	exitDown     = 2
)

var verdictCodes = map[status.Verdict]int{status.Degraded: exitDegraded, status.Down: exitDown}
