package camera

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/conn"
)

// tapPause is how often the RTSP library receives a packet of each flow, so that its
// view of the session stays nearly right. It ends no session for the missing ones: see newClient.
const tapPause = time.Second

// tap extracts RTP packets from what a camera sends over its RTSP connection, before the RTSP library
// sees them: the library allocates four times for each. It takes only those that look like one that
// arrived through the library. Other channels and packets of other sources are left to the library, and so are messages, in a form
// that it can read. RTCP is not, unless it has to be decrypted: the library's parser can be made to allocate without a limit. Only the
// goroutine that reads the connection uses it.
type tap struct {
	repair  func(message []byte) []byte // converts one to a form that the library can read; nil: it is ignored
	dropped func() error                // is called for each message that is ignored; its error ends the reading
	foreign func(error)                 // is called when the peer does not speak RTSP
	flows   []*flow
	plain   atomic.Bool // RTP is not encrypted
	reports sync.Map    // by channel, a func([]byte) that takes packets of RTCP; they are valid until it returns
	now     func() time.Time

	opened   bool          // something has arrived over this connection
	spoke    bool          // a message of RTSP has arrived
	message  []byte        // repaired; the library reads it before anything else
	patience time.Duration // how long to wait for the rest of the first element
	settled  bool          // that time is over
	failed   error         // the error of dropped
}

// flow is the packets of one source on a channel.
type flow struct {
	channel     int
	ssrc        uint32
	payloadType uint8
	give        taker
	all         bool      // also packets of other sources and payload types
	due         time.Time // when the library receives the next one
	packet      rtp.Packet
	picture     uint32    // the timestamp of the packets that now is the time of
	ended       bool      // it has no more packets, or they were not read with the others
	now         time.Time // when the packets came
}

// follow passes packets like one that the library received on a channel to give from now on. They
// are valid until it returns.
func (t *tap) follow(channel int, like *rtp.Packet, give taker) {
	f := t.flow(channel)
	if f == nil {
		f = &flow{channel: channel, give: give}
		t.flows = append(t.flows, f)
	}
	f.ssrc, f.payloadType, f.due = like.SSRC, like.PayloadType, t.now().Add(tapPause)
}

// follower is follow or followAll.
type follower func(channel int, like *rtp.Packet, give taker)

// followAll is follow for all packets on the channel, whatever their sources and payload types.
func (t *tap) followAll(channel int, like *rtp.Packet, give taker) {
	t.follow(channel, like, give)
	t.flow(channel).all = true
}

func (t *tap) flow(channel int) *flow {
	for _, f := range t.flows {
		if f.channel == channel {
			return f
		}
	}
	return nil
}

// on returns what takes the packets on a channel.
func (t *tap) on(channel int) (f *flow, reports func([]byte)) {
	if f = t.flow(channel); f == nil {
		if take, ok := t.reports.Load(channel); ok {
			reports = take.(func([]byte))
		}
	}
	return f, reports
}

// Drain takes packets off the front of a stream. Of the bytes left, the first forLibrary are for the
// library, maybe more than have arrived; 0 means that more must arrive to decide, or that there is a message.
func (t *tap) Drain(stream []byte) (left []byte, forLibrary int) {
	if !t.opened {
		if !t.open(stream) {
			return stream, 0
		}
	}
	for _, f := range t.flows {
		f.ended = true
	}
	for t.failed == nil {
		kind, size, patience := answer.First(stream, t.settled)
		t.patience = patience
		switch {
		case kind == answer.Unknown:
			return stream, 0
		case kind == answer.Malformed:
		case kind == answer.Message && len(stream) < size:
			return stream, 0
		case kind == answer.Message:
			t.settled = false
			if t.take(stream[:size]) {
				return stream[size:], 0
			}
		default:
			f, reports := t.on(int(stream[1]))
			if f == nil && reports == nil && !t.plain.Load() || size > conn.BufferSize {
				return stream, size
			}
			if len(stream) < size {
				return stream, 0
			}
			if reports != nil {
				reports(stream[answer.FrameHeader:size])
				break
			}
			if cut := cutExtension(stream[answer.FrameHeader:size]); cut > 0 {
				copy(stream[cut:], stream[:answer.FrameHeader])
				stream, size = stream[cut:], size-cut
				binary.BigEndian.PutUint16(stream[answer.FrameHeader-2:], uint16(size-answer.FrameHeader))
			}
			if f == nil || !f.take(stream[answer.FrameHeader:size], t.now) {
				return stream, size
			}
		}
		stream = stream[size:]
	}
	return stream, 0
}

