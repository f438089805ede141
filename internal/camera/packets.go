package camera

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/multiplex"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

// videoFeed takes the packets of the video in order and feeds the sink: an accessunit.Feed, or a multiplex.Feed.
type videoFeed interface {
	Push(p accessunit.Packet, now time.Time) error
	Progress() accessunit.Progress
	ChangeSSRC(sequence uint16) (restarts bool)
	Expect(sequence uint16, timestamp uint32)
	Flush()
	Contain(do func())
}

// receiver takes the packets of a session, over TCP or UDP, and feeds the sink with what is in them.
type receiver struct {
	to   accessunit.Sink
	now  func() time.Time
	fail func(error) // ends the session

	mu      sync.Mutex          // over UDP video and audio arrive on goroutines of their own
	feed    videoFeed           // nil before begin
	streams *multiplex.Feed     // the same, where the video comes in a transport stream
	order   *accessunit.Reorder // of the video over UDP
	payload ratelimit.Limit
	ssrc    uint32 // SSRC of the video
	former  uint32 // the one before, if it had numbers of its own
	changed time.Time
}

// begin begins a session whose access units have at most so many bytes.
func (r *receiver) begin(c accessunit.Codec, maxBytes int) {
	r.feed, r.order = accessunit.NewFeed(c, maxBytes, r.to), accessunit.NewReorder(r.push)
}

// beginMultiplex begins a session whose video comes in a transport stream.
func (r *receiver) beginMultiplex(o multiplex.Options) {
	r.streams = multiplex.New(o, r.to)
	r.feed, r.order = r.streams, accessunit.NewReorder(r.push)
}

// begun reports whether a session has begun.
func (r *receiver) begun() bool { return r.feed != nil }

// play says that the camera plays, and with which packet of the video it announced to begin, if it did.
func (r *receiver) play(sequence uint16, timestamp uint32, announced bool) {
	r.locked(func() {
		if announced {
			r.order.Announce(sequence, func() { r.feed.Expect(sequence, timestamp) })
		}
		r.order.Play()
	})
}

// progress gives up packets that are missing for long, and returns how far the video has come.
func (r *receiver) progress() (p accessunit.Progress) {
	r.locked(func() { r.order.Expire(r.now()) })
	r.locked(func() { p = r.feed.Progress() })
	return p
}

// end emits what is left when no more packets come.
func (r *receiver) end() {
	r.locked(r.order.Play) // should the camera not have answered
	r.feed.Contain(r.order.Flush)
	r.feed.Flush()
}

// busy reports whether a packet is being taken.
func (r *receiver) busy() bool {
	if !r.mu.TryLock() {
		return true
	}
	r.mu.Unlock()
	return false
}

// locked does something while nothing else comes in. The library calls from goroutines of its
// own, where a panic would end the process: it is contained.
func (r *receiver) locked(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.feed.Contain(do)
}

// takeTCP takes a packet of the video.
func (r *receiver) takeTCP(p *rtp.Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.push(packetOf(p), r.now())
}

// takeUDP takes a packet of the video, in whatever order they come.
func (r *receiver) takeUDP(p *rtp.Packet) {
	r.locked(func() { r.order.Push(packetOf(p), r.now()) })
}

// push takes the next packet of the video in order. The feed contains panics by itself, as it counts
// what they cost.
func (r *receiver) push(p accessunit.Packet, now time.Time) {
	if p.SSRC != r.ssrc {
		r.changeSSRC(p, now)
	}
	err := r.feed.Push(p, now)
	if err == nil && r.payload.Exceeds(int64(len(p.Payload)), now) {
		err = errFlood
	}
	if err != nil {
		r.fail(err)
	}
}

// ssrcLife is how long an encoder goes on with an SSRC at least.
const ssrcLife = time.Second

// changeSSRC goes on to another one. Two that alternate are an old session's and ours.
func (r *receiver) changeSSRC(p accessunit.Packet, now time.Time) {
	if r.feed.ChangeSSRC(p.Sequence) {
		if p.SSRC == r.former && now.Sub(r.changed) < ssrcLife {
			r.fail(errStale)
		}
		r.former, r.changed = r.ssrc, now
	}
	r.ssrc = p.SSRC
}

// takeReport takes the camera's time out of what comes over RTCP beside the video.
func (r *receiver) takeReport(p rtcp.Packet) {
	r.locked(func() {
		r.count(p.MarshalSize())
		report, ok := p.(*rtcp.SenderReport)
		if !ok || report.SSRC != r.ssrc {
			return
		}
		rtpTime := report.RTPTime
		if r.streams != nil {
			rtpTime, ok = r.streams.Time(rtpTime)
		}
		if ok {
			r.to.CameraTime(ntpTime(report.NTPTime), rtpTime)
		}
	})
}

// takeAudio takes a packet of an audio track.
func (r *receiver) takeAudio(a *audio, p *rtp.Packet) {
	r.locked(func() {
		r.count(len(p.Payload))
		a.decode(p, func(frame []byte, rtpTime uint32) { r.to.Audio(frame, rtpTime, r.now()) })
	})
}

// takeUnreadable takes note of a packet that the library cannot read or has no track for.
func (r *receiver) takeUnreadable(error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(unreadableSize)
}

// count counts payload that is not video; mu is held. Over TCP traffic counts all bytes besides, over UDP nobody does.
func (r *receiver) count(bytes int) {
	if r.payload.Exceeds(int64(bytes), r.now()) {
		r.fail(errFlood)
	}
}

func packetOf(p *rtp.Packet) accessunit.Packet {
	return accessunit.Packet{Sequence: p.SequenceNumber, Timestamp: p.Timestamp, Marker: p.Marker, Payload: p.Payload, SSRC: p.SSRC}
}
