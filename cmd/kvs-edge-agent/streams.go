package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

func newStreamsCommand() *cobra.Command {
	var socket string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "List the streams of the running agent, also those that are no longer configured",
		Long: `List the streams of the running agent: the source that configures each (` + originNames() + `) and when it
was changed there, whether it is in sync, when it is recorded and when that starts next, its state and its recordings.
"streams show" prints the configuration in force of one. A stream that is no longer
configured for this hub is an orphan: it is neither recorded nor uploaded, and its recordings are kept under its last
policy until they are deleted with "streams delete".

Exit code: 0 when the agent has answered, 2 when no agent is running.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			snapshot, err := ask(socket, serviceSettings, func(c *localapi.Client) (status.Snapshot, error) { return c.Status(cmd.Context()) })
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
	cmd.AddCommand(newStreamsShowCommand(), newStreamsDeleteCommand())
	return cmd
}

// originNames lists the sources that may configure a stream.
func originNames() string {
	var names []string
	for _, origin := range desired.Origins() {
		names = append(names, string(origin))
	}
	return humanize.List(names)
}

// stateOrphan is the state of a stream that is not configured.
const stateOrphan = "orphan"

// listedStream is one stream of the agent.
type listedStream struct {
	Stream           string    `json:"stream"`
	Origin           string    `json:"origin,omitempty"` // of the configuration in force; an orphan has none
	Version          time.Time `json:"version,omitzero"`
	Sync             string    `json:"syncStatus,omitempty"`
	Schedule         string    `json:"schedule,omitempty"` // of the recording, in words
	NextWindow       time.Time `json:"nextWindow,omitzero"`
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
			Stream: st.Name, Origin: st.Wanted.Origin, Version: st.Wanted.Version, Sync: st.Wanted.Sync, Schedule: st.Wanted.Record,
			NextWindow: st.Wanted.NextWindow, State: st.Recorder.State, Segments: st.Space.Segments, UsedBytes: st.Space.UsedBytes,
			LimitBytes:       st.Space.LimitBytes,
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
	fmt.Fprintln(table, "STREAM\tORIGIN\tVERSION\tSYNC\tSCHEDULE\tNEXT WINDOW\tSTATE\tSEGMENTS\tSIZE\tNOT UPLOADED\tOLDEST\tKEPT")
	for _, s := range list {
		size := humanize.Bytes(s.UsedBytes)
		if s.LimitBytes > 0 {
			size += " of " + humanize.Bytes(s.LimitBytes)
		}
		kept := "as configured"
		if s.State == stateOrphan {
			kept = s.Policy
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", s.Stream, orDash(s.Origin), timeOrDash(s.Version), orDash(s.Sync),
			orDash(s.Schedule), timeOrDash(s.NextWindow), s.State, s.Segments, size, humanize.Bytes(s.NotUploadedBytes), timeOrDash(s.Oldest), kept)
	}
	return table.Flush()
}

// orDash replaces an empty text.
func orDash(text string) string { return cmp.Or(text, "-") }

func timeOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return humanize.Time(t.Local())
}
