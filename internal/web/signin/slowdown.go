package signin

import (
	"net/netip"
	"sync"
	"time"
)

// How wrong passwords are slowed: after freeTries of them the address waits, each time twice as long, and never longer than maxWait. They
// are forgotten after forgetAfter without a try. The table has maxAddresses: one more takes the place of the one whose last try is the
// longest ago.
const (
	freeTries    = 5
	firstWait    = time.Second
	maxWait      = time.Minute
	forgetAfter  = 15 * time.Minute
	maxAddresses = 1024
)

// networkBits is how much of an IPv6 address counts: who has one has all of its /64.
const networkBits = 64

// place is from where passwords of a role come: who knows that of one role is slowed for the other all the same.
type place struct {
	prefix netip.Prefix
	role   Role
}

// tries are the passwords of a place that were wrong, or are being checked.
type tries struct {
	count int
	last  time.Time
}

// wait is how long the next try has to wait after the last one.
func (t *tries) wait() time.Duration {
	if t.count < freeTries {
		return 0
	}
	return min(maxWait, firstWait<<min(t.count-freeTries, 10))
}

// slowdown slows places from which wrong passwords come.
type slowdown struct {
	mu   sync.Mutex
	list map[place]*tries
}

// of is what counts as one place.
func of(address netip.Addr, role Role) place {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = networkBits
	}
	prefix, _ := address.Prefix(bits) // it fails for the zero address alone, and all of these are one
	return place{prefix, role}
}

// begin counts a try, or returns how long it has to wait, and is not counted then.
func (s *slowdown) begin(from place, now time.Time) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.list[from]
	if one != nil && now.Sub(one.last) >= forgetAfter {
		one.count = 0
	}
	if one != nil {
		if left := one.wait() - now.Sub(one.last); left > 0 {
			return min(left, maxWait) // also where the clock went back
		}
	}
	if one == nil {
		s.makeRoom()
		one = new(tries)
		s.list[from] = one
	}
	one.count++ // now, so that tries at the same time count too
	one.last = now
	return 0
}

// makeRoom removes a place where there are too many.
func (s *slowdown) makeRoom() {
	if len(s.list) < maxAddresses {
		return
	}
	var oldest place
	var found *tries
	for prefix, one := range s.list {
		if found == nil || one.last.Before(found.last) {
			oldest, found = prefix, one
		}
	}
	delete(s.list, oldest)
}

// count is the number of wrong tries.
func (s *slowdown) count(from place) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.list[from]; one != nil {
		return one.count
	}
	return 0
}

// undo takes back a try that was not checked.
func (s *slowdown) undo(from place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.list[from]; one != nil && one.count > 0 {
		one.count--
	}
}

// forget takes back all of a place.
func (s *slowdown) forget(from place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, from)
}
