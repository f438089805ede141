package uploader

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// passed records that a fragment, or a part of it, is persisted. whole reports whether all of it is; again,
// whether other fragments are to be tried again.
func (u *Uploader) passed(f inflight) (whole, again bool) {
	u.retries.passed()
	u.stallTimeout.passed()
	whole = f.Split == nil || f.Split.Finish(f.Part)
	again = u.poison.Passed(f.Fragment, whole)
	u.report.passed(f)
	switch {
	case whole && f.Split != nil && f.Split.Refused != nil:
		u.refuseWhole(f.Whole(), *f.Split.Refused)
		whole = false
	case whole:
		u.o.Sent(f.Whole().Began())
		u.refused.Persisted(f.Fragment)
		u.progress.saved(u.o.Store.MarkPersisted(f.Key, f.Stored))
		u.report.numbers.persisted.Add(1)
	}
	u.report.sound(f, u.o.Audio())
	u.tags.passed(f.tagged)
	u.report.stuck(u.poison.Stuck())
	return whole, again
}

// refuse keeps on the hub a fragment that the service will never accept. If it is split, its other parts
// are sent first.
func (u *Uploader) refuse(f queue.Fragment, a rules.Answer) {
	if f.Split == nil {
		u.refuseWhole(f, a)
		return
	}
	if f.Split.Refused == nil {
		f.Split.Refused = &a
	}
	if f.Split.Finish(f.Part) {
		u.refuseWhole(f.Whole(), *f.Split.Refused)
	}
}

func (u *Uploader) refuseWhole(f queue.Fragment, a rules.Answer) {
	if _, before := u.o.Store.RefusedBefore(f.Key, f.Stored.Start); !before {
		u.report.numbers.refused.Add(1)
	}
	u.progress.saved(u.o.Store.MarkRefused(f.Key, f.Stored, a.Title()))
	u.poison.Forget(f.ID())
	if a.Rule.Tags {
		u.tags.release() // it was refused without them too
	}
	u.report.refused(f, a)
	u.report.stuck(u.poison.Stuck())
}

// tooLong notes that the service refused a fragment as too long, which is sent in parts now, and others of its kind from the start: each
// would cost an ERROR and a session.
func (u *Uploader) tooLong(f queue.Fragment) {
	length := f.Stored.Last - f.Stored.Start
	if length > kvslimit.MaxFragment {
		return
	}
	longest := length - time.Millisecond
	if length > kvslimit.StatedMaxFragment {
		longest = kvslimit.StatedMaxFragment
	}
	u.accepted.longest = longest
	u.report.tooLong(longest)
	u.o.TooLong(longest)
}

// split has a fragment sent in parts from now on. It reports whether that is possible.
func (u *Uploader) split(f queue.Fragment) bool {
	if f.Split != nil || u.poison.SplitOf(f.ID()) != nil {
		return false
	}
	split := u.queue.Split(f)
	if split == nil {
		return false
	}
	u.poison.Split(f, split)
	logevent.FragmentSplit.Log(u.o.Log, zap.Time("fragment", time.UnixMilli(f.At()).UTC()), zap.Int("parts", split.Parts()))
	return true
}

// noteReceipt keeps the number that the service assigned to a fragment.
func (u *Uploader) noteReceipt(f queue.Fragment, number string, bytes int64) {
	if u.o.Receipts == nil || number == "" {
		return
	}
	u.o.Receipts(receipt.Receipt{
		Number: number, Producer: time.UnixMilli(f.At()).UTC(), Acked: u.o.Now(), Bytes: bytes,
		Length: time.Duration(f.End()-f.At()) * time.Millisecond, Epoch: uint8(f.Key.Epoch),
	})
}
