package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// A window is what is compared at once, and held in memory.
const (
	windowFragments = 20_000
	windowSpan      = 24 * time.Hour
)

// slack is how far the cloud's times may be from those that were sent: SDKs read them from numbers with a fraction.
const slack = 2 * time.Millisecond

// uploaded is a fragment on the hub that was uploaded.
type uploaded struct {
	id    ID
	at    time.Time // producer timestamp of its first frame
	end   time.Time // of its last
	ended time.Time // when its last frame was recorded
	bytes int64
}

// auditing is one run.
type auditing struct {
	*Auditor
	ctx     context.Context //nolint:containedctx // of the run
	of      Range
	now     time.Time
	expired time.Time // what the service had before need not be there any more
	each    func(Counts)
	report  Report
	// segments are the counts by segment; nil when they are not asked for.
	segments map[segment.Key]*Counts

	window   []uploaded
	from, to time.Time // the producer timestamps of the window
	refused  map[ID]bool
	covered  []span   // the producer timestamps that windows were compared for
	recorded recorded // what is on the hub; nil until it is needed
}

// epoch is the last 8 bits of the number of its epoch, as receipts have it.
func (f uploaded) epoch() uint8 { return uint8(f.id.Segment.Epoch) }

// span is a range of producer timestamps.
type span struct{ from, to time.Time }

// noteRefused reads which fragments the service refused.
func (u *auditing) noteRefused() {
	u.refused = make(map[ID]bool)
	for _, r := range u.o.Store.Refused(u.of.Stream) {
		u.refused[ID{r.Key, r.Fragment.Start}] = true
	}
}

func (u *auditing) run() error {
	u.noteRefused()
	for _, info := range u.o.Store.Segments(u.of.Stream, u.of.From, u.of.To) {
		if err := u.segment(info.Key); err != nil {
			return err
		}
	}
	if err := u.compare(); err != nil {
		return err
	}
	return u.gone()
}

// segment adds the fragments of a segment to the window.
func (u *auditing) segment(k segment.Key) error {
	list, err := u.fragments(k)
	switch {
	case u.ctx.Err() != nil:
		return u.ctx.Err()
	case errors.Is(err, segment.ErrNotFound):
		return nil // deleted meanwhile
	case err != nil:
		u.report.Unreadable++
		u.countsOf(k).Unreadable++
		return nil
	}
	of := u.countsOf(k)
	var sent times
	for _, f := range list {
		wire, recorded := u.o.Store.Offsets(k, f.Start)
		began, ended := k.StartTime().Add(f.Start+recorded), k.StartTime().Add(f.Last+recorded)
		if !u.of.From.IsZero() && ended.Before(u.of.From) || !u.of.To.IsZero() && !began.Before(u.of.To) {
			continue
		}
		next := uploaded{id: ID{k, f.Start}, at: k.StartTime().Add(f.Start + wire), end: k.StartTime().Add(f.Last + wire), ended: ended,
			bytes: f.Size}
		if refused := u.refused[next.id]; refused || !u.o.Store.Done(k, f.Start) {
			if refused {
				u.report.Refused++
				of.Refused++
			} else {
				u.report.NotUploaded++
				of.NotUploaded++
			}
			continue
		}
		if wire != 0 {
			if next, err = sent.correct(u, next, wire); err != nil {
				return err
			}
		}
		if err := u.add(next); err != nil {
			return err
		}
	}
	return nil
}

func (u *auditing) fragments(k segment.Key) ([]mkv.Fragment, error) {
	reader, err := u.o.Store.OpenSegmentWhile(u.ctx, k)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }() // was only read
	list, _, err := reader.Fragments()
	return list, err
}

// add adds a fragment to the window, which is compared before if it is full.
func (u *auditing) add(next uploaded) error {
	if n := len(u.window); n > 0 {
		from, to := earlier(u.from, next.at), later(u.to, next.end)
		if n >= windowFragments || to.Sub(from) > windowSpan {
			if err := u.compare(); err != nil {
				return err
			}
		}
	}
	if len(u.window) == 0 {
		u.from, u.to = next.at, next.end
	}
	u.from, u.to = earlier(u.from, next.at), later(u.to, next.end)
	u.window = append(u.window, next)
	return nil
}

