// Package keepalive learns how the sessions of one camera are kept alive: which request the camera accepts as a
// keepalive, and how often it needs one. It learns from the results of the requests, and does not send them.
package keepalive

import (
	"slices"
	"time"
)

// Method is the RTSP method of a keepalive.
type Method string

// The methods. None is for a camera that hangs up on all of them: its stream alone has to keep the session.
const (
	None         Method = ""
	GetParameter Method = "GET_PARAMETER"
	Options      Method = "OPTIONS"
	SetParameter Method = "SET_PARAMETER"
)

const (
	// usualTimeout is the time-out of a session if the camera states none (RFC 2326, section 12.37).
	usualTimeout = 60 * time.Second
	// tries is the number of keepalives per time-out, so that another method is used in time after one without effect.
	tries = 4
	// longest is the longest time between keepalives, whatever the camera announces.
	longest = 30 * time.Second
	// soon is how long after a keepalive the end of a session is attributed to it.
	soon = 3 * time.Second
	// shortLife is the length of a session that cannot have ended because a keepalive was missing.
	shortLife = 4 * time.Second
	// never is a period without keepalives.
	never = 365 * 24 * time.Hour
)

// verdict is the effect of the last keepalive of a method.
type verdict uint8

const (
	untried verdict = iota
	works
	refused // answered with an error
	silent  // not answered
	useless // answered, and the session timed out all the same
	closes  // the camera hung up on it
)

// experience is what is known of one method.
type experience struct {
	verdict
	survived bool // the session continued after one
	strikes  int  // how many of them in a row ended the session
}

// Memory is what is known of a camera. Its sessions use it, one after the other; the zero value is empty.
type Memory struct {
	methods map[Method]*experience
	limit   time.Duration // the camera's actual time-out, whatever it announces; 0: unknown
	last    Method        // the newest keepalive

	// Of the session.
	timeout time.Duration // as announced; 0: not announced
	began   time.Time
	pending *sent
}

// sent is a keepalive whose outcome is unknown.
type sent struct {
	method            Method
	at                time.Time
	answered, refused bool
}

// Announced notes the time-out that the camera announces for its session; 0: it announces none.
func (m *Memory) Announced(timeout time.Duration) {
	if timeout > 0 {
		m.timeout = timeout
	}
}

// Begin is called when the camera starts to play. Announced may be called before it.
func (m *Memory) Begin(now time.Time) { m.began, m.pending = now, nil }

// Period returns the interval of keepalives.
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

// Next returns the method of a keepalive that is sent now. preferred is the one that the camera announces:
// GetParameter or Options. Where Period is never, it is preferred.
func (m *Memory) Next(preferred Method, now time.Time) Method {
	m.settle(now, false)
	method := m.choose(preferred)
	if method == None {
		method = preferred
	}
	m.last, m.pending = method, &sent{method: method, at: now}
	return method
}

// Answered notes the answer to the newest keepalive: whether the camera accepted it.
func (m *Memory) Answered(ok bool) {
	if m.pending != nil {
		m.pending.answered, m.pending.refused = true, !ok
	}
}

// End ends the session. byCamera: the camera hung up, or stopped sending; heard is roughly when its last video arrived.
func (m *Memory) End(byCamera bool, heard, now time.Time) {
	if m.began.IsZero() {
		return
	}
	if now.Sub(heard) > soon { // the session had ended before
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

// settle determines the result of the newest keepalive; blamed: it ended the session.
func (m *Memory) settle(now time.Time, ended bool) (blamed bool) {
	p := m.pending
	if p == nil {
		return false
	}
	m.pending = nil
	e := m.of(p.method)
	switch {
	case ended && now.Sub(p.at) < min(soon, m.Period()/2):
		// A camera that has accepted many of them may end a session at any moment, also then.
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

// choose returns the first method with no known fault. When there is none, those that do no harm are used in turn:
// many cameras are kept alive by a keepalive that they refuse.
func (m *Memory) choose(preferred Method) Method {
	order := []Method{GetParameter, Options, SetParameter}
	if preferred == Options {
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
