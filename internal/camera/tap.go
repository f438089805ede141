package camera

import (
	"time"

	"github.com/pion/rtp"
)

// tapPause is how often the RTSP library gets a packet of each flow, so that what it
// knows of the session stays near the truth. It ends none for what it does not see: see newClient.
const tapPause = time.Second

// bufferSize is how much of a stream is read at once, in bytes.
const bufferSize = 64 << 10

// tap takes RTP packets out of what a camera sends over its RTSP connection, before the RTSP library
// sees them: the library allocates four times for each. It takes those only that look like one that
// came by way of the library. Messages, RTCP, other channels and packets of other sources stay the
// library's. The goroutine that reads the connection uses it, and nobody else.
type tap struct {
	readable func(message []byte) bool // what is not is noise, once packets come
	flows    []*flow
}

// flow is the packets of one source on a channel.
type flow struct {
	channel     int
	ssrc        uint32
	payloadType uint8
	give        func(*rtp.Packet)
	due         time.Time // when the library gets the next one
	packet      rtp.Packet
}

// follow has packets like one that the library gave out on a channel given to give from now on. They
// are its to read until it returns.
func (t *tap) follow(channel int, like *rtp.Packet, give func(*rtp.Packet)) {
	f := t.flow(channel)
	if f == nil {
		f = &flow{channel: channel, give: give}
		t.flows = append(t.flows, f)
	}
	f.ssrc, f.payloadType, f.due = like.SSRC, like.PayloadType, time.Now().Add(tapPause)
}

func (t *tap) flow(channel int) *flow {
	for _, f := range t.flows {
		if f.channel == channel {
			return f
		}
	}
	return nil
}

// drain takes what it can off the front of a stream. Of what is left, so many bytes are the
// library's, maybe more than have come; 0 means that more must come to tell. A nil tap takes nothing.
func (t *tap) drain(stream []byte) (left []byte, forLibrary int) {
	if t == nil {
		return stream, len(stream)
	}
	for {
		kind, size := firstElement(stream)
		switch {
		case kind == elementUnknown:
			return stream, 0
		case kind == elementMalformed:
		case size > bufferSize, kind == elementMessage && len(t.flows) == 0:
			return stream, size
		case kind == elementMessage:
			if len(stream) < size {
				return stream, 0
			}
			if t.readable(stream[:size]) {
				return stream, size
			}
		default:
			f := t.flow(int(stream[1]))
			if f == nil {
				return stream, size
			}
			if len(stream) < size {
				return stream, 0
			}
			if !f.take(stream[frameHeader:size]) {
				return stream, size
			}
		}
		stream = stream[size:]
	}
}

// take hands a packet on, if it is one of the flow and not the library's turn.
func (f *flow) take(packet []byte) bool {
	if !time.Now().Before(f.due) || f.packet.Unmarshal(packet) != nil ||
		f.packet.SSRC != f.ssrc || f.packet.PayloadType != f.payloadType {
		return false
	}
	f.give(&f.packet)
	return true
}
