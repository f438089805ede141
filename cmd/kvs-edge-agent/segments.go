package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// defaultSegmentLines is how many recordings of a stream are listed without --all.
const defaultSegmentLines = 20

func newSegmentsCommand() *cobra.Command {
	var flags storeFlags
	var asJSON, all bool
	limit := defaultSegmentLines
	cmd := &cobra.Command{
		Use:   "segments",
		Short: "List what is recorded, its upload state, and the gaps",
		Long: `List the recordings in the recording directory: first a line for each stream, then the newest recordings of
each, oldest first, with their upload state and the gaps between them. --all lists every recording. Times are local.
It reads only, and works with or without a running agent.`,
		Example: `  kvs-edge-agent segments --stream front-door --last 1h`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return &exitError{exitSettings, errors.New("--limit must not be negative")}
			}
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
			if all {
				limit = len(list)
			}
			return writeSegments(cmd.OutOrStdout(), list, limit)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, always of all")
	cmd.Flags().BoolVar(&all, "all", false, "list every recording")
	cmd.Flags().IntVar(&limit, "limit", defaultSegmentLines, "how many recordings of each stream to list, the newest; 0 for the summary only")
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
	// RefusedFragments and RefusedBytes are not uploaded, as the service refused them; in any state.
	RefusedFragments int   `json:"refusedFragments,omitempty"`
	RefusedBytes     int64 `json:"refusedBytes,omitempty"`
	// ClockUnset says that it was recorded before the hub's clock was set; RealStart is its start
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
				RefusedFragments: info.RefusedFragments, RefusedBytes: info.RefusedBytes,
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

// endOf returns the end of a segment that is being written, as far as it is completed.
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

// streamSum is the summary of a stream's recordings.
type streamSum struct {
	name           string
	segments, gaps int
	bytes, pending int64
	refused        int   // fragments
	refusedBytes   int64 // of these
	media          time.Duration
	first, last    time.Time
	list           []storedSegment
}

func (s *streamSum) add(l storedSegment) {
	if s.segments == 0 {
		s.first = l.Start
	}
	s.segments++
	s.bytes += l.Bytes
	s.pending += l.PendingBytes
	s.refused += l.RefusedFragments
	s.refusedBytes += l.RefusedBytes
	s.media += l.End.Sub(l.Start)
	s.last = l.End
	if l.GapSeconds > 0 {
		s.gaps++
	}
	s.list = append(s.list, l)
}

// sumUp makes a summary of each stream, and one of all; lines are in the order of streams.
func sumUp(lines []storedSegment) (streams []*streamSum, all streamSum) {
	for _, l := range lines {
		if n := len(streams); n == 0 || streams[n-1].name != l.Stream {
			streams = append(streams, &streamSum{name: l.Stream})
		}
		streams[len(streams)-1].add(l)
		all.add(l)
	}
	return streams, all
}

func writeSegments(w io.Writer, lines []storedSegment, limit int) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "Nothing is recorded in that time.")
		return err
	}
	streams, all := sumUp(lines)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STREAM\tFROM\tTO\tMEDIA\tSEGMENTS\tGAPS\tSIZE\tNOT UPLOADED")
	for _, s := range streams {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", s.name, humanize.Millis(s.first.Local()), humanize.Millis(s.last.Local()),
			humanize.Length(s.media), s.segments, s.gaps, humanize.Bytes(s.bytes), s.notUploaded())
	}
	if limit > 0 {
		fmt.Fprintln(table, "\nSTREAM\tSTART\tEND\tLENGTH\tSIZE\tSTATE")
		for _, s := range streams {
			s.write(table, limit)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s, %s, %s not uploaded, gaps: %d\n", humanize.Count(all.segments, "segment"),
		humanize.Bytes(all.bytes), all.notUploaded(), all.gaps)
	return err
}

// write lists the newest recordings of a stream.
func (s *streamSum) write(w io.Writer, limit int) {
	hidden := max(0, len(s.list)-limit)
	if hidden > 0 {
		fmt.Fprintf(w, "%s\t-- %d before: --all --\t\t\t\t\n", s.name, hidden)
	}
	for _, l := range s.list[hidden:] {
		if l.GapSeconds > 0 {
			fmt.Fprintf(w, "%s\t-- nothing for %s --\t\t\t\t\n", s.name, humanize.Length(time.Duration(l.GapSeconds*float64(time.Second))))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.name, humanize.Millis(l.Start.Local()), humanize.Millis(l.End.Local()),
			humanize.Length(l.End.Sub(l.Start)), humanize.Bytes(l.Bytes), l.describe())
	}
}

func (l storedSegment) describe() string {
	switch {
	case l.RealStart != nil:
		return l.upload() + "; the clock was not set, it started " + humanize.Time(l.RealStart.Local())
	case l.ClockUnset:
		return l.upload() + "; the clock was not set"
	}
	return l.upload()
}

// notUploaded says what of a stream is on the hub only.
func (s *streamSum) notUploaded() string {
	if s.refused == 0 {
		return humanize.Bytes(s.pending)
	}
	return fmt.Sprintf("%s + %s refused (%s)", humanize.Bytes(s.pending), humanize.Count(s.refused, "fragment"),
		humanize.Bytes(s.refusedBytes))
}

func (l storedSegment) upload() string {
	refused := fmt.Sprintf("%s not uploaded, refused (%s)", humanize.Count(l.RefusedFragments, "fragment"), humanize.Bytes(l.RefusedBytes))
	switch {
	case l.RefusedFragments == 0:
		return l.pending()
	case l.State == "refused":
		return "uploaded, but for " + refused
	default:
		return l.pending() + "; " + refused
	}
}

func (l storedSegment) pending() string {
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
