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
	Gaps      []Gap // in order
	Damaged   []Damage
}

// Damage is recorded media that cannot be read.
type Damage struct {
	Gap
	Path string // of the file
}

// CodeExport is the code of exports that cannot be made.
const CodeExport = "export"

// Export joins a stream's media into one file that players can seek in. It is cut at fragments, and its
// time line is that of the clock, also where a clock was ahead: gaps stay gaps. Files that are damaged are exported
// as far as they can be read. One segment is held at a time, as what is held frees no space: what is deleted before
// it is copied is a gap. All segments are read before anything is written, so that out stays empty when they do not fit
// into one file.
func (s *Store) Export(ctx context.Context, o ExportOptions, out mkv.File) (Exported, error) {
	e := exporter{store: s, o: o, out: out}
	e.volume, _ = s.volume.ID()
	if err := e.plan(ctx); err != nil {
		return Exported{}, err
	}
	err := e.run(ctx)
	return e.result, err
}

// run copies what is planned.
func (e *exporter) run(ctx context.Context) error {
	for _, p := range e.parts {
		if err := e.copy(ctx, p); err != nil {
			return err
		}
	}
	if e.writer == nil {
		return health.UserFault(CodeExport, nil,
			"The recordings of stream %s in that time were deleted before they could be exported: export a later time.", e.o.Stream)
	}
	err := e.writer.Close()
	e.result.Bytes = e.writer.Size()
	return err
}

// exporter is one export.
type exporter struct {
	store  *Store
	o      ExportOptions
	out    mkv.File
	volume string // the mark of the disk when the export began
	parts  []exportPart
	tracks []mkv.Track
	writer *mkv.Writer // nil before the first fragment
	known  time.Time   // the end of what was copied or is known to be deleted
	result Exported

	done, total int64 // bytes
}

// exportPart is what of a segment is exported.
type exportPart struct {
	info     Info
	from, to time.Time     // of the media
	last     time.Duration // since the segment's start: fragments that come later are not exported
	bytes    int64
}

// plan reads what is to be exported, one segment after the other.
func (e *exporter) plan(ctx context.Context) error {
	o := e.o
	// A segment that is being written has no end yet for one who reads beside the agent.
	for _, info := range e.store.Segments(o.Stream, time.Time{}, o.To) {
		if info.State != Writing && !o.From.IsZero() && info.RecordedTo.Before(o.From) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.planSegment(info); err != nil {
			return err
		}
	}
	switch {
	case len(e.parts) == 0 && len(e.result.Damaged) > 0:
		return health.SystemFault(CodeExport, nil,
			"The recordings of stream %s in that time are damaged and cannot be read: see `kvs-edge-agent verify --stream %s`.", o.Stream, o.Stream)
	case len(e.parts) == 0:
		return health.UserFault(CodeExport, nil,
			"There is no media of stream %s in that time: see `kvs-edge-agent segments --stream %s`.", o.Stream, o.Stream)
	}
	return nil
}

// planSegment adds what is to be exported of a segment.
func (e *exporter) planSegment(info Info) error {
	r, err := e.store.OpenSegment(info.Key)
	if err != nil && (info.State == Writing || errors.Is(err, ErrNotFound)) {
		return e.present() // there is nothing of it yet, or any more
	}
	var fault *health.Fault // of the disk or of rights; all else is the file's content
	if errors.As(err, &fault) {
		return err
	}
	if err != nil {
		e.damaged(info.RecordedFrom, info)
		return nil
	}
	defer func() { _ = r.Close() }() // was only read
	fragments, _, err := r.Fragments()
	readable := time.Duration(0)
	if n := len(fragments); n > 0 {
		readable = fragments[n-1].Last
	}
	// The name of a finished one holds the time of its last frame: what is missing before that is damaged.
	if info.State != Writing && (err != nil || info.End.Sub(info.StartTime().Add(readable)) > time.Millisecond) &&
		(e.o.To.IsZero() || r.at(readable).Before(e.o.To)) {
		e.damaged(r.at(readable), info)
	}
	if fragments = e.choose(r, fragments); len(fragments) == 0 {
		return nil
	}
	if e.tracks == nil {
		e.tracks = r.Header().Tracks
	}
	p := exportPart{info: info, from: r.at(fragments[0].Start), last: fragments[len(fragments)-1].Last}
	p.to = r.at(p.last)
	for _, f := range fragments {
		p.bytes += f.Size
	}
	e.parts = append(e.parts, p)
	e.total += p.bytes
	return e.sameFormat(r)
}

// sameFormat fails when a segment cannot stand in one file with the first one.
func (e *exporter) sameFormat(r *Reader) error {
	if slices.EqualFunc(e.tracks, r.Header().Tracks, mkv.Track.Equal) {
		return nil
	}
	return health.UserFault(CodeExport, nil,
		"The camera of stream %s changed its format at %s, and one file cannot hold both: export once --to and once --from that time.",
		e.o.Stream, r.at(0).Format(time.RFC3339Nano))
}

