package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

func newStreamsDeleteCommand() *cobra.Command {
	var socket string
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete all recordings of a stream that is no longer configured",
		Long: `Delete all recordings of one stream that is no longer configured for this hub, also what is not uploaded.
On a terminal it asks before; elsewhere --yes is needed. A stream that is configured is refused, and so is any while it is
not known what all sources configure; the answer says what to do: where a stream file configures the stream, remove that
first; otherwise delete its edge configuration, which deletes its recordings too.

Exit code: 0 when the recordings are deleted, 1 when they are not, 2 for wrong arguments or when no agent is
running.`,
		Example: `  kvs-edge-agent streams delete old-door`,
		Args:    arguments(1, 1, "name one stream; `kvs-edge-agent streams` lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d := deletion{in: cmd.InOrStdin(), out: cmd.OutOrStdout(), socket: socket, stream: args[0], yes: yes}
			return d.run(cmd.Context())
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return orphansOf(cmd.Context(), socket), cobra.ShellCompDirectiveNoFileComp
		},
	}
	socketFlag(cmd, &socket)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// orphansOf lists the streams that can be deleted, none when the agent cannot be asked.
func orphansOf(ctx context.Context, socket string) (names []string) {
	if ctx == nil {
		ctx = context.Background()
	}
	snapshot, err := ask(socket, serviceSettings, func(c *localapi.Client) (status.Snapshot, error) { return c.Status(ctx) })
	if err != nil {
		return nil
	}
	for _, o := range snapshot.Orphans {
		names = append(names, o.Name)
	}
	return names
}

// deletion is one run of the command.
type deletion struct {
	in     io.Reader
	out    io.Writer
	socket string
	stream string
	yes    bool
}

func (d deletion) run(ctx context.Context) error {
	if !d.yes {
		if err := d.confirm(ctx); err != nil {
			return err
		}
	}
	done, err := ask(d.socket, serviceSettings, func(c *localapi.Client) (localapi.DeletedStream, error) {
		return c.DeleteStream(ctx, d.stream)
	})
	switch {
	case errors.Is(err, localapi.ErrNotRunning):
		return &exitError{exitDown, err}
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(d.out, "deleted: %s of stream %s, %s\n", humanize.Count(done.Segments, "recording"), done.Stream,
		humanize.Bytes(done.Bytes))
	return err
}

// confirm asks the person at the terminal.
func (d deletion) confirm(ctx context.Context) error {
	file, ok := d.in.(*os.File)
	if !ok || !terminalOf(file).present {
		return &exitError{exitSettings, errors.New("this is not a terminal: add --yes to delete without confirmation")}
	}
	snapshot, err := ask(d.socket, serviceSettings, func(c *localapi.Client) (status.Snapshot, error) { return c.Status(ctx) })
	if err != nil {
		return &exitError{exitDown, err}
	}
	what := "all recordings of stream " + d.stream
	for _, o := range snapshot.Orphans {
		if o.Name == d.stream {
			what = fmt.Sprintf("%s of stream %s (%s, of which %s are not uploaded)", humanize.Count(o.Segments, "recording"), d.stream,
				humanize.Bytes(o.UsedBytes), humanize.Bytes(o.NotUploadedBytes))
		}
	}
	fmt.Fprintf(d.out, "Delete %s for good? [y/N] ", what)
	answers := make(chan string, 1)
	go func() { // ends with the process, at the latest
		answer, _ := bufio.NewReader(d.in).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case answer := <-answers:
		if answer == "y" || answer == "yes" {
			return nil
		}
		return errors.New("nothing is deleted")
	case <-ctx.Done():
		return &exitError{signalled(ctx), errors.New("nothing is deleted")}
	}
}
