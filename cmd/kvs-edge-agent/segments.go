package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// storeFlags are those of all commands that read the recordings.
type storeFlags struct {
	dir, stream, from, to string
}

func (f *storeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "dir", "", "the recording directory (default: $AWS_KVS_EDGE_RECORDING_DIRECTORY, or that of the service, or .)")
	cmd.Flags().StringVar(&f.stream, "stream", "", "the stream (default all)")
	cmd.Flags().StringVar(&f.from, "from", "", "the earliest time: 2026-11-21T04:20:00Z, or without Z in local time (default the first)")
	cmd.Flags().StringVar(&f.to, "to", "", "the latest time (default now)")
}

// directory is --dir, or else what run would take in this shell, or else the service.
func (f *storeFlags) directory(service string) (string, error) {
	if f.dir != "" {
		return f.dir, nil
	}
	if os.Getenv(agent.EnvRecordingDirectory) == "" {
		if _, err := useServiceSettings(service); err != nil {
			return "", &exitError{exitSettings, fmt.Errorf("name the recording directory with --dir: %w", err)}
		}
	}
	return cmp.Or(os.Getenv(agent.EnvRecordingDirectory), "."), nil
}

// open reads the store beside a running agent, or without one, and gives the times asked for.
func (f *storeFlags) open() (s *segment.Store, from, to time.Time, err error) {
	if from, err = parseTime("--from", f.from); err != nil {
		return nil, from, to, err
	}
	if to, err = parseTime("--to", f.to); err != nil {
		return nil, from, to, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return nil, from, to, &exitError{exitSettings, fmt.Errorf("--from %s is not before --to %s", f.from, f.to)}
	}
	if f.dir, err = f.directory(serviceSettings); err != nil {
		return nil, from, to, err
	}
	s, err = segment.OpenReadOnly(segment.Options{Dir: f.dir})
	if err != nil {
		return nil, from, to, fmt.Errorf("cannot read the recordings; name their directory with --dir or %s: %w", agent.EnvRecordingDirectory, err)
	}
	if len(s.Streams()) == 0 && !s.Used() {
		return nil, from, to, fmt.Errorf("nothing was ever recorded to %s; name the recording directory with --dir or %s", f.dir, agent.EnvRecordingDirectory)
	}
	if f.stream != "" && !slices.Contains(s.Streams(), f.stream) {
		return nil, from, to, fmt.Errorf("there are no recordings of stream %s in %s; there are those of %q", f.stream, f.dir, s.Streams())
	}
	return s, from, to, nil
}

// streams lists those asked for.
func (f *storeFlags) streams(s *segment.Store) []string {
	if f.stream != "" {
		return []string{f.stream}
	}
	return s.Streams()
}

// timeLayouts are how people write times; those without a zone are local.
var timeLayouts = []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &exitError{exitSettings, fmt.Errorf("%s is %q, but must be a time such as 2026-11-21T04:20:00Z or '2026-11-21 04:20'", flag, text)}
}

func newSegmentsCommand() *cobra.Command {
	var flags storeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "segments",
		Short: "List what is recorded, what of it is uploaded, and the gaps",
		Long: `List the recordings in the recording directory, oldest first, with their upload state and the gaps
between them. It reads only, and works with or without a running agent.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, from, to, err := flags.open()
			if err != nil {
				return err
			}
			list := listSegments(store, flags.streams(store), from, to)
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(list)
			}
			return writeSegments(cmd.OutOrStdout(), list)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// storedSegment is one recording.
type storedSegment struct {
	Stream       string    `json:"stream"`
	Start        time.Time `json:"start"`
	End          time.Time `json:"end"`
	Bytes        int64     `json:"bytes"`
	State        string    `json:"state"` // writing, sealed, uploaded, refused
	PendingBytes int64     `json:"pendingBytes"`
	// ClockUnset says that it was recorded before the hub's clock was set; RealStart is its begin
	// then, when it is known.
	ClockUnset bool       `json:"clockUnset,omitempty"`
	RealStart  *time.Time `json:"realStart,omitempty"`
	// GapSeconds is how long nothing was recorded before it.
	GapSeconds float64 `json:"gapSeconds,omitempty"`
}

func listSegments(store *segment.Store, streams []string, from, to time.Time) []storedSegment {
	lines := []storedSegment{}
	for _, stream := range streams {
		var before time.Time
		for _, info := range store.Segments(stream, from, to) {
			line := storedSegment{
				Stream: stream, Start: info.StartTime(), End: info.End, Bytes: info.Bytes,
				State: info.State.String(), PendingBytes: info.PendingBytes, ClockUnset: info.ClockUnset,
			}
			if info.ClockOffset != 0 {
				start := info.StartTime().Add(info.ClockOffset)
				line.RealStart = &start
			}
			if info.Refused {
				line.State = "refused"
			}
			if info.State == segment.Writing {
				line.End = endOf(store, info)
			}
			if gap := line.Start.Sub(before); !before.IsZero() && gap > segment.GapAfter {
				line.GapSeconds = gap.Seconds()
			}
			before = line.End
			lines = append(lines, line)
		}
	}
	return lines
}

// endOf gives the end of a segment that is being written, as far as it is completed.
func endOf(store *segment.Store, info segment.Info) time.Time {
	r, err := store.OpenSegment(info.Key)
	if err != nil {
		return info.End
	}
	defer func() { _ = r.Close() }()
	if list, _, err := r.Fragments(); err == nil && len(list) > 0 {
		return info.StartTime().Add(list[len(list)-1].Last)
	}
	return info.End
}

func writeSegments(w io.Writer, lines []storedSegment) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "Nothing is recorded in that time.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STREAM\tSTART (UTC)\tEND (UTC)\tLENGTH\tSIZE\tSTATE")
	const layout = "2006-01-02 15:04:05.000"
	var bytes, pending int64
	gaps := 0
	for _, l := range lines {
		if l.GapSeconds > 0 {
			gaps++
			fmt.Fprintf(table, "%s\t-- nothing for %s --\t\t\t\t\n", l.Stream, time.Duration(l.GapSeconds*float64(time.Second)).Round(time.Millisecond))
		}
		bytes += l.Bytes
		pending += l.PendingBytes
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.1f MB\t%s\n", l.Stream, l.Start.Format(layout), l.End.Format(layout),
			l.End.Sub(l.Start).Round(time.Second/10), float64(l.Bytes)/1e6, l.describe())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d segments, %.1f MB, %.1f MB not uploaded, gaps: %d\n", len(lines), float64(bytes)/1e6, float64(pending)/1e6, gaps)
	return err
}

func (l storedSegment) describe() string {
	switch {
	case l.RealStart != nil:
		return l.upload() + "; the clock was not set, it began " + l.RealStart.Format("2006-01-02 15:04:05")
	case l.ClockUnset:
		return l.upload() + "; the clock was not set"
	}
	return l.upload()
}

func (l storedSegment) upload() string {
	switch {
	case l.State == "refused":
		return "uploaded, but for refused fragments"
	case l.State != "sealed":
		return l.State
	case l.PendingBytes < l.Bytes && l.Bytes > 0:
		return fmt.Sprintf("%d %% uploaded", (l.Bytes-l.PendingBytes)*100/l.Bytes)
	default:
		return "not uploaded"
	}
}
