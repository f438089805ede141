package camera

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

const (
	// rateInterval is over how long the rate of a camera is measured: keyframes and what was held up
	// come in bursts.
	rateInterval = 10 * time.Second
	// maxIntervalBytes is what may come within rateInterval, in bytes.
	maxIntervalBytes = kvslimit.BytesPerSecond * int64(rateInterval/time.Second)
)

// newRateLimit finds out when a camera sends more than can be recorded for KVS: so many bytes in an interval.
func newRateLimit(bytes int64) ratelimit.Limit {
	return ratelimit.Limit{Most: bytes, Interval: rateInterval}
}

// newMessageLimit counts the messages of a camera.
func newMessageLimit() ratelimit.Limit {
	return ratelimit.Limit{Most: maxMessages, Interval: rateInterval}
}

const (
	// maxOpening is what a camera may send before it is asked to play, in bytes: a few answers and a description. Source:
	// the RTSP library takes a body of 128 KiB.
	maxOpening = 1 << 20
	// maxUnasked is what may come between PLAY and its answer, in bytes: the first pictures of a hasty camera.
	maxUnasked = 2 * accessunit.MaxBytes
	// maxMessages is how many RTSP messages may come within rateInterval: keepalives, and what a camera asks of us.
	maxMessages = 1000
	// unreadableSize stands for the size of a packet that is not known, in bytes: that of a small one, as it is the packets that take
	// time.
	unreadableSize = 1000
	// overhead is what the packets of a whole rateInterval need beside their payload, in parts of it.
	overhead = 8
)

// newTraffic bounds what comes over the connections of a session of which so much payload may come within rateInterval.
func newTraffic(payload int64) traffic {
	return traffic{playing: newRateLimit(payload + payload/overhead + maxUnasked)}
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
	playing ratelimit.Limit
}

// add counts bytes; an error ends the session.
func (t *traffic) add(n int, at stage, now time.Time) error {
	if at == played {
		if t.playing.Exceeds(int64(n), now) {
			return errFlood
		}
		return nil
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
