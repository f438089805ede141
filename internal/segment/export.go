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

// ExportOptions say what is exported.
type ExportOptions struct {
	Stream   string
	From, To time.Time // [from, to); a zero time is unbounded
	// Progress is called after each fragment with the bytes written and those to write. Optional.
	Progress func(done, total int64)
}

// Exported says what an export holds.
type Exported struct {
	From, To  time.Time // of the media: whole fragments
	Fragments int
	Bytes     int64
	Gaps      []Gap
	Damaged   []Damage
}

// Gap is a time without media.
type Gap struct{ From, To time.Time }

// Damage is recorded media that cannot be read.
type Damage struct {
	Gap
	Path string // of the file
}

// GapAfter is the distance of frames from which there is a gap between them.
const GapAfter = 2 * time.Second

// CodeExport is the code of exports that cannot be made.
const CodeExport = "export"

// Export joins a stream's media into one file that players can seek in. It is cut at fragments, and its
// time line is that of the clock: gaps stay gaps. Files that are damaged are exported as far as they can be
// read. What is exported cannot be deleted under it, by this process or another.
func (s *Store) Export(ctx context.Context, o ExportOptions, out mkv.File) (Exported, error) {
	parts, damaged, err := s.exportParts(o)
	defer func() {
		for _, p := range parts {
			_ = p.reader.Close()
		}
	}()
	switch {
	case err != nil:
		return Exported{}, err
	case len(parts) == 0 && len(damaged) > 0:
		return Exported{}, health.SystemFault(CodeExport, nil,
			"The recordings of stream %s in that time are damaged and cannot be read: see `kvs-edge-agent verify --stream %s`.", o.Stream, o.Stream)
	case len(parts) == 0:
		return Exported{}, health.UserFault(CodeExport, nil,
			"There is no media of stream %s in that time: see `kvs-edge-agent segments --stream %s`.", o.Stream, o.Stream)
	}
	first := parts[0]
	header := first.reader.Header()
	header.Start = first.at(first.fragments[0].Start)
	writer, err := mkv.NewWriter(out, header, mkv.WriterOptions{})
	if err != nil {
		return Exported{}, fmt.Errorf("cannot write the export: %w", err)
	}
	result := Exported{From: header.Start, To: header.Start, Damaged: damaged}
	if err := result.copy(ctx, o, parts, writer); err != nil {
		return result, err
	}
	err = writer.Close()
	result.Bytes = writer.Size()
	return result, err
}

// copy writes the fragments of all parts.
func (e *Exported) copy(ctx context.Context, o ExportOptions, parts []exportPart, writer *mkv.Writer) error {
	var done, total int64
	for _, p := range parts {
		for _, f := range p.fragments {
			total += f.Size
		}
	}
	start := e.From
	for _, p := range parts {
		for _, f := range p.fragments {
			if err := ctx.Err(); err != nil {
				return err
			}
			at := p.at(f.Start)
			if at.Sub(e.To) > GapAfter && !e.isDamage(e.To, at) {
				e.Gaps = append(e.Gaps, Gap{e.To, at})
			}
			if err := writer.CopyFragment(p.reader, f, at.Sub(start)); err != nil {
				return fmt.Errorf("cannot copy the media of stream %s at %s: %w", o.Stream, at.Format(time.RFC3339), err)
			}
			e.To = p.at(f.Last)
			e.Fragments++
			if done += f.Size; o.Progress != nil {
				o.Progress(done, total)
			}
		}
	}
	return nil
}

// isDamage reports whether something was recorded between two times that cannot be read.
func (e *Exported) isDamage(from, to time.Time) bool {
	return slices.ContainsFunc(e.Damaged, func(d Damage) bool { return d.From.Before(to) && d.To.After(from) })
}

// exportPart is what of a segment is exported.
type exportPart struct {
	reader    *Reader
	fragments []mkv.Fragment
}

// at converts a time within the segment to one of the clock.
func (p exportPart) at(d time.Duration) time.Time { return p.reader.key.StartTime().Add(d) }

// exportParts opens all that is exported, so that nothing of it goes meanwhile.
func (s *Store) exportParts(o ExportOptions) (parts []exportPart, damaged []Damage, err error) {
	// A segment that is being written has no end yet for one who reads beside the agent.
	list := s.Segments(o.Stream, time.Time{}, o.To)
	for _, info := range list {
		if info.State != Writing && !o.From.IsZero() && info.End.Before(o.From) {
			continue
		}
		r, err := s.OpenSegment(info.Key)
		if err != nil && (info.State == Writing || errors.Is(err, ErrNotFound)) {
			continue // there is nothing of it yet, or any more
		}
		var fault *health.Fault // of the disk or of rights; all else is the file's content
		if errors.As(err, &fault) {
			return parts, damaged, err
		}
		if err != nil {
			damaged = append(damaged, Damage{Gap{info.StartTime(), info.End}, s.Path(info.Key)})
			continue
		}
		p, lost := s.exportPart(r, info, o)
		if lost != nil {
			damaged = append(damaged, *lost)
		}
		if len(p.fragments) == 0 {
			_ = r.Close()
			continue
		}
		parts = append(parts, p)
		if !slices.EqualFunc(parts[0].reader.Header().Tracks, r.Header().Tracks, mkv.Track.Equal) {
			change := info.StartTime().Format(time.RFC3339Nano)
			return parts, damaged, health.UserFault(CodeExport, nil,
				"The camera of stream %s changed its format at %s, and one file cannot hold both: export once --to and once --from that time.", o.Stream, change)
		}
	}
	return parts, damaged, nil
}

// exportPart selects the fragments of a segment. The name of a finished one holds the time of its last frame: what
// is missing before that is damaged.
func (s *Store) exportPart(r *Reader, info Info, o ExportOptions) (p exportPart, lost *Damage) {
	p.reader = r
	fragments, _, err := r.Fragments()
	readable := info.StartTime()
	if n := len(fragments); n > 0 {
		readable = p.at(fragments[n-1].Last)
	}
	if info.State != Writing && (err != nil || info.End.Sub(readable) > time.Millisecond) && (o.To.IsZero() || readable.Before(o.To)) {
		lost = &Damage{Gap{readable, info.End}, s.Path(info.Key)}
	}
	p.fragments = slices.DeleteFunc(slices.Clone(fragments), func(f mkv.Fragment) bool {
		return (!o.From.IsZero() && p.at(f.Last).Before(o.From)) || (!o.To.IsZero() && !p.at(f.Start).Before(o.To))
	})
	return p, lost
}
