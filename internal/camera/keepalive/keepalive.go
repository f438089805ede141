// Package keepalive has what is known of how the sessions of one camera are kept alive: which request the camera takes for
// that, and how often it wants one. It learns from what becomes of the requests, and knows nothing of how they travel.
package keepalive

import (
	"slices"
	"time"
)

// Method is the RTSP method of a keepalive.
type Method string

// The methods. None is for a camera that hangs up on all of them: what it sends has to keep the session.
const (
	None         Method = ""
	GetParameter Method = "GET_PARAMETER"
	Options      Method = "OPTIONS"
	SetParameter Method = "SET_PARAMETER"
)

const (
	// usualTimeout is that of a session whose camera does not say (RFC 2326, section 12.37).
	usualTimeout = 60 * time.Second
	// tries is how many keepalives go into a time-out, so that another method comes in time after one that did nothing.
	tries = 4
	// longest is how long there is no keepalive at most, whatever the camera announces.
	longest = 30 * time.Second
	// soon is how long after a keepalive the end of the session is blamed on it.
	soon = 3 * time.Second
	// shortLife is that of a session that did not end for want of a keepalive.
	shortLife = 4 * time.Second
	// never is a period in which there is no keepalive.
	never = 365 * 24 * time.Hour
)

// verdict is what the last keepalive of a method did.
type verdict uint8

const (
	untried verdict = iota
	works
	refused // answered with an error
	silent  // not answered
	useless // answered, and the session ended for want of one
	closes  // the camera hung up on it
)

// experience is what is known of one method.
type experience struct {
	verdict
	survived bool // the session went on after one
	strikes  int  // so many of them in a row ended the session
}

// Memory is what is known of a camera. Its sessions use it, one after the other; the zero value knows nothing.
type Memory struct {
	methods map[Method]*experience
	limit   time.Duration // the camera ends sessions that have no keepalive for this long, whatever it says; 0: not known
	last    Method        // the newest keepalive

	// Of the session.
	timeout time.Duration // as announced; 0: it was not
	began   time.Time
	pending *sent
}

// sent is a keepalive whose outcome is not known.
type sent struct {
	method            Method
	at                time.Time
	answered, refused bool
}

// Announced notes the time-out that the camera announces for its session; 0 says that it announces none.
func (m *Memory) Announced(timeout time.Duration) {
	if timeout > 0 {
		m.timeout = timeout
	}
}

// Begin begins a session in which the camera plays from now on. Announced may come before it.
func (m *Memory) Begin(now time.Time) { m.began, m.pending = now, nil }

// Period is how often a keepalive is to be sent.
func (m *Memory) Period() time.Duration {
	if m.choose(GetParameter) == None {
		return never
	}
	period := min(m.announced()/tries, longest)
	if m.limit > 0 {
		period = min(period, m.limit)
	}
	return period
}

func (m *Memory) announced() time.Duration {
	if m.timeout == 0 {
		return usualTimeout
	}
	return m.timeout
}

// Next returns the method of a keepalive that is sent now. usual is the one that the camera's announcement speaks for:
// GetParameter or Options. Where Period says that there shall be none, it is usual.
func (m *Memory) Next(usual Method, now time.Time) Method {
	m.settle(now, false)
	method := m.choose(usual)
	if method == None {
		method = usual
	}
	m.last, m.pending = method, &sent{method: method, at: now}
	return method
}

// Answered notes the answer to the newest keepalive: whether the camera took it.
func (m *Memory) Answered(ok bool) {
	if m.pending != nil {
		m.pending.answered, m.pending.refused = true, !ok
	}
}

// End ends the session. byCamera is whether the camera hung up, or did not send any more; heard is when its video came last, about.
func (m *Memory) End(byCamera bool, heard, now time.Time) {
	if m.began.IsZero() {
		return
	}
	if now.Sub(heard) > soon { // it had ended before
		now = heard
	}
	last, life := m.pending, now.Sub(m.began)
	if last != nil && last.at.After(now) {
		last, m.pending = nil, nil
	}
	timeout := m.announced()
	defer func() { m.began, m.pending, m.timeout = time.Time{}, nil, 0 }()
	if !byCamera {
		return
	}
	if m.settle(now, true) || life < shortLife {
		return
	}
	if last != nil && last.answered && !last.refused && life < timeout*13/10 {
		m.of(last.method).verdict = useless
	}
	if limit := life / tries; limit < m.Period() {
		m.limit = limit
	}
}

// settle finds out what became of the newest keepalive; blamed is whether it ended the session.
func (m *Memory) settle(now time.Time, ended bool) (blamed bool) {
	p := m.pending
	if p == nil {
		return false
	}
	m.pending = nil
	e := m.of(p.method)
	switch {
	case ended && now.Sub(p.at) < min(soon, m.Period()/2):
		// A camera that has taken many of them may end a session at any moment, also then.
		if e.strikes++; !e.survived || e.strikes > 1 {
			e.verdict = closes
		}
		return true
	case !p.answered:
		e.verdict = silent
	case p.refused:
		e.verdict = refused
	case e.verdict != useless:
		e.verdict = works
	}
	e.survived, e.strikes = true, 0
	return false
}

func (m *Memory) of(method Method) *experience {
	if m.methods == nil {
		m.methods = make(map[Method]*experience)
	}
	if m.methods[method] == nil {
		m.methods[method] = new(experience)
	}
	return m.methods[method]
}

// choose returns the first method of which nothing bad is known. When there is none, those that do no harm come in turns:
// many cameras go by a keepalive that they refuse.
func (m *Memory) choose(usual Method) Method {
	order := []Method{GetParameter, Options, SetParameter}
	if usual == Options {
		order = []Method{Options, GetParameter, SetParameter}
	}
	order = slices.DeleteFunc(order, func(method Method) bool { return m.of(method).verdict == closes })
	for _, method := range order {
		if v := m.of(method).verdict; v == untried || v == works {
			return method
		}
	}
	if len(order) == 0 {
		return None
	}
	return order[(slices.Index(order, m.last)+1)%len(order)]
}
