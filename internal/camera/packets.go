package camera

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/reception"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

// receiver takes the packets of a session, over TCP or UDP, and feeds the sink with what is in them.
type receiver struct {
	to   accessunit.Sink
	now  func() time.Time
	fail func(error) // ends the session

	mu      sync.Mutex          // over UDP video and audio arrive on goroutines of their own
	feed    *accessunit.Feed    // nil before begin
	order   *accessunit.Reorder // of the video over UDP
	arrived accessunit.Packet   // that sort puts in order
	arrival time.Time           // of it
	sort    func()              // made once, as each would be an allocation
	video   reception.Source
	audio   *audio              // nil: none is recorded
	sound   *accessunit.Reorder // of the audio over UDP
	heardOf reception.Source    // its packets
	payload ratelimit.Limit
	ssrc    uint32 // SSRC of the video
	former  uint32 // the one before, if it had numbers of its own
	changed time.Time
}

// begin begins a session of these tracks, whose access units have at most so many bytes.
func (r *receiver) begin(v video, a *audio, maxBytes int) {
	r.feed, r.order = accessunit.NewFeed(v.codec, maxBytes, r.to), accessunit.NewReorder(r.push)
	r.sort = func() {
		p := r.arrived
		r.video.Add(p.SSRC, p.Sequence, p.Timestamp, r.arrival)
		r.order.Push(p, r.arrival)
	}
	r.video.Clock = v.clock
	if r.audio = a; a != nil {
		r.sound, r.heardOf.Clock = accessunit.NewReorder(r.pushAudio), a.about.Rate
	}
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
		if r.sound != nil {
			r.sound.Play()
		}
	})
}

// progress gives up packets that are missing for long, and returns how far the video has come.
func (r *receiver) progress() (p accessunit.Progress) {
	r.locked(func() { r.order.Expire(r.now()) })
	if r.sound != nil {
		r.locked(func() { r.sound.Expire(r.now()) })
	}
	r.locked(func() { p = r.feed.Progress() })
	return p
}

// end emits what is left when no more packets come.
func (r *receiver) end() {
	r.locked(r.order.Play) // should the camera not have answered
	r.feed.Contain(r.order.Flush)
	if r.sound != nil {
		r.locked(func() { r.sound.Play(); r.sound.Flush() })
	}
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
	now := r.now()
	r.video.Add(p.SSRC, p.SequenceNumber, p.Timestamp, now)
	r.push(packetOf(p), now)
}

// takeUDP takes a packet of the video, in whatever order they come.
func (r *receiver) takeUDP(p *rtp.Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived, r.arrival = packetOf(p), r.now()
	r.feed.Contain(r.sort)
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
		if !ok {
			return
		}
		r.video.SenderReport(report.SSRC, report.NTPTime, r.now())
		if report.SSRC == r.ssrc {
			r.to.CameraTime(ntpTime(report.NTPTime), report.RTPTime)
		}
	})
}

// takeAudioReport takes what comes over RTCP beside the audio.
func (r *receiver) takeAudioReport(p rtcp.Packet) {
	r.locked(func() {
		r.count(p.MarshalSize())
		if report, ok := p.(*rtcp.SenderReport); ok {
			r.heardOf.SenderReport(report.SSRC, report.NTPTime, r.now())
		}
	})
}

// takeAudioTCP takes a packet of the audio.
func (r *receiver) takeAudioTCP(p *rtp.Packet) {
	r.locked(func() {
		now := r.now()
		r.heardOf.Add(p.SSRC, p.SequenceNumber, p.Timestamp, now)
		r.pushAudio(packetOf(p), now)
	})
}

// takeAudioUDP takes a packet of the audio, in whatever order they come.
func (r *receiver) takeAudioUDP(p *rtp.Packet) {
	r.locked(func() {
		now := r.now()
		r.heardOf.Add(p.SSRC, p.SequenceNumber, p.Timestamp, now)
		r.sound.Push(packetOf(p), now)
	})
}

// pushAudio takes the next packet of the audio in order.
func (r *receiver) pushAudio(p accessunit.Packet, now time.Time) {
	r.count(len(p.Payload))
	r.audio.decode(p, func(frame []byte, rtpTime uint32) { r.to.Audio(frame, rtpTime, now) })
}

// report makes the receiver report of the video, or else of the audio, under an SSRC of ours.
func (r *receiver) report(ofVideo bool, ours uint32) (report rtcp.CompoundPacket, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := &r.heardOf
	if ofVideo {
		of = &r.video
	}
	return of.Report(ours, reportName, r.now())
}

// takeForeign takes note of packets of others than the source of a track.
func (r *receiver) takeForeign(packets int64, from string, stranger bool) {
	r.locked(func() { r.to.Foreign(packets, from, stranger) })
}

// heard reports whether a packet of the video came.
func (r *receiver) heard() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.video.Started()
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
