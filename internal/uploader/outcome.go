package uploader

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// through notes that a fragment, or a part of it, is in the cloud. whole says that all of it is; again,
// that others are to be tried again.
func (u *Uploader) through(s shot) (whole, again bool) {
	u.failures, u.careful, u.renewed = 0, false, false
	u.retry.Reset()
	u.askUser.Reset()
	if u.passes++; u.passes >= passesPerStall {
		u.stalls, u.passes = max(u.stalls-1, 0), 0
	}
	whole = s.split == nil || s.split.finish(s.part)
	again = u.suspects.pass(s, whole)
	u.reportThrough(s)
	switch {
	case whole && s.split != nil && s.split.refused != nil:
		u.refuseWhole(s.whole(), *s.split.refused)
		whole = false
	case whole:
		u.tookAgain(s)
		u.noted(u.o.Store.MarkPersisted(s.key, s.frag))
		u.numbers.persisted.Add(1)
	}
	u.reportSound(s)
	u.reportWithheld()
	u.reportStuck()
	return whole, again
}

// refuse keeps a fragment on the hub that the service will never take. Of one that is split the other
// parts are sent first.
func (u *Uploader) refuse(s shot, a rules.Answer) {
	if s.split == nil {
		u.refuseWhole(s, a)
		return
	}
	if s.split.refused == nil {
		s.split.refused = &a
	}
	if s.split.finish(s.part) {
		u.refuseWhole(s.whole(), *s.split.refused)
	}
}

func (u *Uploader) refuseWhole(s shot, a rules.Answer) {
	if _, before := u.o.Store.RefusedBefore(s.key, s.frag.Start); !before {
		u.numbers.skipped.Add(1)
	}
	u.noted(u.o.Store.MarkRefused(s.key, s.frag, a.Title()))
	u.suspects.forget(s.id())
	if a.Rule.Tags {
		u.releaseTags() // it was refused without them too
	}
	u.reportRefused(s, a)
	u.reportStuck()
}

// noted takes in how noting a fragment as done went. Of one that was deleted there is nothing to note.
func (u *Uploader) noted(err error) {
	u.unnoted = err != nil && !errors.Is(err, segment.ErrNotFound)
	if u.unnoted {
		u.unreadable(err)
	}
}

// settle moves segments to uploaded of which every fragment is done.
func (u *Uploader) settle(flight []shot) {
	err := u.queue.settle(flight)
	for _, key := range u.queue.damaged {
		u.reportDamaged(key)
	}
	u.queue.damaged = u.queue.damaged[:0]
	switch {
	case err != nil:
		u.unreadable(err)
	case (!u.unnoted || !u.o.Store.NotesPending(u.o.Stream)) && u.queue.readable():
		u.reportReadable()
	}
}
