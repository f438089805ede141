package segment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Exported says what an export holds.
type Exported struct {
	From, To  time.Time // of the media: whole fragments
	Fragments int
	Bytes     int64
	Gaps      []Gap
}

// Gap is a time without media.
type Gap struct{ From, To time.Time }

// GapAfter is the distance of frames from which there is a gap between them.
const GapAfter = 2 * time.Second

// CodeExport is the code of exports that cannot be made.
const CodeExport = "export"

// Export joins a stream's media in [from, to) into one file that players can seek in; a zero time
// is unbounded. It is cut at fragments, and its time line is that of the clock: gaps stay gaps.
// What is exported cannot be deleted under it, by this process or another.
func (s *Store) Export(ctx context.Context, stream string, from, to time.Time, out mkv.File) (Exported, error) {
	parts, err := s.exportParts(stream, from, to)
	defer func() {
		for _, p := range parts {
			_ = p.reader.Close()
		}
	}()
	if err != nil {
		return Exported{}, err
	}
	if len(parts) == 0 {
		return Exported{}, health.UserFault(CodeExport, nil, "There is no media of stream %s in that time: see `kvs-edge-agent segments --stream %s`.", stream, stream)
	}
	first := parts[0]
	header := first.reader.Header()
	header.Start = first.at(first.fragments[0].Start)
	writer, err := mkv.NewWriter(out, header, mkv.WriterOptions{})
	if err != nil {
		return Exported{}, fmt.Errorf("cannot write the export: %w", err)
	}
	result := Exported{From: header.Start, To: header.Start}
	for _, p := range parts {
		for _, f := range p.fragments {
			if err := ctx.Err(); err != nil {
				return result, err
			}
			at := p.at(f.Start)
			if at.Sub(result.To) > GapAfter {
				result.Gaps = append(result.Gaps, Gap{result.To, at})
			}
			if err := writer.CopyFragment(p.reader, f, at.Sub(header.Start)); err != nil {
				return result, fmt.Errorf("cannot copy the media of stream %s at %s: %w", stream, at.Format(time.RFC3339), err)
			}
			result.To = p.at(f.Last)
			result.Fragments++
		}
	}
	err = writer.Close()
	result.Bytes = writer.Size()
	return result, err
}

// exportPart is what of a segment is exported.
type exportPart struct {
	reader    *Reader
	fragments []mkv.Fragment
}

// at gives a time within the segment as one of the clock.
func (p exportPart) at(d time.Duration) time.Time { return p.reader.key.StartTime().Add(d) }

// exportParts opens all that is exported, so that nothing of it goes meanwhile.
func (s *Store) exportParts(stream string, from, to time.Time) (parts []exportPart, err error) {
	// A segment that is being written has no end yet for one who reads beside the agent.
	list := s.Segments(stream, time.Time{}, to)
	for _, info := range list {
		if info.State != Writing && !from.IsZero() && info.End.Before(from) {
			continue
		}
		r, err := s.OpenSegment(info.Key)
		if err != nil && (info.State == Writing || errors.Is(err, ErrNotFound)) {
			continue // there is nothing of it yet, or any more
		}
		if err != nil {
			return parts, err
		}
		p := exportPart{reader: r}
		fragments, _, err := r.Fragments()
		if err != nil {
			_ = r.Close()
			return parts, err
		}
		p.fragments = slices.DeleteFunc(slices.Clone(fragments), func(f mkv.Fragment) bool {
			return (!from.IsZero() && p.at(f.Last).Before(from)) || (!to.IsZero() && !p.at(f.Start).Before(to))
		})
		if len(p.fragments) == 0 {
			_ = r.Close()
			continue
		}
		parts = append(parts, p)
		if !slices.EqualFunc(parts[0].reader.Header().Tracks, r.Header().Tracks, mkv.Track.Equal) {
			change := info.StartTime().Format(time.RFC3339Nano)
			return parts, health.UserFault(CodeExport, nil,
				"The camera of stream %s changed its format at %s, and one file cannot hold both: export once --to and once --from that time.", stream, change)
		}
	}
	return parts, nil
}
