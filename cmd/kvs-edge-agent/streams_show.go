package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

func newStreamsShowCommand() *cobra.Command {
	var socket string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print the configuration in force of a stream",
		Long: `Print the configuration in force of one stream of the running agent: its source and since when, the camera, when
it is recorded and uploaded, how long recordings are kept, its options, and other sources that configure it too.
Passwords are left out.

Exit code: 0 when the stream is shown, 1 when this hub has none of that name, 2 for wrong arguments or when no agent is
running.`,
		Example: `  kvs-edge-agent streams show front-door`,
		Args:    arguments(1, 1, "name one stream; `kvs-edge-agent streams` lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			snapshot, err := ask(socket, serviceSettings, func(c *localapi.Client) (status.Snapshot, error) { return c.Status(cmd.Context()) })
			if err != nil {
				return &exitError{exitDown, err}
			}
			i := slices.IndexFunc(snapshot.Streams, func(st status.Stream) bool { return st.Name == args[0] })
			if i < 0 {
				return fmt.Errorf("no stream %s is configured for this hub: `kvs-edge-agent streams` lists those that are", args[0])
			}
			st := snapshot.Streams[i]
			shown := shownStream{Stream: args[0], Wanted: st.Wanted, StorageTier: st.StorageTier, Conditions: ofConfiguration(st)}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(shown)
			}
			return shown.write(cmd.OutOrStdout())
		},
	}
	socketFlag(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// shownStream is what is in force of a stream.
type shownStream struct {
	Stream string `json:"stream"`
	status.Wanted
	StorageTier string   `json:"storageTier,omitempty"` // HOT or WARM, empty while it is not known
	Conditions  []string `json:"conditions,omitempty"`
}

// ofConfiguration are the sentences about a stream's configuration.
func ofConfiguration(st status.Stream) (texts []string) {
	for _, c := range st.Conditions {
		if c.Job == health.JobConfig {
			texts = append(texts, c.Text)
		}
	}
	return texts
}

func (s shownStream) write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if name != "" || value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, orDash(value))
		}
	}
	row("stream", s.Stream)
	row("origin", s.Origin)
	row("version", timeOrDash(s.Version))
	row("sync", s.Sync)
	row("", s.SyncDetails)
	row(orDash(s.Media), s.MediaURI)
	row("recorded", s.Record)
	row("", windowText(s.RecordExpression, s.RecordSeconds))
	row("next window", timeOrDash(s.NextWindow))
	row("uploaded", s.Upload)
	row("", windowText(s.UploadExpression, s.UploadSeconds))
	row("fragments", s.Fragments)
	if s.StorageTier != "" {
		row("storage tier", s.StorageTier)
	}
	row("kept", strings.TrimPrefix(s.Keep, "kept "))
	if len(s.MainOf) > 0 {
		row("main of", strings.Join(s.MainOf, ", "))
	}
	if s.SubOf != "" {
		row("sub of", s.SubOf)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tags)) {
		row(name, s.Tags[name])
	}
	for _, text := range s.Conditions {
		row("note", text)
	}
	return table.Flush()
}

// windowText is a schedule as it is configured; empty without windows.
func windowText(expression string, seconds float64) string {
	if expression == "" {
		return ""
	}
	return expression + " for " + humanize.Length(time.Duration(seconds*float64(time.Second)))
}
