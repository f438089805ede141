// Package pace owns how fast one stream is uploaded: a little below what the service allows it, and within
// the bandwidth that all streams of the hub share. It must not know what is sent.
package pace

import (
	"cmp"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// The pace, a little below what the service allows per stream: above that it reads more slowly or refuses.
//
// How the service counts is not documented. The strictest way is a window of one second that slides
// along with every arrival; a stream that meets it meets a fixed window and a bucket too. A bucket of
// burst b and rate r lets six fragments begin within (6-b)/r at the least, which must be more than a
// second. The excess is the margin for a network that brings fragments nearer together; (b-1)/r
// is the margin for waking too late. Both together are 5/r-1 seconds: at 4.9/s 10 ms each. A fragment
// that arrives even earlier is held back by the service for the difference, and nothing is lost.
const (
	FragmentsPerSecond = 0.98 * kvslimit.FragmentsPerSecond
	fragmentBurst      = 1.05
	bytesPerSecond     = 0.98 * kvslimit.BytesPerSecond
	mostInSecond       = 0.992 * kvslimit.BytesPerSecond
	sessionsPerSecond  = kvslimit.SessionsPerSecond - 1

	// A wait costs a wake-up of both ends, and caches are cold after it. So the bytes saved up and those
	// of one wait, together 2.2 MB, are sent in one burst: a fragment of a camera with 8 Mbit/s. The
	// limit mostInSecond applies to bursts too; see second.
	byteBurst    = 1e6
	shortestWait = 100 * time.Millisecond
)

// Options of a Pace. Tests go faster, or slower, than the service allows.
type Options struct {
	// Bandwidth is shared by all streams of the hub. nil = unlimited.
	Bandwidth *Bandwidth
	// Fragments and Sessions are rates per second. Default a little below those of the service.
	Fragments, Sessions float64
	// FragmentBurst is how many fragments may begin at once. Default 1.05.
	FragmentBurst float64
}

// Pace bounds how fast a stream sends. Safe for concurrent use.
type Pace struct {
	bandwidth *Bandwidth
	fragments *bucket
	bytes     *bucket
	second    *second // bounds the bursts of bytes
	sessions  *bucket // PutMedia
}

// New returns a Pace with nothing used.
func New(o Options) *Pace {
	return &Pace{
		bandwidth: o.Bandwidth,
		fragments: newBucket(cmp.Or(o.Fragments, FragmentsPerSecond), cmp.Or(o.FragmentBurst, fragmentBurst)),
		bytes:     newBucket(bytesPerSecond, byteBurst), second: newSecond(mostInSecond),
		sessions: newBucket(cmp.Or(o.Sessions, sessionsPerSecond), 1),
	}
}

// Session takes a session, and returns how long its opening must wait.
func (p *Pace) Session() time.Duration { return p.sessions.take(1) }

// UntilFragment returns how long the next fragment must wait; 0 when it may begin now.
func (p *Pace) UntilFragment() time.Duration {
	if wait := p.fragments.ready(); wait > 0 {
		return p.fragments.onBeat(wait)
	}
	return 0
}

// Fragment takes a fragment.
func (p *Pace) Fragment() { p.fragments.take(1) }

// Bytes takes that many bytes, and returns how long they must wait. Short waits are combined, see byteBurst.
func (p *Pace) Bytes(n int) time.Duration {
	wait := p.bytes.take(float64(n))
	if wait < shortestWait {
		wait = 0 // the bucket stays below zero, so that a later wait includes it
	}
	return p.second.take(float64(n), max(wait, p.bandwidth.take(n)))
}

// Chunk returns how many bytes are to be sent at once.
func (p *Pace) Chunk() int { return p.bandwidth.chunk() }