// compare judges the fragments of the window, and begins another.
func (u *auditing) compare() error {
	if len(u.window) == 0 {
		return nil
	}
	had, err := u.receipts(u.from, u.to)
	if err != nil {
		return err
	}
	stored, err := u.stored(u.from, u.to, had)
	if err != nil {
		return err
	}
	for _, f := range u.window {
		u.judge(f, had.of(f), stored)
	}
	u.judgeGone(slices.DeleteFunc(had, func(r acknowledged) bool { return r.used || within(u.covered, r.at) || !u.wanted(r) }), stored)
	u.covered = append(u.covered, span{u.from, u.to})
	u.window = u.window[:0]
	u.each(u.report.Counts)
	return nil
}

// judge finds out whether a fragment is in the cloud.
func (u *auditing) judge(f uploaded, receipts acknowledgements, stored inCloud) {
	u.report.Fragments++
	acked, number := f.ended, "" // without a receipt it was persisted at some time after, as with one of a clock that was wrong
	for _, r := range receipts {
		if number == "" || !r.acked.Before(acked) {
			number = r.number
		}
		if r.acked.After(acked) && !r.acked.After(u.now) {
			acked = r.acked
		}
	}
	if len(receipts) > 0 {
		u.report.WithReceipt++
	}
	of := u.countsOf(f.id.Segment)
	of.Fragments++
	switch {
	case stored.holds(f, receipts):
		u.report.Present++
		of.Present++
	case acked.Before(u.expired):
		u.report.Expired++
		of.Expired++
	case u.now.Sub(acked) < PendingFor:
		u.report.Pending++
		of.Pending++
	default:
		u.report.Missing++
		of.Missing++
		u.report.MissingBytes += f.bytes
		u.report.Lost = append(u.report.Lost, Missing{
			ID: f.id, Recorded: true, Producer: f.at, Length: f.end.Sub(f.at), Bytes: f.bytes, Number: number,
		})
	}
}

// gone judges the receipts of the range outside of the windows: their fragments are not recorded any more.
func (u *auditing) gone() error {
	from, to := u.of.From, u.now
	if from.IsZero() {
		from = u.expired.Add(-windowSpan)
	}
	if !u.of.To.IsZero() {
		to = earlier(u.of.To, u.now)
	}
	for at := from; at.Before(to); at = at.Add(windowSpan) {
		had, err := u.receipts(at, earlier(to, at.Add(windowSpan)).Add(-time.Millisecond))
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(had, func(r acknowledged) bool { return within(u.covered, r.at) || !u.wanted(r) })
		if len(left) == 0 {
			continue
		}
		stored, err := u.stored(left[0].at, left[len(left)-1].at, left)
		if err != nil {
			return err
		}
		u.judgeGone(left, stored)
	}
	u.each(u.report.Counts)
	return nil
}

// wanted reports whether the cloud must still have, and already list, what a receipt is about, and the hub does not have it any more: an
// audit has the media recorded in a range, and receipts are read by producer timestamp.
func (u *auditing) wanted(r acknowledged) bool {
	if r.acked.Before(u.expired) || u.now.Sub(r.acked) < PendingFor {
		return false
	}
	if u.recorded == nil {
		u.recorded = u.readRecorded()
	}
	return !u.recorded.has(r)
}

// judgeGone judges receipts of fragments that are not recorded any more.
func (u *auditing) judgeGone(list acknowledgements, stored inCloud) {
	for i := 0; i < len(list); {
		same := i + 1
		for same < len(list) && list[same].at.Equal(list[i].at) {
			same++ // the same media, sent again
		}
		u.report.Gone++
		present := slices.ContainsFunc(list[i:same], func(r acknowledged) bool { return stored.numbers[r.number] })
		if r := list[same-1]; present {
			u.report.GonePresent++
		} else if u.report.GoneMissing++; u.report.GoneMissing <= MaxGone {
			u.report.Lost = append(u.report.Lost, Missing{Producer: r.at, Length: r.length, Bytes: r.bytes, Number: r.number})
		}
		i = same
	}
}

// within reports whether one of the spans has a time.
func within(list []span, at time.Time) bool {
	return slices.ContainsFunc(list, func(s span) bool { return !at.Before(s.from) && !at.After(s.to) })
}

// receiptFault is the fault of receipts that cannot be read.
func (u *auditing) receiptFault(err error) error {
	return health.SystemFault(CodeReceipts, err, "The receipts of stream %s cannot be read, so it is not audited: check the disk of the "+
		"state directory.", u.of.Stream)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
