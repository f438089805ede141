package camera

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const (
	// rateWindow is over how long the rate of a camera is measured: keyframes and what was held up
	// come in bursts.
	rateWindow = 10 * time.Second
	// maxWindowBytes is what may come within rateWindow, in bytes.
	maxWindowBytes = kvslimit.BytesPerSecond * int64(rateWindow/time.Second)
)

// rateLimit finds out when a camera sends more than can be recorded for KVS.
type rateLimit struct {
	limit int64 // bytes in a window
	since time.Time
	bytes int64
}

func (r *rateLimit) add(n int, now time.Time) error {
	if now.Sub(r.since) >= rateWindow {
		r.since, r.bytes = now, 0
	}
	if r.bytes += int64(n); r.bytes > r.limit {
		return errFlood
	}
	return nil
}

const (
	// maxOpening is what a camera may send before it is asked to play, in bytes: a few answers and a description. Source:
	// the RTSP library takes a body of 128 KiB.
	maxOpening = 1 << 20
	// maxUnasked is what may come between PLAY and its answer, in bytes: the first pictures of a hasty camera.
	maxUnasked = 2 * accessunit.MaxBytes
	// maxMessages is how many RTSP messages may come within rateWindow: keepalives, and what a camera asks of us.
	maxMessages = 1000
	// unreadableSize stands for the size of a packet that is not known, in bytes: that of a small one, as it is the packets that take
	// time.
	unreadableSize = 1000
	// overhead is what the packets of a whole rateWindow need beside their payload, in parts of it.
	overhead = 8
)

// newTraffic bounds what comes over the connections of a session of which so much payload may come within rateWindow.
func newTraffic(payload int64) traffic {
	return traffic{playing: rateLimit{limit: payload + payload/overhead + maxUnasked}}
}

// stage is how far a session has come.
type stage uint8

const (
	describing stage = iota // PLAY was not sent
	asking                  // PLAY was not answered
	played
)

// traffic bounds what comes over the connections of a session, whatever it is: audio, RTCP, channels that nobody asked for,
// messages, noise. One goroutine at a time uses it, the one that reads.
type traffic struct {
	before  int64 // bytes that came before the camera plays
	playing rateLimit
}

// add counts bytes; an error ends the session.
func (t *traffic) add(n int, at stage, now time.Time) error {
	if at == played {
		return t.playing.add(n, now)
	}
	t.before += int64(n)
	switch {
	case at == describing && t.before > maxOpening:
		return errEarly
	case t.before > maxOpening+maxUnasked:
		return errEarly
	}
	return nil
}

// messageLimit counts the messages of a camera.
type messageLimit struct {
	since time.Time
	n     int
}

// add counts one; an error ends the session.
func (m *messageLimit) add(now time.Time) error {
	if now.Sub(m.since) >= rateWindow {
		m.since, m.n = now, 0
	}
	if m.n++; m.n > maxMessages {
		return errMessages
	}
	return nil
}
