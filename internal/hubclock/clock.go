// Package hubclock owns what is known of the hub's wall clock: whether it was ever set, whether it can
// be trusted and by whose word, and whether it was stepped. Everybody who asks gets one answer from here.
// It must not know what the answer is used for.
package hubclock

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// agreement is how far the clock may differ from a service's and still agree with it.
	agreement = 5 * time.Second
	// agreementLife is how long an agreement counts, by the monotonic clock.
	agreementLife = time.Hour
	// slowAnswer is from when on a round trip says too little of when the service read its clock to agree.
	slowAnswer = 5 * time.Second
	// dateUnit is the resolution of the header Date, which is truncated (RFC 9110, section 5.6.7).
	dateUnit = time.Second
)

// Kernel reports whether the kernel says that its clock is synchronised. Source: adjtimex(2).
func Kernel() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// Trust is by whose word the clock is trusted.
type Trust uint8

// The values of Trust.
const (
	Untrusted Trust = iota
	ByKernel        // it says that the clock is synchronised
	ByService       // a service's clock agreed within the last hour
)

// String returns a word for people.
func (t Trust) String() string {
	switch t {
	case ByKernel:
		return "synchronised"
	case ByService:
		return "agrees with AWS"
	}
	return "not synchronised"
}

// Options of a Clock.
type Options struct {
	// Now is the wall clock, with its monotonic reading. Default time.Now.
	Now func() time.Time
	// Synchronised asks the kernel. Default Kernel.
	Synchronised func() bool
}

// Clock is the hub's clock. Safe for concurrent use.
type Clock struct {
	now    func() time.Time
	kernel func() bool

	mu    sync.Mutex
	heard time.Time // the hub's time, with its monotonic reading, of the last agreement; zero: there is none. Guarded by mu
	ahead time.Duration
	off   disagreement // of the last answer; zero: it agreed. Guarded by mu
}

// disagreement is by how much a clock is off.
type disagreement struct {
	heard    time.Time     // by the hub's clock, with its monotonic reading
	ahead    time.Duration // of the service's clock
	verified bool          // the answer came over verified TLS
}

// New returns a Clock that knows the time of no service yet.
func New(o Options) *Clock {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Synchronised == nil {
		o.Synchronised = Kernel
	}
	return &Clock{now: o.Now, kernel: o.Synchronised}
}

// Now is what the clock shows, with its monotonic reading.
func (c *Clock) Now() time.Time { return c.now() }

// Heard takes the Date of an answer that came over verified TLS, and when its request was sent and the
// answer received, by the hub's clock. A clock that agrees is trusted for an hour; one that does not
// loses the trust of the services.
func (c *Clock) Heard(date, sent, received time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch ahead, agrees := c.compare(date, sent, received, true); {
	case !agrees:
		c.heard = time.Time{}
	case received.Sub(sent) <= slowAnswer:
		c.heard, c.ahead = received, ahead
	}
}

// HeardInTheClear takes the Date of an answer over plain HTTP. It shows which time the service uses, so that requests
// to it can be dated, but changes nothing about whether the hub's clock is trusted.
func (c *Clock) HeardInTheClear(date, sent, received time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compare(date, sent, received, false)
}

// compare notes how far the clock is ahead of a service's, and whether the two agree. mu is held.
func (c *Clock) compare(date, sent, received time.Time, verified bool) (ahead time.Duration, agree bool) {
	took := received.Sub(sent) // by the monotonic clock
	// The service read its clock between the two.
	least := date.Sub(received.Round(0))
	most := date.Add(dateUnit).Sub(received.Round(0).Add(-took))
	ahead = -(least + most) / 2
	if least > agreement || most < -agreement {
		c.off = disagreement{received, ahead, verified}
		return ahead, false
	}
	if took <= slowAnswer {
		c.off = disagreement{}
	}
	return ahead, true
}

// Ahead is how far the clock is ahead of the services', or behind when it is negative, by the last answer and what
// the clock was set by since. 0 says that they agree within 5 s, or that nobody was asked yet.
func (c *Clock) Ahead() time.Duration { return c.aheadAt(c.now()) }

func (c *Clock) aheadAt(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off.heard.IsZero() {
		return 0
	}
	if ahead := c.off.ahead + Step(c.off.heard, now); ahead.Abs() > agreement {
		return ahead
	}
	return 0
}

// Time returns the time as it is best known: by the services, where an answer over verified TLS disagreed with the hub's clock
// within the last hour, else by that clock. known is false where it is only what a clock shows that cannot be trusted.
func (c *Clock) Time() (now time.Time, known bool) {
	now = c.now()
	c.mu.Lock()
	off := c.off
	c.mu.Unlock()
	if age := now.Sub(off.heard); off.verified && age >= 0 && age <= agreementLife {
		return now.Round(0).Add(-off.ahead - Step(off.heard, now)), true
	}
	return now, c.Trusted()
}

// Trust reports by whose word the clock is trusted now.
func (c *Clock) Trust() Trust {
	if c.kernel() {
		return ByKernel
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard.IsZero() {
		return Untrusted
	}
	now := c.now()
	age := now.Sub(c.heard)
	// What was agreed on was the clock before any step since.
	ahead := c.ahead + Step(c.heard, now)
	if age < 0 || age > agreementLife || ahead.Abs() > agreement {
		return Untrusted
	}
	return ByService
}

// Trusted reports whether the clock can be trusted.
func (c *Clock) Trusted() bool { return c.Trust() != Untrusted }
