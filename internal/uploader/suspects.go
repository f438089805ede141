package uploader

const (
	// poisonedAfter is how often a fragment may end its session, while others pass in between.
	poisonedAfter = 5
	// asideAfter failures in a row others are tried before it. Until then the order is kept.
	asideAfter = 3
	// maxAside bounds how many fragments are tried in search of one that passes.
	maxAside = 64
)

// suspects are fragments whose sessions ended without a verdict. One that does so again and again
// while others pass is poisoned. When none passes the network or the service is at fault, and no
// fragment is.
type suspects struct{ list map[fragmentID]*suspect }

type suspect struct {
	row    int  // failures since the fragment was first suspected
	counts int  // of these, with another fragment's success in between
	passed bool // another fragment passed since the last failure
	aside  bool // not to be tried until another fragment passed
}

func newSuspects() *suspects { return &suspects{list: make(map[fragmentID]*suspect)} }

// has tells whether a fragment must be sent alone, so that it alone is to blame.
func (s *suspects) has(id fragmentID) bool { return s.list[id] != nil }

// aside tells whether a fragment is set aside.
func (s *suspects) aside(id fragmentID) bool { return s.list[id] != nil && s.list[id].aside }

// suspect makes a fragment be sent alone.
func (s *suspects) suspect(id fragmentID) *suspect {
	x := s.list[id]
	if x == nil {
		x = &suspect{passed: true}
		s.list[id] = x
	}
	return x
}

// failed notes that a fragment's session ended. It reports whether the fragment is poisoned.
func (s *suspects) failed(id fragmentID) (poisoned bool) {
	searching := 0
	for _, other := range s.list {
		if other.aside {
			searching++
		}
	}
	x := s.suspect(id)
	x.row++
	if x.passed {
		x.counts++
		x.passed = false
	}
	if x.counts >= poisonedAfter {
		delete(s.list, id)
		return true
	}
	switch {
	case searching >= maxAside:
		clear(s.list) // nothing passes: no fragment is to blame
	case searching > 0 || x.row >= asideAfter:
		x.aside = true
	}
	return false
}

// pass notes that a fragment got through. It reports whether others are to be tried again now.
func (s *suspects) pass(id fragmentID) (again bool) {
	delete(s.list, id)
	for _, x := range s.list {
		x.passed = true
		again = again || x.aside
		x.aside = false
	}
	return again
}

// waiting tells whether fragments are set aside.
func (s *suspects) waiting() bool {
	for _, x := range s.list {
		if x.aside {
			return true
		}
	}
	return false
}

// release takes all back that are set aside: there is nothing else left to try.
func (s *suspects) release() {
	for _, x := range s.list {
		x.aside = false
	}
}

// forget takes note that no fragment is pending: all that are suspected are done, deleted or unreadable.
func (s *suspects) forget() { clear(s.list) }
