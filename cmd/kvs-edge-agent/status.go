package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// statusOptions are the flags of status.
type statusOptions struct {
	socket   string
	asJSON   bool
	watch    bool
	interval time.Duration
}

func newStatusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running agent records and uploads, and what is wrong",
		Long: `Show, for each stream, the recorder, the uploader, the backlog and the space used, and a
sentence for everything that wants attention. With --watch it is shown anew until Ctrl-C; with
--json too, one line of JSON each time.

Exit code: 0 when healthy, 1 when degraded, 2 when down or when no agent is running. With --watch
it is that of the last time.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.interval < 100*time.Millisecond {
				return &exitError{exitSettings, fmt.Errorf("--interval is %s, but must be at least 100ms", o.interval)}
			}
			if o.watch {
				return watchStatus(cmd.Context(), cmd.OutOrStdout(), o)
			}
			return showStatus(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	socketFlag(cmd, &o.socket)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "show it anew until Ctrl-C")
	cmd.Flags().DurationVar(&o.interval, "interval", 2*time.Second, "how often, with --watch")
	return cmd
}

func showStatus(ctx context.Context, out io.Writer, o statusOptions) error {
	snapshot, err := ask(o.socket, serviceSettings, func(c *status.Client) (status.Snapshot, error) { return c.Status(ctx) })
	if err != nil {
		return &exitError{exitDown, err}
	}
	if o.asJSON {
		encoder := json.NewEncoder(out)
		if !o.watch {
			encoder.SetIndent("", "  ")
		}
		err = encoder.Encode(snapshot)
	} else {
		err = status.WriteTable(out, snapshot)
	}
	if err != nil {
		return err
	}
	if code := verdictCodes[snapshot.Verdict]; code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// watchStatus shows the status again and again. An agent that is away may come back: it is said
// and asked again.
func watchStatus(ctx context.Context, out io.Writer, o statusOptions) error {
	var last error
	for {
		frame := &frame{out: out, redraw: !o.asJSON && isTerminal(out)}
		err := showStatus(ctx, frame, o)
		if ctx.Err() != nil && frame.text.Len() == 0 {
			return last // Ctrl-C came while asking
		}
		var exit *exitError
		if errors.As(err, &exit) && exit.err != nil {
			if o.asJSON {
				fmt.Fprintln(os.Stderr, "kvs-edge-agent:", exit.err)
			} else {
				fmt.Fprintln(frame, exit.err)
			}
			err = &exitError{code: exit.code}
		}
		last = err
		if err := frame.flush(); err != nil {
			return err
		}
		if backoff.Sleep(ctx, o.interval) != nil {
			return last
		}
	}
}

// The exit codes of status, as monitoring plugins expect them.
const (
	exitDegraded = 1
	exitDown     = 2
)

var verdictCodes = map[status.Verdict]int{status.Degraded: exitDegraded, status.Down: exitDown}
