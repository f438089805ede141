// Package export joins recorded segments of a stream into one file. It only reads, through the store.
package export

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Options are the settings of an export.
type Options struct {
	Stream   string
	From, To time.Time // [from, to); a zero time is unbounded
	// Format is the container. Default: Matroska.
	Format Format
	// Planned is called before the first byte is written. Optional.
	Planned func(Plan)
	// Copied is called after each fragment that was written. Optional.
	Copied func(Copied) error
	// Progress is called after each fragment with the bytes written and the total. Optional.
	Progress func(done, total int64)
}

// Copied is a fragment in the file.
type Copied struct {
	From, To time.Time // when it was recorded
	// At is the producer timestamp of its start, as the cloud gets it.
	At     time.Time
	Intact bool // its bytes match its checksum, or it has none
}

// Plan is what an export is going to write.
type Plan struct {
	Bytes int64 // of media
	// IndexBytes is how long the index of a file in MP4 will be at most; 0 for Matroska.
	IndexBytes int64
}

// Result is what an export contains.
type Result struct {
	From, To  time.Time // of the media: whole fragments
	Fragments int
	Bytes     int64
	Gaps      []Gap // in order
	Damaged   []Damage
	// Changed is media that differs from what was recorded, by its checksums, and is in the file as it is now.
	Changed []Damage
	// LeftOut are the codecs of audio that players do not play in the container.
	LeftOut []string
	// AudioTracks is how many tracks the audio is in. In MP4 each format has a track of its own.
	AudioTracks int
}

// Gap is a time without media.
type Gap struct {
	From, To time.Time
	// Deleted is true when there was media when the export began, which was deleted before it could be copied.
	Deleted bool
}

// Damage is recorded media that cannot be read, or that was changed since.
type Damage struct {
	From, To time.Time
	Path     string // of the file
}

// ErrFormat is wrapped by the fault of media that cannot be in one file.
var ErrFormat = errors.New("the format changes")

// Code is the code of exports that are not possible.
const Code = "export"

// Run joins a stream's media into one file: Matroska in which players can seek, or fragmented MP4 (package mp4). It is cut at fragments,
// and its time line is that of the clock, also where a clock was ahead: gaps stay gaps. Damaged files are exported as far as they can be
// read. Only one segment is kept open at a time, as an open file frees no space: media that is deleted before it is copied becomes a gap.
// All segments are read before anything is written, so that out stays empty when their formats do not match.
func Run(ctx context.Context, store *segment.Store, o Options, out mkv.File) (Result, error) {
	e := exporter{store: store, o: o, file: newContainer(o, out)}
	_, e.disk, _ = store.Disk()
	if err := e.plan(ctx); err != nil {
		return Result{}, err
	}
	if o.Planned != nil {
		o.Planned(Plan{Bytes: e.total, IndexBytes: e.file.indexBytes()})
	}
	err := e.run(ctx)
	return e.result, err
}

// run copies the planned parts.
func (e *exporter) run(ctx context.Context) error {
	for _, p := range e.parts {
		if err := e.copy(ctx, p); err != nil {
			return err
		}
	}
	if !e.started && e.damagedNow {
		return e.allDamaged()
	}
	if !e.started {
		return health.UserFault(Code, nil,
			"The recordings of stream %s in that time were deleted before they could be exported: export a later time.", e.o.Stream)
	}
	return e.file.end(&e.result)
}

// exporter is one export.
type exporter struct {
	store *segment.Store
	o     Options
	file  container
	disk  string // the disk of the recordings when the export began
	parts []part
	// damagedNow: fragments are left out, as their checksums do not match.
	damagedNow bool
	started    bool      // the file has its first fragment
	lastIntact bool      // the fragment before was what was recorded
	known      time.Time // the end of the media that was copied or is known to be deleted
	result     Result

	done, total int64 // bytes
}

// part is the part of a segment that is exported.
type part struct {
	info     segment.Info
	from, to time.Time     // of the media
	last     time.Duration // since the segment's start: later fragments are not exported
	bytes    int64
}

