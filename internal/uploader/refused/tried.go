package refused

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// Tried is called at the end of a try of a fragment that RequeueDue returned, where nothing else would send it. If it still pends it
// is refused again, with its former code. A try counts that was not broken off; else the fragment is due as before.
func (l *List) Tried(f queue.Fragment, brokenOff bool) error {
	if brokenOff {
		return l.TakeBack(f.Key, []time.Duration{f.Stored.Start})
	}
	if err := l.refuseAgain(f); err != nil {
		return err
	}
	for _, r := range l.o.Store.Refused(l.o.Stream) {
		if r.Key == f.Key && r.Fragment.Start == f.Stored.Start {
			if l.requeue(f.Key, []time.Duration{f.Stored.Start}, true) { // there is no other way to count it
				return l.refuseAgain(f)
			}
		}
	}
	return nil
}

// TakeBack makes those of a segment's fragments refused again, as if they had not been queued, that still pend.
func (l *List) TakeBack(k segment.Key, starts []time.Duration) error {
	if err := l.o.Store.RefuseAgain(k, starts); err != nil {
		return err
	}
	_ = l.o.Store.MarkUploaded(k) // else when more of it is sent
	return nil
}

// refuseAgain makes a fragment refused that pends and was refused before. Its segment may be one of which nothing is left to send.
func (l *List) refuseAgain(f queue.Fragment) error {
	code, pends := l.o.Store.RefusedBefore(f.Key, f.Stored.Start)
	if !pends {
		return nil
	}
	if err := l.o.Store.MarkRefused(f.Key, f.Stored, code); err != nil {
		return err
	}
	_ = l.o.Store.MarkUploaded(f.Key) // else when more of it is sent
	return nil
}
