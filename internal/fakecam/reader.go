package fakecam

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtp"
)

const (
	// queueSize is in packets: 45 s at 4 Mbit/s, longer than a reader may be late before its
	// connection counts as dead.
	queueSize = 1 << 14
	// queueReserve is kept free for RTCP.
	queueReserve = 64
)

// reader is one session of the server. It has a stream of its own, so that it gets its own frames.
type reader struct {
	session      *gortsplib.ServerSession
	stream       *gortsplib.ServerStream
	media        *description.Media
	audio        *description.Media // nil: none
	packet       rtp.Packet
	audioPacket  rtp.Packet
	reports      reporter
	audioReports reporter
	emitted      uint64 // packets of video that were queued, including those of the hook
	wire         func(Packet) []Packet
	wiring       *sync.Mutex // held while wire is called and its packets are sent
	clock        func() time.Time
	limit        int // packets that may be queued

	player *player
	record *session      // nil before PLAY
	stop   chan struct{} // closed to stop the player
	played chan struct{} // closed when the player has stopped, nil when it never started
	ended  chan struct{} // closed when everything has ended
}

func newReader(c *Camera, session *gortsplib.ServerSession, stream *gortsplib.ServerStream) *reader {
	r := &reader{
		session: session,
		stream:  stream,
		media:   stream.Desc.Medias[0],
		wire:    c.options.Wire,
		wiring:  &c.wiring,
		clock:   c.options.Clock,
		limit:   queueSize - queueReserve,
		stop:    make(chan struct{}),
		ended:   make(chan struct{}),
	}
	if r.clock == nil {
		r.clock = time.Now
	}
	if c.options.MoreTracks {
		r.media = stream.Desc.Medias[2]
	}
	if c.options.Audio != "" && !c.options.MPEGTS {
		r.audio = stream.Desc.Medias[len(stream.Desc.Medias)-1]
	}
	r.packet.Version = 2
	r.packet.PayloadType = r.media.Formats[0].PayloadType()
	return r
}

// play starts the player, and the audio; r.played is closed when both have stopped.
func (r *reader) play(c *Camera) {
	r.played = make(chan struct{})
	go func() {
		defer close(r.played)
		var both sync.WaitGroup
		switch m, ok := r.player.sink.(*multiplexer); {
		case ok && m.audio != nil:
			both.Go(func() { sounds[c.options.Audio].run(&c.controls, m.hear, r.stop) })
		case r.audio != nil:
			both.Go(func() { sounds[c.options.Audio].run(&c.controls, r.writeAudio, r.stop) })
		}
		if life := c.options.Lifetime; life > 0 {
			end := time.AfterFunc(life, r.session.Close)
			defer end.Stop()
		}
		r.player.run(r.stop)
		both.Wait()
	}()
}

// begins adds the first packet of the video to an RTP-Info header: the library has not sent one yet.
func (r *reader) begins(info string) base.HeaderValue {
	tracks := strings.Split(info, ",")
	control := fmt.Sprintf("/trackID=%d", slices.Index(r.stream.Desc.Medias, r.media))
	for i, track := range tracks {
		if strings.HasSuffix(track, control) {
			tracks[i] += fmt.Sprintf(";seq=%d;rtptime=%d", r.packet.SequenceNumber, r.player.timestamp(0))
		}
	}
	return base.HeaderValue{strings.Join(tracks, ",")}
}

// written is how many of the video's RTP packets are in the socket.
func (r *reader) written() uint64 {
	medias := r.session.Stats().Medias
	sent := uint64(0)
	for _, f := range medias[r.media].Formats {
		sent += f.RTPPacketsSent
	}
	return sent
}

func (r *reader) room(n int) bool { return r.record.fits(n, r.limit) }
func (r *reader) flush()          { r.record.frame(r.emitted) }
func (r *reader) skip()           { r.record.skip() }

func (r *reader) write(payload []byte, timestamp uint32, marker bool) {
	p := Packet{r.packet.SequenceNumber, timestamp, marker, payload, r.player.counter}
	r.packet.SequenceNumber++
	if r.wire == nil {
		r.emit(p)
		return
	}
	r.wiring.Lock()
	defer r.wiring.Unlock()
	for _, p := range r.wire(p) {
		r.emit(p)
	}
}

func (r *reader) emit(p Packet) {
	packet := r.packet
	packet.SequenceNumber, packet.Timestamp, packet.Marker, packet.Payload = p.Sequence, p.Timestamp, p.Marker, p.Payload
	r.emitted++
	r.send(r.media, &packet, &r.reports)
}

// send sends a packet, and a report when one is due. It fails only for closed streams, and
// then the player is being stopped.
func (r *reader) send(m *description.Media, p *rtp.Packet, reports *reporter) {
	_ = r.stream.WritePacketRTP(m, p) // fills in the SSRC
	if report := reports.sent(p, r.clock()); report != nil {
		_ = r.stream.WritePacketRTCP(m, report)
	}
}

// writeAudio sends one packet of audio. It is called from one goroutine.
func (r *reader) writeAudio(payload []byte, timestamp uint32) {
	r.audioPacket.Version = 2
	r.audioPacket.PayloadType = r.audio.Formats[0].PayloadType()
	r.audioPacket.Timestamp, r.audioPacket.Payload = timestamp, payload
	r.send(r.audio, &r.audioPacket, &r.audioReports)
	r.audioPacket.SequenceNumber++
}