// plan reads the segments to be exported, one after the other.
func (e *exporter) plan(ctx context.Context) error {
	o := e.o
	// A segment that is being written has no end yet for a reader in another process.
	for _, info := range e.store.Segments(o.Stream, time.Time{}, o.To) {
		if info.State != segment.Writing && !o.From.IsZero() && info.RecordedTo.Before(o.From) {
			continue
		}
		err := e.planSegment(ctx, info)
		if ctx.Err() != nil { // unread media is not damaged
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	switch {
	case len(e.parts) == 0 && len(e.result.Damaged) > 0:
		return e.allDamaged()
	case len(e.parts) == 0:
		return health.UserFault(Code, nil,
			"There is no media of stream %s in that time: see `kvs-edge-agent segments --stream %s`.", o.Stream, o.Stream)
	}
	return nil
}

// planSegment adds the part of a segment that is to be exported.
func (e *exporter) planSegment(ctx context.Context, info segment.Info) error {
	r, err := e.store.OpenSegmentWhile(ctx, info.Key)
	if err != nil && (info.State == segment.Writing || errors.Is(err, segment.ErrNotFound)) {
		return e.present() // it has no media yet, or no longer
	}
	var fault *health.Fault // of the disk or of permissions; everything else is the file's content
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
	// The name of a finished segment has the time of its last frame: missing media before that is damaged.
	if info.State != segment.Writing && (err != nil || info.End.Sub(info.StartTime().Add(readable)) > time.Millisecond) &&
		(e.o.To.IsZero() || r.RecordedAt(readable).Before(e.o.To)) {
		e.damaged(r.RecordedAt(readable), info)
	}
	if fragments = e.choose(r, fragments); len(fragments) == 0 {
		return nil
	}
	p := part{info: info, from: r.RecordedAt(fragments[0].Start), last: fragments[len(fragments)-1].Last}
	p.to = r.RecordedAt(p.last)
	for _, f := range fragments {
		p.bytes += f.Size
	}
	e.parts = append(e.parts, p)
	e.total += p.bytes
	if err := e.file.fits(r); err != nil {
		return err
	}
	return e.file.plan(r, fragments)
}

func (e *exporter) allDamaged() error {
	return health.SystemFault(Code, nil, "The recordings of stream %s in that time are damaged and cannot be read: "+
		"see `kvs-edge-agent verify --stream %s`.", e.o.Stream, e.o.Stream)
}

func (e *exporter) damaged(from time.Time, info segment.Info) {
	e.result.Damaged = append(e.result.Damaged, Damage{From: from, To: info.RecordedTo, Path: e.store.Path(info.Key)})
}

// present fails when files are gone because their disk is.
func (e *exporter) present() error {
	dir, now, err := e.store.Disk()
	if now == e.disk {
		return nil
	}
	return health.SystemFault(segment.CodeDisk, err, "The disk of the recording directory %s is gone: mount it again, and export again.", dir)
}

// choose returns the fragments in the requested time range.
func (e *exporter) choose(r *segment.Reader, fragments []mkv.Fragment) []mkv.Fragment {
	return slices.DeleteFunc(slices.Clone(fragments), func(f mkv.Fragment) bool {
		return (!e.o.From.IsZero() && r.RecordedAt(f.Last).Before(e.o.From)) || (!e.o.To.IsZero() && !r.RecordedAt(f.Start).Before(e.o.To))
	})
}

// copy writes the fragments of a segment, which may have been deleted since it was planned.
func (e *exporter) copy(ctx context.Context, p part) error {
	r, err := e.store.OpenSegmentWhile(ctx, p.info.Key)
	if ctx.Err() != nil {
		if err == nil {
			_ = r.Close()
		}
		return ctx.Err()
	}
	if errors.Is(err, segment.ErrNotFound) {
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
		err = e.file.fits(r)
	}
	if err != nil {
		return e.cannotCopy(p.from, err)
	}
	gaps := p.info.Gaps
	if !p.info.GapsKnown {
		gaps, _ = r.Gaps() // as far as they can be read
	}
	for _, f := range e.choose(r, fragments) {
		if f.Last > p.last {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.copyFragment(r, f); err != nil {
			return e.cannotCopy(r.RecordedAt(f.Start), err)
		}
		e.within(r, f, gaps)
	}
	return nil
}

// within records the gaps in a fragment that was copied.
func (e *exporter) within(r *segment.Reader, f mkv.Fragment, gaps []segment.Gap) {
	for _, g := range gaps {
		from, to := g.From.Sub(r.Key().StartTime()), g.To.Sub(r.Key().StartTime())
		if from >= f.Start && to <= f.Last {
			e.result.Gaps = append(e.result.Gaps, Gap{From: r.RecordedAt(from), To: r.RecordedAt(to)})
		}
	}
}

func (e *exporter) cannotCopy(at time.Time, err error) error {
	return fmt.Errorf("cannot copy the media of stream %s at %s: %w", e.o.Stream, at.Format(time.RFC3339), err)
}

func (e *exporter) copyFragment(r *segment.Reader, f mkv.Fragment) error {
	intact, err := mkv.Intact(r, f)
	if err != nil {
		return err
	}
	if !intact && e.o.Format == MP4 { // which has no checksums, by which a reader would see it
		e.leaveOut(r, f)
		return nil
	}
	at := r.RecordedAt(f.Start)
	if least := e.result.To.Add(time.Millisecond); at.Before(least) {
		at = least // for media that is dated wrongly only the latest possible time of recording may be known
	}
	if !e.started {
		if err := e.file.begin(r, f, at); err != nil {
			return err
		}
		e.started, e.result.From = true, at
	}
	e.gap(at)
	if err := e.file.add(r, f, at.Sub(e.result.From)); err != nil {
		return err
	}
	e.result.To = at.Add(f.Last - f.Start)
	e.known = e.result.To
	e.result.Fragments++
	if !intact {
		e.changed(r, f)
	}
	e.lastIntact = intact
	if e.o.Copied != nil {
		wire, _ := e.store.Offsets(r.Key(), f.Start)
		c := Copied{From: r.RecordedAt(f.Start), To: r.RecordedAt(f.Last), At: r.Key().StartTime().Add(f.Start + wire), Intact: intact}
		if err := e.o.Copied(c); err != nil {
			return err
		}
	}
	if e.done += f.Size; e.o.Progress != nil {
		e.o.Progress(e.done, max(e.done, e.total))
	}
	return nil
}

// leaveOut records that a fragment is not what was recorded.
func (e *exporter) leaveOut(r *segment.Reader, f mkv.Fragment) {
	e.damagedNow = true
	e.total -= f.Size
	e.result.Damaged = append(e.result.Damaged, Damage{From: r.RecordedAt(f.Start), To: r.RecordedAt(f.Last), Path: e.store.Path(r.Key())})
}

// changed records that a fragment in the file is not what was recorded; those that follow each other in a file are one.
func (e *exporter) changed(r *segment.Reader, f mkv.Fragment) {
	path, list := e.store.Path(r.Key()), e.result.Changed
	if n := len(list); n > 0 && !e.lastIntact && list[n-1].Path == path {
		list[n-1].To = r.RecordedAt(f.Last)
		return
	}
	e.result.Changed = append(list, Damage{From: r.RecordedAt(f.Start), To: r.RecordedAt(f.Last), Path: path})
}

// gap records that nothing was recorded up to a time, when that is long.
func (e *exporter) gap(until time.Time) {
	if e.known.IsZero() || until.Sub(e.known) <= segment.GapAfter {
		return
	}
	// Media that cannot be read may have been recorded then.
	known := e.known
	if slices.ContainsFunc(e.result.Damaged, func(d Damage) bool { return d.From.Before(until) && d.To.After(known) }) {
		return
	}
	e.result.Gaps = append(e.result.Gaps, Gap{From: known, To: until})
}

// deleted records that a segment was deleted.
func (e *exporter) deleted(p part) {
	e.total -= p.bytes
	e.gap(p.from)
	if n := len(e.result.Gaps); n > 0 && e.result.Gaps[n-1].Deleted && e.result.Gaps[n-1].To.Equal(e.known) {
		e.result.Gaps[n-1].To = p.to
	} else {
		e.result.Gaps = append(e.result.Gaps, Gap{From: p.from, To: p.to, Deleted: true})
	}
	e.known = p.to
}
