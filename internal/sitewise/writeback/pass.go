package writeback

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/rows"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// want is a value to be sent.
type want struct {
	stream string
	s      *series
	start  int64 // of the point; ignored with beat
	end    int64 // Unix ms
	beat   *cloud.Entry
	since  time.Time // when it was to be sent first
}

// value is what is sent.
func (q want) value() cloud.Entry {
	if q.beat != nil {
		return *q.beat
	}
	row := rows.Row{Start: q.start, End: q.end}
	return cloud.Entry{Ref: cloud.Ref{Asset: q.s.asset, Property: q.s.property}, Time: time.Unix(q.start, 0).UTC(), Value: row.Value()}
}

// pass compares once, and sends what differs.
func (w *Writer) pass(ctx context.Context) {
	now := w.o.Now()
	cameras := w.o.Cameras()
	w.sweep(cameras)
	if len(cameras) == 0 {
		w.ok(scopeCall)
		w.ok(scopeState)
		w.setStatus(func(s *Status) { *s = Status{Written: s.Written} })
	}
	if len(cameras) == 0 || !w.o.Trusted() || !w.open() {
		return
	}
	disk := w.diskAt.IsZero() || now.Sub(w.diskAt) >= diskEvery || now.Before(w.diskAt)
	if disk {
		w.diskAt = now
	}
	oldest := now.Add(reachMargin-reach).Unix() + 1
	var queue []want
	frozen := 0
	for _, c := range cameras {
		list, stuck := w.compare(c, now, oldest, disk)
		queue = append(queue, list...)
		frozen += stuck
		w.reportFrozen(c.Stream, stuck)
		w.reportLate(c.Stream, oldest)
	}
	w.setWaiting(queue)
	w.setStatus(func(s *Status) { s.Frozen = frozen })
	defer w.setRefused(oldest)
	if now.Before(w.retry) || len(queue) > 0 && !w.send(ctx, queue) {
		return
	}
	if now.Sub(w.notedAt) >= noteEvery || now.Before(w.notedAt) || w.raised[scopeState] {
		w.age(cameras, oldest)
		w.note()
	}
}

// age forgets what SiteWise keeps of assets that are not configured any more as it is.
func (w *Writer) age(cameras []Camera, oldest int64) {
	for key, s := range w.all {
		if slices.ContainsFunc(cameras, func(c Camera) bool { return c.Asset == key.asset }) {
			continue
		}
		if w.forget(s, oldest); len(s.points) == 0 {
			delete(w.all, key)
		}
	}
}

// open reads the journal, once. A file that cannot be read is set aside.
func (w *Writer) open() bool {
	if w.opened {
		return true
	}
	if err := w.restore(); err != nil {
		w.report(scopeState, health.Degraded, health.SystemFault(CodeState, err, "The journal of what AWS IoT SiteWise has cannot be read (%v): "+
			"it is set aside, and rows of earlier video may stay as they are.", err))
		renamed := w.o.Files.Rename(w.journal.Path(), w.journal.Path()+statefile.CorruptSuffix)
		if renamed != nil && !errors.Is(renamed, fs.ErrNotExist) {
			return false
		}
	}
	w.opened, w.notedAt = true, w.o.Now()
	return true
}

// compare makes the points of a camera what they should be, and returns what is to be sent.
func (w *Writer) compare(c Camera, now time.Time, oldest int64, disk bool) (queue []want, frozen int) {
	w.load(c, now)
	recording, first := []rows.Chunk(nil), int64(0)
	if disk {
		recording, first = w.onDisk(c.Stream, now)
	}
	for _, of := range []struct {
		kind     kind
		property string
	}{{uploaded, c.Uploaded}, {recorded, c.Recorded}, {cached, c.Cached}} {
		if of.property == "" {
			continue
		}
		s := w.series(c.Asset, of.property)
		var chunks []rows.Chunk
		known := disk
		if of.kind == uploaded {
			chunks, known = w.inCloud(c, now, s)
		} else {
			chunks = slices.Clone(recording)
		}
		if known {
			limits := limitsOf(of.kind, w.o.Fragment(c.Stream))
			s.want(rows.Desired(s.starts(), clip(chunks, s.from(oldest)), limits), oldest)
			w.forget(s, oldest)
		}
		frozen += s.frozen(oldest)
		if now.Before(s.hold) {
			continue
		}
		if of.kind == cached && disk {
			queue = append(queue, heartbeat(c, s, now, first))
		}
		for _, i := range s.waiting(oldest) {
			p := &s.points[i]
			if p.since.IsZero() {
				p.since = now
			}
			queue = append(queue, want{stream: c.Stream, s: s, start: p.Start, end: p.End, since: p.since})
		}
	}
	return queue, frozen
}

// forget forgets the points of a property that nothing can change any more.
func (w *Writer) forget(s *series, oldest int64) {
	for _, start := range s.prune(oldest) {
		w.gone = appendLine(w.gone, s.id, start, unsent, true)
	}
}

