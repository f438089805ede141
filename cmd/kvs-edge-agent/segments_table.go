package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

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
	from, to := l.Recorded()
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
	if l.Held {
		return l.dated() + "; held"
	}
	return l.dated()
}

// dated says how a recording is uploaded, and whether its times are right.
func (l storedSegment) dated() string {
	switch {
	case l.RealStart != nil && l.ClockAhead:
		return l.upload() + "; the clock was ahead, it started " + humanize.Time(l.RealStart.Local())
	case l.RealStart != nil:
		return l.upload() + "; the clock was not set, it started " + humanize.Time(l.RealStart.Local())
	case l.ClockAhead:
		_, to := l.Recorded()
		return l.upload() + "; the clock was ahead, it ended before " + humanize.Time(to.Local())
	case l.ClockUnset:
		return l.upload() + "; the clock was not set"
	}
	return l.upload()
}

// notUploaded says how much media of a stream is on the hub only.
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