// cutExtension removes the header extension of an RTP packet, and returns by how many bytes it starts later. Extensions
// are not needed, and readers are strict about their contents.
func cutExtension(packet []byte) (cut int) {
	const (
		header    = 12
		extension = 0x10
		sources   = 0x0F // their number
		word      = 4
	)
	if len(packet) < header || packet[0]>>6 != 2 || packet[0]&extension == 0 || packet[1] >= firstRTCP && packet[1] <= lastRTCP {
		return 0
	}
	at := header + word*int(packet[0]&sources)
	if len(packet) < at+word {
		return 0
	}
	cut = word + word*int(binary.BigEndian.Uint16(packet[at+2:]))
	if len(packet) < at+cut {
		return 0
	}
	packet[0] &^= extension
	copy(packet[cut:], packet[:at])
	return cut
}

// firstRTCP and lastRTCP bound the packet types of RTCP, where RTP has the marker and the payload type (RFC 5761, section 4).
const firstRTCP, lastRTCP = 192, 223

// open examines the first bytes of a connection, and reports whether they suffice to recognise the protocol.
func (t *tap) open(stream []byte) bool {
	const web, alert, handshake, version = "HTTP/", 0x15, 0x16, 3 // those of TLS: RFC 8446, section 5.1
	switch n := min(len(stream), len(web)); {
	case n == 0, n < len(web) && string(stream[:n]) == web[:n], n == 1 && (stream[0] == alert || stream[0] == handshake):
		return false
	case string(stream[:n]) == web:
		t.failed = errWeb
	case (stream[0] == alert || stream[0] == handshake) && stream[1] == version:
		t.failed = errTLS
	}
	if t.opened = true; t.failed != nil {
		t.foreign(t.failed)
	}
	return true
}

// take repairs a message, and reports whether there is one for the library.
func (t *tap) take(message []byte) bool {
	t.spoke = true
	if t.message = t.repair(message); t.message == nil {
		t.failed = t.dropped()
	}
	return t.message != nil
}

// Read returns bytes of the repaired message to the library.
func (t *tap) Read(p []byte) (n int, err error) {
	n = copy(p, t.message)
	t.message = t.message[n:]
	return n, t.failed
}

// Has reports whether there is a message, or an error.
func (t *tap) Has() bool { return len(t.message) > 0 || t.failed != nil }

// Wait returns how long to wait for more, 0 for no limit.
func (t *tap) Wait() time.Duration {
	if t.settled {
		return 0
	}
	return t.patience
}

// Settle notes that nothing arrived in that time.
func (t *tap) Settle() { t.settled = true }

// take passes a packet on, if it belongs to the flow and is not due for the library. The packets of a picture have one time of
// arrival, as asking for each would take longer than some of the work.
func (f *flow) take(packet []byte, clock func() time.Time) bool {
	if f.packet.Unmarshal(packet) != nil {
		return false
	}
	if f.ended || f.packet.Timestamp != f.picture {
		f.now, f.picture = clock(), f.packet.Timestamp
	}
	f.ended = f.packet.Marker
	now := f.now
	like := f.packet.SSRC == f.ssrc && f.packet.PayloadType == f.payloadType
	if like && !now.Before(f.due) || !like && !f.all {
		return false
	}
	f.give(&f.packet, now)
	return true
}
