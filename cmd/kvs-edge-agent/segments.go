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
	var asJSON, all, gaps bool
	limit := defaultSegmentLines
	cmd := &cobra.Command{
		Use:   "segments",
		Short: "List what is recorded, its upload state, and the gaps",
		Long: `List the recordings in the recording directory: first a line for each stream, then the newest recordings of
each, oldest first, with their upload state, and the gaps between and within them. --all lists every recording. Times are
local. Earlier versions did not note the gaps within recordings: of theirs up to 50 are read for it, and all with
--gaps, at about 20 ms for 5 minutes of video. It reads only, and works with or without a running agent.`,
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
			list, unread := listSegments(store, flags.streams(store), from, to, gaps)
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(list)
			}
			if all {
				limit = len(list)
			}
			if err := writeSegments(cmd.OutOrStdout(), list, limit); err != nil || unread == 0 {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Gaps within %s of an earlier version are not counted: --gaps.\n",
				humanize.Count(unread, "segment"))
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, always of all")
	cmd.Flags().BoolVar(&gaps, "gaps", false, "read all recordings of earlier versions for the gaps within them")
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
	// Epoch counts how often the stream's times had to go back. ClockAhead says that it was recorded by a clock that
	// was ahead; RealStart is its start in that case as well.
	Epoch      uint32 `json:"epoch,omitempty"`
	ClockAhead bool   `json:"clockAhead,omitempty"`
	// RecordedFrom and RecordedTo are when it was recorded, when that is not start and end. Without RealStart it is not
	// known: then they are what is likely, and RecordedTo is not before it was.
	RecordedFrom *time.Time `json:"recordedFrom,omitempty"`
	RecordedTo   *time.Time `json:"recordedTo,omitempty"`
	// GapSeconds is how long nothing was recorded before it.
	GapSeconds float64 `json:"gapSeconds,omitempty"`
	// Gaps are those within it. GapsUnknown says that it was not read for them.
	Gaps        []storedGap `json:"gaps,omitempty"`
	GapsUnknown bool        `json:"gapsUnknown,omitempty"`
}

// storedGap is a time within a recording in which nothing was recorded.
type storedGap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"seconds"`
}

// readForGaps is how many recordings of earlier versions are read for the gaps within them without being asked.
const readForGaps = 50

// listSegments lists the recordings; unread is the number of those that were not read for the gaps within them.
func listSegments(store *segment.Store, streams []string, from, to time.Time, readAll bool) (lines []storedSegment, unread int) {
	lines = []storedSegment{}
	read := 0
	for _, stream := range streams {
		var before time.Time
		for _, info := range store.Segments(stream, from, to) {
			line := newStoredSegment(store, info)
			gaps := info.Gaps
			if !info.GapsKnown {
				if line.GapsUnknown = !readAll && read == readForGaps; line.GapsUnknown {
					unread++
				} else {
					read++
					gaps = gapsOf(store, info)
				}
			}
			for _, g := range gaps {
				line.Gaps = append(line.Gaps, storedGap{g.From, g.To, g.To.Sub(g.From).Seconds()})
			}
			recordedFrom, recordedTo := line.recorded()
			if gap := recordedFrom.Sub(before); !before.IsZero() && gap > segment.GapAfter {
				line.GapSeconds = gap.Seconds()
			}
			before = recordedTo
			lines = append(lines, line)
		}
	}
	return lines, unread
}

// gapsOf reads a recording for the gaps within it, as far as it can be read.
func gapsOf(store *segment.Store, info segment.Info) []segment.Gap {
	r, err := store.OpenSegment(info.Key)
	if err != nil {
		return nil
	}
	defer func() { _ = r.Close() }()
	gaps, _ := r.Gaps() // `verify` says what is wrong
	return gaps
}

func newStoredSegment(store *segment.Store, info segment.Info) storedSegment {
	l := storedSegment{
		Stream: info.Stream, Start: info.StartTime(), End: info.End, Bytes: info.Bytes, State: info.State.String(),
		PendingBytes: info.PendingBytes, ClockUnset: info.ClockUnset, Epoch: info.Epoch, ClockAhead: info.ClockAhead,
		RefusedFragments: info.RefusedFragments, RefusedBytes: info.RefusedBytes,
	}
	if info.ClockOffset != 0 {
		start := info.StartTime().Add(info.ClockOffset)
		l.RealStart = &start
	}
	if info.Refused {
		l.State = "refused"
	}
	if info.State == segment.Writing {
		l.End = endOf(store, info)
	}
	if !info.RecordedFrom.Equal(l.Start) || !info.RecordedTo.Equal(info.End) {
		to := info.RecordedTo.Add(l.End.Sub(info.End))
		l.RecordedFrom, l.RecordedTo = &info.RecordedFrom, &to
	}
	return l
}

// recorded is when it was recorded, as far as is known.
func (l storedSegment) recorded() (from, to time.Time) {
	if l.RecordedFrom == nil {
		return l.Start, l.End
	}
	return *l.RecordedFrom, *l.RecordedTo
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
	name, shown    string
	segments, gaps int
	bytes, pending int64
	refused        int   // fragments
	refusedBytes   int64 // of these
	media          time.Duration
	first, last    time.Time
	list           []storedSegment
}

func (s *streamSum) add(l storedSegment) {
	from, to := l.recorded()
	if s.segments == 0 {
		s.first = from
	}
	s.segments++
	s.bytes += l.Bytes
	s.pending += l.PendingBytes
	s.refused += l.RefusedFragments
	s.refusedBytes += l.RefusedBytes
	s.media += l.End.Sub(l.Start)
	for _, g := range l.Gaps {
		s.media -= g.To.Sub(g.From)
	}
	s.gaps += len(l.Gaps)
	s.last = to
	if l.GapSeconds > 0 {
		s.gaps++
	}
	s.list = append(s.list, l)
}

// sumUp makes a summary of each stream, and one of all; lines are in the order of streams.
func sumUp(lines []storedSegment) (streams []*streamSum, all streamSum) {
	for _, l := range lines {
		if n := len(streams); n == 0 || streams[n-1].name != l.Stream {
			streams = append(streams, &streamSum{name: l.Stream, shown: shownName(l.Stream)})
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
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", s.shown, humanize.Millis(s.first.Local()), humanize.Millis(s.last.Local()),
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
		fmt.Fprintf(w, "%s\t-- %d before: --all --\t\t\t\t\n", s.shown, hidden)
	}
	for _, l := range s.list[hidden:] {
		if l.GapSeconds > 0 {
			fmt.Fprintf(w, "%s\t-- nothing for %s --\t\t\t\t\n", s.shown, humanize.Length(time.Duration(l.GapSeconds*float64(time.Second))))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.shown, humanize.Millis(l.Start.Local()), humanize.Millis(l.End.Local()),
			humanize.Length(l.End.Sub(l.Start)), humanize.Bytes(l.Bytes), l.describe())
		for _, g := range l.Gaps {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\t-- nothing in it --\n", s.name, humanize.Millis(g.From.Local()), humanize.Millis(g.To.Local()),
				humanize.Length(g.To.Sub(g.From)))
		}
	}
}

func (l storedSegment) describe() string {
	switch {
	case l.RealStart != nil && l.ClockAhead:
		return l.upload() + "; the clock was ahead, it started " + humanize.Time(l.RealStart.Local())
	case l.RealStart != nil:
		return l.upload() + "; the clock was not set, it started " + humanize.Time(l.RealStart.Local())
	case l.ClockAhead:
		_, to := l.recorded()
		return l.upload() + "; the clock was ahead, it ended before " + humanize.Time(to.Local())
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
