package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// exitNoAudit is the exit code of an audit that was not possible, or that ended early.
const exitNoAudit = 3

func newAuditCommand() *cobra.Command {
	var socket string
	a := auditing{}
	var span timeFlags
	cmd := &cobra.Command{
		Use:   "audit --stream NAME --from TIME --to TIME [--repair [--yes]] [--json]",
		Short: "Compare what was uploaded with what the cloud has, and repair it",
		Long: `Have the running agent compare what it uploaded of a stream in a time range with the fragments that Kinesis Video
Streams lists. What was acknowledged less than 5 minutes ago counts as pending, and what is older than the stream's
retention, less an hour, as expired.

With --repair it sends exactly the missing fragments again that are still recorded on the hub, after it has printed
their number, their size and what the service charges for them. More than 1 GB needs --yes.

Exit code: 0 when everything that the cloud must have is there, also after a repair, 1 when something is missing or
cannot be read on the hub, 2 for wrong arguments or when no agent is running, 3 when the audit was not possible or ended
early, 130 when it was stopped by Ctrl-C.`,
		Example: `  kvs-edge-agent audit --stream front-door --last 2d
  kvs-edge-agent audit --stream front-door --from '2026-11-21 04:20' --to '2026-11-21 04:30' --repair`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			r := &a.request
			if r.From, r.To, err = span.times(); err != nil {
				return err
			}
			switch {
			case r.Stream == "" || r.From.IsZero() || r.To.IsZero():
				return &exitError{exitSettings, errors.New("--stream is needed, and --from with --to, or --last")}
			case r.Yes && !r.Repair:
				return &exitError{exitSettings, errors.New("--yes goes with --repair")}
			}
			a.out = cmd.OutOrStdout()
			return a.run(cmd.Context(), socket)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&a.request.Stream, "stream", "", "the stream")
	flags.BoolVar(&a.request.Repair, "repair", false, "send again what is missing in the cloud")
	flags.BoolVar(&a.request.Yes, "yes", false, "with --repair: also more than 1 GB")
	flags.BoolVar(&a.json, "json", false, "print the result as JSON, with the missing fragments")
	span.add(cmd, "the earliest time", "the time at which to end")
	socketFlag(cmd, &socket)
	completeStreams(cmd, func() []string { return runningStreams(cmd.Context(), socket) })
	return cmd
}

// auditing is one run of the command.
type auditing struct {
	out     io.Writer
	json    bool
	request localapi.AuditRequest
	last    localapi.AuditProgress
	lost    []localapi.LostFragment
	lined   time.Time // when a line of progress was printed last
}

func (a *auditing) run(ctx context.Context, socket string) error {
	_, err := ask(socket, serviceSettings, func(c *localapi.Client) (struct{}, error) {
		return struct{}{}, c.Audit(ctx, a.request, a.show)
	})
	var early *localapi.AuditError
	switch {
	case err != nil && ctx.Err() != nil:
		return &exitError{signalled(ctx), fmt.Errorf("stopped after %s were compared", humanize.Count(a.last.Fragments, "fragment"))}
	case errors.Is(err, localapi.ErrNotRunning):
		return &exitError{exitDown, err}
	case errors.As(err, &early) && a.last.Phase == localapi.AuditRepairing:
		return &exitError{exitFailure, err}
	case err != nil:
		return &exitError{exitNoAudit, err}
	}
	if a.json {
		a.last.Lost = a.lost
		if err := json.NewEncoder(a.out).Encode(a.last); err != nil {
			return err
		}
	} else {
		a.print()
	}
	if p := a.last; p.Missing+p.GoneMissing > p.Repaired || p.UnreadableSegments > 0 {
		return &exitError{code: exitFailure}
	}
	return nil
}

// show is called whenever the audit has come further.
func (a *auditing) show(p localapi.AuditProgress) {
	before := a.last.Phase
	if a.last = p; p.Lost != nil {
		a.lost = p.Lost
	}
	if a.json || p.Finished {
		return
	}
	if p.Phase == localapi.AuditRepairing && before != p.Phase {
		fmt.Fprintf(a.out, "%s to send again, %s; Kinesis Video Streams charges %s\n", humanize.Count(p.Missing, "fragment"),
			humanize.Bytes(p.MissingBytes), priceOf(p))
	}
	if now := time.Now(); now.Sub(a.lined) >= lineEvery {
		if a.lined.IsZero() {
			a.lined = now // the first line comes after a while
			return
		}
		a.lined = now
		if p.Phase == localapi.AuditRepairing {
			fmt.Fprintf(a.out, "%d of %s sent again\n", p.Repaired, humanize.Count(p.Missing, "fragment"))
			return
		}
		fmt.Fprintf(a.out, "%s compared, %d listed\n", humanize.Count(p.Fragments, "fragment"), p.Listed)
	}
}

// priceOf is what sending the missing fragments costs.
func priceOf(p localapi.AuditProgress) string {
	tier := p.StorageTier
	if tier == "" {
		tier = cost.Hot + " (the tier is not known)"
	}
	return fmt.Sprintf("%.2f %s, tier %s", p.IngestPrice, p.Currency, tier)
}

// print prints the result.
func (a *auditing) print() {
	p := a.last
	row := func(n int, text string) {
		if n > 0 {
			fmt.Fprintf(a.out, "  %7d %s\n", n, text)
		}
	}
	fmt.Fprintf(a.out, "stream %s, %s: %s uploaded\n", p.Stream, inSpan(a.request.From, a.request.To), humanize.Count(p.Fragments, "fragment"))
	row(p.Present, "in the cloud")
	row(p.Missing, fmt.Sprintf("missing in the cloud, %s on the hub", humanize.Bytes(p.MissingBytes)))
	row(p.Pending, "acknowledged less than 5 minutes ago, not listed yet")
	row(p.Expired, fmt.Sprintf("beyond the stream's retention of %s, not listed any more", humanize.Count(p.RetentionHours, "hour")))
	row(p.NotUploaded, "not uploaded yet")
	row(p.Refused, "refused by the service")
	row(p.GonePresent, "not recorded any more on the hub, in the cloud")
	row(p.GoneMissing, "not recorded any more on the hub, missing in the cloud: they are lost")
	if n := p.UnreadableSegments; n == 1 {
		row(n, "segment that cannot be read: see `kvs-edge-agent verify`")
	} else {
		row(n, "segments that cannot be read: see `kvs-edge-agent verify`")
	}
	row(p.Repaired, "sent again, and acknowledged")
	if p.Missing > p.Repaired {
		fmt.Fprintf(a.out, "send them again with --repair; Kinesis Video Streams charges %s\n", priceOf(p))
	}
}
