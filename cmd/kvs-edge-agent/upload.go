package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

func newUploadCommand() *cobra.Command {
	var socket, stream string
	var refused, all bool
	var span timeFlags
	cmd := &cobra.Command{
		Use:   "upload --stream NAME --from TIME --to TIME | --refused NAME | --refused --all",
		Short: "Upload the recordings of a time range now, before everything else",
		Long: `Make the running agent upload the recordings of a stream in a time range now, regardless of the stream's
schedule, and show the progress. Media that is in the cloud already is not sent again.
When this command is stopped, the rest is uploaded as scheduled.

With --refused it sends the fragments of a stream, or with --all of all streams, that Kinesis Video Streams refused
once more, regardless of earlier tries: use it after the cause was corrected.

Exit code: 0 when everything is in the cloud, 1 when something is not, 2 for wrong arguments or
when no agent is running, 130 when it was stopped by Ctrl-C.`,
		Example: `  kvs-edge-agent upload --stream front-door --from '2026-11-21 04:20' --to '2026-11-21 04:30'
  kvs-edge-agent upload --stream front-door --last 10m
  kvs-edge-agent upload --refused front-door
  kvs-edge-agent upload --refused --all`,
		Args: func(cmd *cobra.Command, args []string) error {
			if refused && len(args) == 1 {
				return nil
			}
			return noArguments(cmd, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if !refused || all || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return runningStreams(cmd.Context(), socket), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to, err := span.times()
			if err != nil {
				return err
			}
			if refused || all {
				named := append(args, stream)
				if stream != "" && len(args) > 0 && args[0] != stream || !refused || all == (named[0] != "") || !from.IsZero() || !to.IsZero() {
					return &exitError{exitSettings, errors.New("--refused needs one stream, or --all, and no times")}
				}
				return uploadRefused(cmd.Context(), cmd.OutOrStdout(), socket, named[0])
			}
			if stream == "" || from.IsZero() || to.IsZero() {
				return &exitError{exitSettings, errors.New("--stream is needed, and --from with --to, or --last")}
			}
			u := uploading{out: cmd.OutOrStdout(), stream: stream, from: from, to: to}
			return u.run(cmd.Context(), socket)
		},
	}
	cmd.Flags().StringVar(&stream, "stream", "", "the stream")
	cmd.Flags().BoolVar(&refused, "refused", false, "what the service refused, whenever it was recorded")
	cmd.Flags().BoolVar(&all, "all", false, "with --refused: of all streams")
	span.add(cmd, "the earliest time", "the time at which to end")
	socketFlag(cmd, &socket)
	completeStreams(cmd, func() []string { return runningStreams(cmd.Context(), socket) })
	return cmd
}

// uploading is one run of the command.
type uploading struct {
	out      io.Writer
	stream   string
	from, to time.Time
	refused  bool
	last     localapi.UploadProgress
	bar      *progress
	lined    time.Time // when a line was printed last, where no terminal shows a bar
}

func (u *uploading) run(ctx context.Context, socket string) error {
	u.bar = newProgress(u.out, "uploading")
	defer u.bar.end()
	_, err := ask(socket, serviceSettings, func(c *localapi.Client) (struct{}, error) {
		return struct{}{}, c.Upload(ctx, localapi.UploadRequest{Stream: u.stream, From: u.from, To: u.to, Refused: u.refused}, u.show)
	})
	u.bar.end()
	switch {
	case err != nil && ctx.Err() != nil:
		return &exitError{signalled(ctx), fmt.Errorf("stopped at %d of %s; the rest is uploaded as scheduled", u.last.Done,
			humanize.Count(u.last.Total, "fragment"))}
	case errors.Is(err, localapi.ErrNotRunning):
		return &exitError{exitDown, err}
	case err != nil:
		return err
	case u.last.Total == 0 && u.refused:
		fmt.Fprintf(u.out, "no fragment of stream %s is refused\n", u.stream)
		return nil
	case u.last.Total == 0:
		return fmt.Errorf("nothing is recorded of stream %s %s", u.stream, inSpan(u.from, u.to))
	case u.last.Refused > 0:
		return fmt.Errorf("%d of %s stay on the hub, as the service does not accept them; `kvs-edge-agent status` says why",
			u.last.Refused, humanize.Count(u.last.Total, "fragment"))
	}
	if u.last.Total == 1 {
		fmt.Fprintln(u.out, "done: 1 fragment is in the cloud")
		return nil
	}
	fmt.Fprintf(u.out, "done: all %d fragments are in the cloud\n", u.last.Total)
	return nil
}

// uploadRefused has what the service refused sent again, of one stream, or of all that have some.
func uploadRefused(ctx context.Context, out io.Writer, socket, stream string) error {
	names := []string{stream}
	if stream == "" {
		snapshot, err := ask(socket, serviceSettings, func(c *localapi.Client) (status.Snapshot, error) { return c.Status(ctx) })
		if errors.Is(err, localapi.ErrNotRunning) {
			return &exitError{exitDown, err}
		}
		if err != nil {
			return err
		}
		names = names[:0]
		for _, st := range snapshot.Streams {
			if st.Uploader.FragmentsRefused > 0 {
				names = append(names, st.Name)
			}
		}
		if len(names) == 0 {
			fmt.Fprintln(out, "nothing is refused")
			return nil
		}
	}
	var failed error
	for _, name := range names {
		if len(names) > 1 {
			fmt.Fprintf(out, "%s:\n", name)
		}
		u := uploading{out: out, stream: name, refused: true}
		err := u.run(ctx, socket)
		if ctx.Err() != nil || errors.Is(err, localapi.ErrNotRunning) {
			return err
		}
		if err != nil && len(names) > 1 {
			err = fmt.Errorf("%s: %w", name, err)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// show is called whenever the upload has come further.
func (u *uploading) show(p localapi.UploadProgress) {
	if u.last.Total == 0 {
		u.bar.skipped = p.Bytes
	}
	if u.last = p; p.Finished || p.Total == 0 {
		return
	}
	if u.bar.terminal.present {
		u.bar.show(p.Bytes, p.TotalBytes)
		return
	}
	if now := time.Now(); now.Sub(u.lined) >= lineEvery {
		u.lined = now
		fmt.Fprintf(u.out, "%d of %s are in the cloud, %s\n", p.Done-p.Refused, humanize.Count(p.Total, "fragment"),
			u.bar.text(p.Bytes, p.TotalBytes, now.Sub(u.bar.began)))
	}
}

// runningStreams lists the streams of the running agent, none when it cannot be asked.
func runningStreams(ctx context.Context, socket string) []string {
	if ctx == nil {
		ctx = context.Background()
	}
	snapshot, err := ask(socket, serviceSettings, func(c *localapi.Client) (status.Snapshot, error) { return c.Status(ctx) })
	if err != nil {
		return nil
	}
	return namesOf(snapshot)
}
