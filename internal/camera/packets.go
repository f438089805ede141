package camera

import (
	"errors"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/sequence"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/multiplex"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/reception"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/traffic"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

// videoFeed accepts the packets of the video in order and feeds the sink: an accessunit.Feed, or a multiplex.Feed.
type videoFeed interface {
	Push(p accessunit.Packet, now time.Time) error
	Progress() accessunit.Progress
	ChangeSSRC(sequence uint16) (restarts bool)
	Expect(sequence uint16, timestamp uint32)
	Flush()
	Contain(do func())
	Undefined() error
}

// receiver handles the packets of a session, over TCP or UDP, and passes their contents to the sink.
type receiver struct {
	to   accessunit.Sink
	now  func() time.Time
	fail func(error) // ends the session

	mu        sync.Mutex          // over UDP video and audio arrive on goroutines of their own
	feed      videoFeed           // nil before begin
	streams   *multiplex.Feed     // the same feed, where the video is in a transport stream
	track     *sequence.Track     // the packets of the video in order of arrival
	dropped   int64               // packets of another source already reported
	udp       bool                // the video's packets have to be reordered
	order     *accessunit.Reorder // of the video over UDP
	arrived   *rtp.Packet         // for takeOne and takeSound
	at        time.Time           // when it arrived
	takeOne   func()              // created once, as each would be an allocation
	types     sdp.PayloadTypes    // of the video
	video     reception.Source
	audio     *sound              // nil: none is recorded
	sound     *accessunit.Reorder // of the audio over UDP
	heardOf   reception.Source    // its packets
	takeSound func()              // created once, too
	soundUDP  bool
	payload   ratelimit.Limit
}

// begin starts a session of these tracks, whose access units have at most maxBytes bytes.
func (r *receiver) begin(v video, a *sound, maxBytes int) {
	r.beginVideo(accessunit.NewFeed(v.codec, maxBytes, r.to), v)
	if r.audio = a; a != nil {
		r.sound, r.heardOf.Clock = accessunit.NewReorder(r.pushAudio), a.stream.Clock
		r.takeSound = func() { r.takeAudio(r.arrived, r.at) }
	}
}

// beginMultiplex starts a session whose video is in a transport stream.
func (r *receiver) beginMultiplex(v video, o multiplex.Options) {
	r.streams = multiplex.New(o, r.to)
	r.beginVideo(r.streams, v)
}

func (r *receiver) beginVideo(feed videoFeed, v video) {
	r.feed, r.order = feed, accessunit.NewReorder(r.push)
	r.track, r.types = sequence.NewTrack(r.pushNumbered, r.restart), v.types
	r.takeOne = func() { r.take(r.arrived, r.at) }
	r.video.Clock = v.clock
}

// playing reports whether a session has started.
func (r *receiver) playing() bool { return r.feed != nil }

// play is called when the camera plays, with the first packet of the video that it announced, if it did.
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

// progress stops waiting for packets that have been missing for long, and returns how much video has arrived.
func (r *receiver) progress() (p accessunit.Progress) {
	r.locked(func() { r.order.Expire(r.now()) })
	if r.sound != nil {
		r.locked(func() { r.sound.Expire(r.now()) })
	}
	r.locked(func() {
		p = r.feed.Progress()
		if n := r.track.Dropped(); n >= r.dropped+foreignReported {
			r.to.Foreign(n-r.dropped, "", false)
			r.dropped = n
		}
	})
	return p
}

// end emits what is left at the end of the session.
func (r *receiver) end() {
	r.locked(r.track.Flush)
	r.locked(r.order.Play) // if the camera did not answer
	r.feed.Contain(r.order.Flush)
	if r.sound != nil {
		r.locked(func() { r.sound.Play(); r.sound.Flush() })
		r.locked(func() { r.audio.end(r.to, r.now()) })
	}
	r.feed.Flush()
}

// busy reports whether a packet is being handled.
func (r *receiver) busy() bool {
	if !r.mu.TryLock() {
		return true
	}
	r.mu.Unlock()
	return false
}

// locked calls do while no packet is handled. The library calls from goroutines of its
// own, where a panic would end the process: it is contained.
func (r *receiver) locked(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.feed.Contain(do)
}

// foreignReported is how many packets of another source are reported at once: a few may be left over from an encoder's restart.
const foreignReported = 10

// takeTCP handles a packet on the channel of the video.
func (r *receiver) takeTCP(p *rtp.Packet, now time.Time) {
	r.arrive(p, now, &r.udp, false, r.takeOne)
}

// takeUDP handles a packet at the port of the video, in order of arrival.
func (r *receiver) takeUDP(p *rtp.Packet, now time.Time) {
	r.arrive(p, now, &r.udp, true, r.takeOne)
}

// arrive handles a packet with take; over stores the transport of its track.
func (r *receiver) arrive(p *rtp.Packet, now time.Time, over *bool, udp bool, take func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived, r.at, *over = p, now, udp
	r.feed.Contain(take)
}

// take handles a packet of the video, unless it has another payload type.
func (r *receiver) take(p *rtp.Packet, now time.Time) {
	ours, err := r.types.Take(p.PayloadType, now)
	switch {
	case err != nil:
		r.fail(err)
	case ours:
		r.video.Add(p.SSRC, p.SequenceNumber, p.Timestamp, now)
		r.track.Push(packetOf(p), now)
	default:
		r.video.Pass(p.SSRC, p.SequenceNumber)
		r.track.Pass(p.SSRC, p.SequenceNumber, now)
		r.count(len(p.Payload))
	}
}

// pushNumbered passes on the next packet of the video, numbered so that missing ones show.
func (r *receiver) pushNumbered(p accessunit.Packet, now time.Time) {
	if r.udp {
		r.order.Push(p, now)
	} else {
		r.push(p, now)
	}
}

// restart switches to a source with numbers of its own, whose first packet is next.
func (r *receiver) restart(number uint16) {
	if r.udp {
		r.order.Restart()
	}
	r.feed.ChangeSSRC(number)
}

// push passes on the next packet of the video in order. The feed contains panics by itself, as it counts
// the frames that they cost.
func (r *receiver) push(p accessunit.Packet, now time.Time) {
	err := r.feed.Push(p, now)
	if err == nil && r.payload.Exceeds(int64(len(p.Payload)), now) {
		err = traffic.ErrFlood
	}
	if err != nil {
		r.fail(err)
	}
}

// takeReports handles a compound packet of RTCP: take gets the sender reports in it.
func (r *receiver) takeReports(compound []byte, take func(reception.SenderReport)) {
	r.locked(func() {
		r.count(len(compound))
		if !reception.SenderReports(compound, take) {
			r.count(traffic.UnreadableSize)
		}
	})
}

// takeDecrypted handles a packet of RTCP that the library decrypted, and parsed: the parser allocates up to 4 MB for one packet, but
// only for a peer that has the key.
func (r *receiver) takeDecrypted(p rtcp.Packet, take func(reception.SenderReport)) {
	r.locked(func() {
		r.count(p.MarshalSize())
		if report, ok := p.(*rtcp.SenderReport); ok {
			take(reception.SenderReport{SSRC: report.SSRC, NTP: report.NTPTime, RTPTime: report.RTPTime})
		}
	})
}

// takeReport handles a sender report of the video: it has the camera's time.
func (r *receiver) takeReport(report reception.SenderReport) {
	r.video.SenderReport(report.SSRC, report.NTP, r.now())
	rtpTime, ok := report.RTPTime, true
	if r.streams != nil {
		rtpTime, ok = r.streams.Time(rtpTime)
	}
	if ok && report.SSRC == r.track.Source() {
		r.to.CameraTime(report.Time(), rtpTime)
	}
}

// takeAudioReport handles a sender report of the audio.
func (r *receiver) takeAudioReport(report reception.SenderReport) {
	r.heardOf.SenderReport(report.SSRC, report.NTP, r.now())
}

// takeAudioTCP handles a packet on the channel of the audio.
func (r *receiver) takeAudioTCP(p *rtp.Packet, now time.Time) {
	r.arrive(p, now, &r.soundUDP, false, r.takeSound)
}

// takeAudioUDP handles a packet at the port of the audio, in order of arrival.
func (r *receiver) takeAudioUDP(p *rtp.Packet, now time.Time) {
	r.arrive(p, now, &r.soundUDP, true, r.takeSound)
}

func (r *receiver) takeAudio(p *rtp.Packet, now time.Time) {
	r.heardOf.Add(p.SSRC, p.SequenceNumber, p.Timestamp, now)
	r.track.Elsewhere(p.SequenceNumber, now)
	if r.soundUDP {
		r.sound.Push(packetOf(p), now)
	} else {
		r.pushAudio(packetOf(p), now)
	}
}

// pushAudio passes on the next packet of the audio in order.
func (r *receiver) pushAudio(p accessunit.Packet, now time.Time) {
	r.count(len(p.Payload))
	r.audio.take(p, r.to, now)
}

// report makes the receiver report of the video, or else of the audio, under the agent's own SSRC.
func (r *receiver) report(ofVideo bool, ours uint32) (report rtcp.CompoundPacket, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := &r.heardOf
	if ofVideo {
		of = &r.video
	}
	return of.Report(ours, userAgent, r.now())
}

// takeForeign notes packets that are not from the source of a track.
func (r *receiver) takeForeign(packets int64, from string, stranger bool) {
	r.locked(func() { r.to.Foreign(packets, from, stranger) })
}

// heard reports whether a packet of the video arrived.
func (r *receiver) heard() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.video.Started()
}

// takeUnreadable notes a packet that the library cannot read or has no track for.
func (r *receiver) takeUnreadable(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(traffic.UnreadableSize)
	if unknown := new(liberrors.ErrClientRTPPacketUnknownPayloadType); errors.As(err, unknown) {
		_, _ = r.types.Take(unknown.PayloadType, r.now())
	}
}

// reason returns why no video arrives, for a session that ended for this: its packets did not belong to the video.
func (r *receiver) reason(end error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.types.Undeclared(r.now()); err != nil {
		return err
	}
	if err := r.feed.Undefined(); err != nil {
		return err
	}
	return end
}

// count counts payload that is not video; mu is held. Over TCP traffic counts all other bytes, over UDP they are not counted.
func (r *receiver) count(bytes int) {
	if r.payload.Exceeds(int64(bytes), r.now()) {
		r.fail(traffic.ErrFlood)
	}
}

func packetOf(p *rtp.Packet) accessunit.Packet {
	return accessunit.Packet{Sequence: p.SequenceNumber, Timestamp: p.Timestamp, Marker: p.Marker, Payload: p.Payload, SSRC: p.SSRC}
}