func (e *exporter) damaged(from time.Time, info Info) {
	e.result.Damaged = append(e.result.Damaged, Damage{Gap{From: from, To: info.RecordedTo}, e.store.Path(info.Key)})
}

// present fails when files are gone because their disk is.
func (e *exporter) present() error {
	now, err := e.store.volume.ID()
	if now == e.volume {
		return nil
	}
	return health.SystemFault(CodeDisk, err, "The disk of the recording directory %s is gone: mount it again, and export again.", e.store.dir)
}

// choose keeps the fragments that were asked for.
func (e *exporter) choose(r *Reader, fragments []mkv.Fragment) []mkv.Fragment {
	return slices.DeleteFunc(slices.Clone(fragments), func(f mkv.Fragment) bool {
		return (!e.o.From.IsZero() && r.at(f.Last).Before(e.o.From)) || (!e.o.To.IsZero() && !r.at(f.Start).Before(e.o.To))
	})
}

// copy writes the fragments of a segment, which may be gone since it was planned.
func (e *exporter) copy(ctx context.Context, p exportPart) error {
	r, err := e.store.OpenSegment(p.info.Key)
	if errors.Is(err, ErrNotFound) {
		if err := e.present(); err != nil {
			return err
		}
		e.deleted(p)
		return nil
	}
	if err != nil {
		return e.cannotCopy(p.from, err)
	}
	defer func() { _ = r.Close() }() // was only read
	fragments, _, err := r.Fragments()
	if err == nil {
		err = e.sameFormat(r)
	}
	if err != nil {
		return e.cannotCopy(p.from, err)
	}
	gaps := p.info.Gaps
	if !p.info.GapsKnown {
		gaps, _ = r.Gaps() // as far as it can be read
	}
	for _, f := range e.choose(r, fragments) {
		if f.Last > p.last {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.copyFragment(r, f); err != nil {
			return e.cannotCopy(r.at(f.Start), err)
		}
		e.within(r, f, gaps)
	}
	return nil
}

// within notes the gaps in a fragment that was copied.
func (e *exporter) within(r *Reader, f mkv.Fragment, gaps []Gap) {
	for _, g := range gaps {
		from, to := g.From.Sub(r.key.StartTime()), g.To.Sub(r.key.StartTime())
		if from >= f.Start && to <= f.Last {
			e.result.Gaps = append(e.result.Gaps, Gap{From: r.at(from), To: r.at(to)})
		}
	}
}

func (e *exporter) cannotCopy(at time.Time, err error) error {
	return fmt.Errorf("cannot copy the media of stream %s at %s: %w", e.o.Stream, at.Format(time.RFC3339), err)
}

func (e *exporter) copyFragment(r *Reader, f mkv.Fragment) error {
	at := r.at(f.Start)
	if least := e.result.To.Add(time.Millisecond); at.Before(least) {
		at = least // of media that is dated wrongly it may be known only when it was recorded at the latest
	}
	if e.writer == nil {
		header := r.Header()
		header.Start = at
		writer, err := mkv.NewWriter(e.out, header, mkv.WriterOptions{})
		if err != nil {
			return err
		}
		e.writer, e.result.From = writer, at
	}
	e.gap(at)
	if err := e.writer.CopyFragment(r, f, at.Sub(e.result.From)); err != nil {
		return err
	}
	e.result.To = at.Add(f.Last - f.Start)
	e.known = e.result.To
	e.result.Fragments++
	if e.done += f.Size; e.o.Progress != nil {
		e.o.Progress(e.done, max(e.done, e.total))
	}
	return nil
}

// gap notes that nothing was recorded up to a time, when that is long.
func (e *exporter) gap(until time.Time) {
	if e.known.IsZero() || until.Sub(e.known) <= GapAfter {
		return
	}
	// Something may have been recorded then that cannot be read.
	known := e.known
	if slices.ContainsFunc(e.result.Damaged, func(d Damage) bool { return d.From.Before(until) && d.To.After(known) }) {
		return
	}
	e.result.Gaps = append(e.result.Gaps, Gap{From: known, To: until})
}

// deleted notes that a segment is gone.
func (e *exporter) deleted(p exportPart) {
	e.total -= p.bytes
	e.gap(p.from)
	if n := len(e.result.Gaps); n > 0 && e.result.Gaps[n-1].Deleted && e.result.Gaps[n-1].To.Equal(e.known) {
		e.result.Gaps[n-1].To = p.to
	} else {
		e.result.Gaps = append(e.result.Gaps, Gap{From: p.from, To: p.to, Deleted: true})
	}
	e.known = p.to
}
