package reception

import "time"

// Silence detects that a session has brought nothing for too long. A late check shows that the process did
// not run, and proves nothing: what the camera sent meanwhile may still be in the socket.
type Silence struct {
	limit, every time.Duration // how long it may last, and how often it is checked
	heard        time.Time     // when something last arrived, roughly
	checked      time.Time
	wasLate      bool // the last check
}

// NewSilence begins with something that has just arrived.
func NewSilence(limit, every time.Duration, now time.Time) Silence {
	return Silence{limit: limit, every: every, heard: now, checked: now}
}

// Late is called at each check, and reports whether it comes too late to judge by. After a late one, at least
// about two more checks must find nothing before the silence is too long. Two late ones in a row: the hub is always late.
func (s *Silence) Late(now time.Time) bool {
	late := now.Sub(s.checked) > 2*s.every && !s.wasLate
	s.checked, s.wasLate = now, late
	if earliest := now.Add(2*s.every - s.limit); late && s.heard.Before(earliest) {
		s.heard = earliest
	}
	return late
}

// Broken notes that something arrived.
func (s *Silence) Broken(now time.Time) { s.heard = now }

// Heard is when something last arrived, roughly.
func (s *Silence) Heard() time.Time { return s.heard }

// TooLong reports whether it has lasted as long as it may.
func (s *Silence) TooLong(now time.Time) bool { return now.Sub(s.heard) >= s.limit }
