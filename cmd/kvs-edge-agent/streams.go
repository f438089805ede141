package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

func newStreamsCommand() *cobra.Command {
	var socket string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "List the streams of the running agent, also those that are no longer configured",
		Long: `List the streams of the running agent with their state and their recordings. A stream that is no longer
configured for this hub is an orphan: it is neither recorded nor uploaded, and its recordings stay under the last policy
that it had until they are deleted with "streams delete".

Exit code: 0 when the agent has answered, 2 when no agent is running.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			snapshot, err := ask(socket, serviceSettings, func(c *status.Client) (status.Snapshot, error) { return c.Status(cmd.Context()) })
			if err != nil {
				return &exitError{exitDown, err}
			}
			list := listStreams(snapshot)
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(list)
			}
			return writeStreams(cmd.OutOrStdout(), list)
		},
	}
	socketFlag(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(newStreamsDeleteCommand())
	return cmd
}

// stateOrphan is the state of a stream that is not configured.
const stateOrphan = "orphan"

// listedStream is one stream of the agent.
type listedStream struct {
	Stream           string    `json:"stream"`
	State            string    `json:"state"` // of the recorder, or orphan
	Segments         int       `json:"segments"`
	UsedBytes        int64     `json:"usedBytes"`
	LimitBytes       int64     `json:"limitBytes"`
	NotUploadedBytes int64     `json:"notUploadedBytes"`
	Oldest           time.Time `json:"oldest,omitzero"`
	// Policy is what is kept of an orphan, for people.
	Policy string `json:"policy,omitempty"`
}

func listStreams(s status.Snapshot) []listedStream {
	list := []listedStream{}
	for _, st := range s.Streams {
		list = append(list, listedStream{
			Stream: st.Name, State: st.Recorder.State, Segments: st.Space.Segments, UsedBytes: st.Space.UsedBytes, LimitBytes: st.Space.LimitBytes,
			NotUploadedBytes: st.Uploader.BacklogBytes, Oldest: st.Space.Oldest,
		})
	}
	for _, o := range s.Orphans {
		list = append(list, listedStream{
			Stream: o.Name, State: stateOrphan, Segments: o.Segments, UsedBytes: o.UsedBytes, NotUploadedBytes: o.NotUploadedBytes,
			Oldest: o.Oldest, Policy: o.Policy,
		})
	}
	return list
}

func writeStreams(w io.Writer, list []listedStream) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No stream is configured for this hub, and nothing is recorded.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STREAM\tSTATE\tSEGMENTS\tSIZE\tNOT UPLOADED\tOLDEST\tKEPT")
	for _, s := range list {
		oldest := "-"
		if !s.Oldest.IsZero() {
			oldest = humanize.Time(s.Oldest.Local())
		}
		size := humanize.Bytes(s.UsedBytes)
		if s.LimitBytes > 0 {
			size += " of " + humanize.Bytes(s.LimitBytes)
		}
		kept := "as configured"
		if s.State == stateOrphan {
			kept = s.Policy
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", s.Stream, s.State, s.Segments, size, humanize.Bytes(s.NotUploadedBytes), oldest, kept)
	}
	return table.Flush()
}

func newStreamsDeleteCommand() *cobra.Command {
	var socket string
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete all recordings of a stream that is no longer configured",
		Long: `Delete all recordings of one stream that is no longer configured for this hub, also what is not uploaded.
On a terminal it asks before; elsewhere --yes is needed. A stream that is configured is refused: delete its edge
configuration, which deletes its recordings too.

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
	snapshot, err := ask(socket, serviceSettings, func(c *status.Client) (status.Snapshot, error) { return c.Status(ctx) })
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
	done, err := ask(d.socket, serviceSettings, func(c *status.Client) (status.DeletedStream, error) { return c.DeleteStream(ctx, d.stream) })
	switch {
	case errors.Is(err, status.ErrNotRunning):
		return &exitError{exitDown, err}
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(d.out, "deleted: %s of stream %s, %s\n", humanize.Count(done.Segments, "recording"), done.Stream, humanize.Bytes(done.Bytes))
	return err
}

// confirm asks the person at the terminal.
func (d deletion) confirm(ctx context.Context) error {
	file, ok := d.in.(*os.File)
	if !ok || !terminalOf(file).present {
		return &exitError{exitSettings, errors.New("nobody can be asked here: add --yes to delete without a question")}
	}
	snapshot, err := ask(d.socket, serviceSettings, func(c *status.Client) (status.Snapshot, error) { return c.Status(ctx) })
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
