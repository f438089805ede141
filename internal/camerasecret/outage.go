package camerasecret

import (
	"errors"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// How often secrets are read. Each reading costs money, and a fleet has thousands of cameras that are off.
const (
	rereadEvery  = time.Hour       // a URL that works
	rereadFailed = 5 * time.Minute // when the last reading failed
	// calm is how long a camera must have worked for its secret to be read at once at its next failure. It bounds the
	// cost of a camera that fails repeatedly.
	calm = 15 * time.Minute
	// maxCauses is how many different failures of one outage begin the pauses again.
	maxCauses = 8
)

// rereads are the pauses between readings while a URL leads to no video, after the one at once; the last one repeats.
var rereads = []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute}

// outage paces the readings of a secret whose URL leads to no video: the camera may have another address, path
// or password by now. It is pure: times are passed in.
type outage struct {
	failing bool
	served  time.Time       // when the camera last began to serve
	reads   int             // readings for this outage
	causes  map[string]bool // of this outage
}

// failed notes a session without video. A time that is not zero is when to read, if that is earlier than planned.
func (o *outage) failed(why string, asked, now time.Time) time.Time {
	if !o.failing {
		o.failing = true
		if now.Sub(o.served) >= calm || now.Before(o.served) {
			o.reads, o.causes = 0, map[string]bool{why: true}
			if sinceBetween(now, asked, rereads[0]) { // it was read for this session
				return o.read(asked)
			}
			return now
		}
		return asked.Add(o.pause())
	}
	if o.causes[why] || len(o.causes) >= maxCauses {
		return time.Time{}
	}
	if o.causes == nil {
		o.causes = make(map[string]bool)
	}
	o.causes[why] = true
	o.reads = min(o.reads, 1)
	return later(now, asked.Add(o.pause()))
}

// read notes a reading for the outage, and returns when the next one is due.
func (o *outage) read(now time.Time) time.Time {
	o.reads++
	return now.Add(o.pause())
}

func (o *outage) pause() time.Duration {
	return backoff.Jittered(rereads[min(max(o.reads, 1), len(rereads))-1], 0.2)
}

// serve notes a session with video. It reports whether that ends an outage.
func (o *outage) serve(now time.Time) (ended bool) {
	ended = o.failing
	if ended || o.served.IsZero() {
		o.served = now
	}
	o.failing = false
	return ended
}

// restart begins with the shortest pause: something has changed.
func (o *outage) restart() { o.reads, o.causes = 0, nil }

// afterFailure is the pause after so many failed readings in a row. One that Secrets Manager has answered costs
// money, and what is wrong with the secret is for a person to correct.
func afterFailure(failures int) time.Duration {
	return backoff.Jittered(min(rereads[min(failures, len(rereads))-1], rereadFailed), 0.2)
}

// answered reports whether Secrets Manager said that the secret cannot be used.
func answered(err error) bool {
	var f *health.Fault
	return errors.As(err, &f) && f.Class == health.UserError && (f.Code == codeCameraSecret || strings.HasPrefix(f.Code, "secret-"))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sinceBetween reports whether then lies less than d before now. A then in the future (the clock
// went back) does not.
func sinceBetween(now, then time.Time, d time.Duration) bool {
	age := now.Sub(then)
	return !then.IsZero() && age >= 0 && age < d
}