// heartbeat is the value that says since when media is on the disk, as of now: 0 for no media. Its timestamp is never a whole second, so
// that it does not replace a row.
func heartbeat(c Camera, s *series, now time.Time, first int64) want {
	now = now.Truncate(time.Millisecond)
	if now.Nanosecond() == 0 {
		now = now.Add(time.Millisecond)
	}
	return want{stream: c.Stream, s: s, since: now,
		beat: &cloud.Entry{Ref: cloud.Ref{Asset: c.Asset, Property: c.Cached}, Time: now.UTC(), Value: float64(first) / 1000}}
}

func (w *Writer) series(asset, property string) *series {
	key := id{asset, property}
	s := w.all[key]
	if s == nil {
		s = &series{id: key}
		w.all[key] = s
	}
	return s
}

// inCloud returns a stream's media that Kinesis Video Streams has; not known is what earlier runs sent while that cannot be read.
func (w *Writer) inCloud(c Camera, now time.Time, s *series) (list []rows.Chunk, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.book(c.Stream)
	if !b.loaded {
		return nil, false
	}
	expired := int64(0)
	if kept, known := w.o.Kept(c.Stream); known {
		expired = now.Add(-kept).Unix()
	}
	b.settle(w.tricklesOf(c.Stream))
	b.prune(now.Add(-reach-2*day).UnixMilli(), expired, s.starts())
	return b.list(), true
}

// load fills the book of a stream with what earlier runs of the agent sent.
func (w *Writer) load(c Camera, now time.Time) {
	w.mu.Lock()
	loaded := w.book(c.Stream).loaded
	w.mu.Unlock()
	if loaded {
		return
	}
	for at := now.Add(-reach - day); at.Before(now.Add(day)); at = at.Add(day) {
		var list []receipt.Receipt
		if err := w.o.Receipts.Read(c.Stream, at, at.Add(day), func(r receipt.Receipt) { list = append(list, r) }); err != nil {
			w.o.Log.Debug("receipts not read for SiteWise", streamField(c.Stream), errorField(err))
			return // the rows of earlier runs stay as they are until it works
		}
		slices.SortFunc(list, func(a, b receipt.Receipt) int { return a.Producer.Compare(b.Producer) })
		w.mu.Lock()
		for _, r := range list {
			w.book(c.Stream).take(r, w.o.Trickle(c.Stream, r.Producer))
		}
		w.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.book(c.Stream)
	b.settle(w.tricklesOf(c.Stream))
	for _, p := range w.series(c.Asset, c.Uploaded).points {
		b.restore(p.Row)
	}
	b.loaded = true
}

// tricklesOf returns whether fragments of a stream are of the trickle, by their producer timestamps.
func (w *Writer) tricklesOf(stream string) func(int64) bool {
	return func(at int64) bool { return w.o.Trickle(stream, time.UnixMilli(at)) }
}

// onDisk returns a stream's media on the disk, and when its oldest begins in Unix ms, 0 without any.
func (w *Writer) onDisk(stream string, now time.Time) (list []rows.Chunk, first int64) {
	infos := w.o.Store.Segments(stream, time.Time{}, time.Time{})
	after := now.Add(-reach - 2*day).UnixMilli()
	for _, info := range infos {
		from, to := w.onWire(info)
		if to <= from {
			continue
		}
		if first == 0 || from < first {
			first = from
		}
		if to < after {
			continue
		}
		at := from
		shift := from - info.Key.Start
		for _, g := range info.Gaps {
			if end := g.From.UnixMilli() + shift; end > at {
				list = append(list, rows.Chunk{From: at, To: end})
			}
			at = max(at, g.To.UnixMilli()+shift)
		}
		if to > at {
			list = append(list, rows.Chunk{From: at, To: to})
		}
	}
	slices.SortFunc(list, func(a, b rows.Chunk) int { return cmp.Compare(a.From, b.From) })
	return list, first
}

// onWire returns the producer timestamps of a segment, as they are sent.
func (w *Writer) onWire(info segment.Info) (from, to int64) {
	start := info.StartTime()
	begin, _ := w.o.Store.Offsets(info.Key, 0)
	end, _ := w.o.Store.Offsets(info.Key, info.End.Sub(start))
	return start.Add(begin).UnixMilli(), info.End.Add(end).UnixMilli()
}

// sweep forgets streams that no camera has any more.
func (w *Writer) sweep(cameras []Camera) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for stream := range w.books {
		if !slices.ContainsFunc(cameras, func(c Camera) bool { return c.Stream == stream }) {
			delete(w.books, stream)
		}
	}
	for scope := range w.raised {
		of := scopeStream(scope)
		if of != "" && !slices.ContainsFunc(cameras, func(c Camera) bool { return c.Stream == of }) {
			w.ok(scope)
		}
	}
}
