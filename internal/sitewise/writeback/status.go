package writeback

import "time"

// Status says how far the writing is.
type Status struct {
	Waiting int       // values that are to be sent
	Since   time.Time // when the oldest of these was to be sent first; zero without any
	Refused int       // values that SiteWise has refused, and which are sent again later
	Frozen  int       // rows that are not as they should be, and too old to be changed
	Written time.Time // when SiteWise accepted a value last; zero for never in this run
}

// Status returns it as of the last pass.
func (w *Writer) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

func (w *Writer) setStatus(change func(*Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.status)
}

// setWaiting notes what is still to be sent.
func (w *Writer) setWaiting(queue []want) {
	var since time.Time
	for _, q := range queue {
		if since.IsZero() || q.since.Before(since) {
			since = q.since
		}
	}
	w.setStatus(func(s *Status) { s.Waiting, s.Since = len(queue), since })
}

// setRefused counts the values that wait after a refusal.
func (w *Writer) setRefused(oldest int64) {
	now, n := w.o.Now(), 0
	for _, s := range w.all {
		if now.Before(s.hold) {
			n += len(s.waiting(oldest))
		}
	}
	w.setStatus(func(s *Status) { s.Refused = n })
}
