package audio

import "errors"

// Packet is an RTP packet of audio.
type Packet struct {
	Sequence  uint16
	Timestamp uint32
	Marker    bool
	Payload   []byte
	SSRC      uint32
}

// Frame is a frame that a decoder accepts.
type Frame struct {
	Data    []byte
	RTPTime uint32
}

// Reader reads the frames of a track's packets, in the order of their sequence numbers. One goroutine uses it at a time.
type Reader struct {
	decoder  decoder
	clock    int
	format   Format
	reported bool   // the format was reported
	out      output // the frames of the last packet
	order    packetOrder
}

// decoder reads the packets of an encoding.
type decoder interface {
	// read appends the frames of a packet to out. It copies what it keeps of a packet. An error means that nothing, or only
	// a part, could be read.
	read(p Packet, out *output) error
	// broken notes that packets are missing before the next one.
	broken()
	// flush appends the frames that were held, at the end of the stream.
	flush(out *output)
}

// output collects the frames that a decoder reads.
type output struct {
	frames []Frame
	format Format // changed by decoders that learn it
}

func (o *output) add(data []byte, rtpTime uint32) {
	if len(data) > 0 && len(data) <= maxFrame {
		o.frames = append(o.frames, Frame{Data: data, RTPTime: rtpTime})
	}
}

// maxFrame bounds a frame, in bytes, and with it the held parts of a split one: AC-3 has at most 4 kB, AAC of 48
// channels 37 kB, and samples are as long as a packet.
const maxFrame = 64 << 10

// errUnreadable is the only error of a packet.
var errUnreadable = errors.New("an RTP packet of audio cannot be read")

// NewReader returns a Reader of the stream.
func (s Stream) NewReader() *Reader {
	return &Reader{decoder: s.decoder(s), clock: s.Clock, format: s.Format}
}

// Read returns the frames that a packet completes, which are valid until the next call, and how many
// packets were lost: missing before it, or unreadable.
func (r *Reader) Read(p Packet) (frames []Frame, lost int) {
	lost, fresh := r.order.next(p)
	if !fresh {
		return nil, 0
	}
	if lost > 0 {
		r.decoder.broken()
	}
	r.begin()
	if err := r.decoder.read(p, &r.out); err != nil {
		lost++
	}
	r.learn()
	if frames = r.out.frames; len(frames) > 0 && r.format.Rate > 0 {
		samples := 0
		for _, f := range frames {
			samples += r.format.Samples(f.Data)
		}
		r.order.lasts = int64(samples) * int64(r.clock) / int64(r.format.Rate)
	}
	return frames, lost
}

// Flush returns the frames that were held, at the end of the stream.
func (r *Reader) Flush() []Frame {
	r.begin()
	r.decoder.flush(&r.out)
	r.learn()
	return r.out.frames
}

// begin empties the output, which is reused: a new one for each packet would be an allocation.
func (r *Reader) begin() { r.out.frames, r.out.format = r.out.frames[:0], r.format }

// learn adopts the format that a decoder learned.
func (r *Reader) learn() {
	if f := r.out.format; !f.equal(r.format) && !f.Track(1).Equal(r.format.Track(1)) {
		r.format, r.reported = f, false
	}
}

// Format returns the format of the frames that were read last; fresh: it differs from that of earlier frames.
// While it is unknown, its Codec is Unknown.
func (r *Reader) Format() (f Format, fresh bool) {
	fresh = !r.reported && r.format.Codec != Unknown
	r.reported = r.reported || fresh
	return r.format, fresh
}

// packetOrder detects missing packets.
type packetOrder struct {
	started bool
	last    Packet
	lasts   int64 // duration of the last packet with frames, in ticks; 0: unknown
}

const (
	// maxLate is how far a sequence number may go back and still be a duplicate or late packet.
	maxLate = 64
	// maxMissing is how far it may run ahead and be a loss; farther, the camera restarted its numbers: some 20 s.
	maxMissing = 1000
)

// next returns how many packets are missing before one; fresh is false for a duplicate or late one.
func (o *packetOrder) next(p Packet) (missing int, fresh bool) {
	ahead, step := int(int16(p.Sequence-o.last.Sequence)), int64(int32(p.Timestamp-o.last.Timestamp))
	same := o.started && p.SSRC == o.last.SSRC
	switch {
	case !same || ahead > maxMissing || ahead < -maxLate: // it restarted its numbers
	case ahead == 0 && step == 0 && len(p.Payload) == len(o.last.Payload), ahead < 0 && step < 0:
		return 0, false
	case ahead > 1:
		missing = ahead - 1
	}
	if missing > 0 && o.lasts > 0 && step > 0 && (2*step < 3*o.lasts || step > 4*int64(missing+1)*o.lasts) {
		missing = 0 // other tracks had the numbers and no time is missing, or it paused
	}
	o.started, o.last = true, p
	o.last.Payload = p.Payload[:len(p.Payload):len(p.Payload)]
	return missing, true
}
