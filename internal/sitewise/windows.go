package sitewise

import "time"

// window is what a camera does now. It records by its own schedule, or always while it is also live outside of that.
type window struct {
	always bool
	since  int64 // since when it is live, in ms since 1970; 0: it is not
}

// liveRequest is a live upload that somebody asked for.
type liveRequest struct{ from, until time.Time }

// Live makes a camera live until then, or for longer if it is asked for again. from is when that was asked for. It is safe for
// concurrent use.
func (s *Source) Live(asset string, from, until time.Time) {
	s.mu.Lock()
	if known, ok := s.live[asset]; ok {
		if known.from.Before(from) {
			from = known.from
		}
		if known.until.After(until) {
			until = known.until
		}
	}
	s.live[asset] = liveRequest{from, until}
	s.mu.Unlock()
	s.looking.Set()
}

// compare compares the windows and the live requests with the clock.
func (s *Source) compare() {
	now, zone := s.o.Clock()
	for id, c := range s.cameras {
		if c.good.ID == "" {
			continue
		}
		requested, from := s.requested(id, now)
		inWindow, _ := c.wanted.Live.Plan(0).At(now, zone)
		records, _ := c.wanted.Capture.Plan(0).At(now, zone)
		before := c.window
		c.window = before.next(now, from, requested, inWindow, records)
		s.unsaved = s.unsaved || before.since != c.window.since
	}
}

// requested reports whether a live request of an asset is open, and when it came.
func (s *Source) requested(id string, now time.Time) (open bool, from time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.live[id]
	if ok && !now.Before(r.until) {
		delete(s.live, id)
		ok = false
	}
	return ok, r.from
}

// next is the window after a comparison with the clock. Recording continues through all of it without a restart, but where a window of
// its own ends while the camera stays live.
func (w window) next(now, from time.Time, requested, inWindow, records bool) window {
	live := requested || inWindow
	switch {
	case !live:
		w.since = 0
	case w.since == 0:
		w.since = now.UnixMilli()
		if requested && from.Before(now) && !from.IsZero() {
			w.since = from.UnixMilli()
		}
	}
	switch {
	case live && !records:
		w.always = true
	case !live && !records:
		w.always = false
	}
	return w
}
