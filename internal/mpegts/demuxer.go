// Package mpegts owns the reading of MPEG transport streams (ISO/IEC 13818-1), as they come in RTP and lie in files: it finds
// the packets, chooses a program with video that can be read, and cuts its video into access units and its audio into
// frames. It must not know where the bytes come from, nor how the access units are used.
//
// Streams are read leniently: what a table says is a hint, and what is missing or damaged costs the access units that it
// belongs to and nothing else.
package mpegts

import (
	"bytes"
	"errors"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

const (
	// PacketSize is that of a packet, in bytes.
	PacketSize = 188
	// Clock is the rate of all times, in ticks per second. They have 33 bits.
	Clock = 90_000

	syncByte = 0x47
	// nullPacket is the number of the stream (PID) that only fills the channel.
	nullPacket = 0x1FFF
	// maxPID is the highest number of a stream.
	maxPID = 0x1FFF
)

// The codecs of video that can be read.
const (
	H264 = "H.264"
	H265 = "H.265"
)

// ErrHuge says that an access unit has more bytes than there may be.
var ErrHuge = errors.New("an access unit of a transport stream is too large")

// Handler takes what a Demuxer finds, in order.
type Handler interface {
	// Tracks reports what is read from now on, whenever that changes.
	Tracks(t Tracks)
	// AccessUnit takes an access unit of the video. Its NAL units are the callee's to read until it returns.
	AccessUnit(u AccessUnit)
	// AudioFrame takes a frame of the audio, to be heard at a time. It is the callee's to read until it returns.
	AudioFrame(data []byte, at int64)
}

// Tracks are the streams of the program that is read.
type Tracks struct {
	Video string        // H264 or H265, "" for none yet
	PID   int           // of the stream of the video
	Audio *audio.Format // nil: none that can be read, or its first frame has not come
	// Others and OtherAudio name the codecs of the video and the audio that cannot be read.
	Others, OtherAudio []string
	// Scrambled says that the video is encrypted.
	Scrambled bool
	// Settled says that nothing more is to be found out: the tables of all programs have come, and the first
	// frame of the audio.
	Settled bool
}

// AccessUnit is one of the video.
type AccessUnit struct {
	NALUs [][]byte // without start codes
	// At is when it is shown; Timed says that the stream has times at all.
	At    int64
	Timed bool
	// Missing is how many packets of the stream are missing before it, at most; 0: none.
	Missing int
	// Torn says that a part of it is missing.
	Torn bool
	// Ended says that its end came with the last Write; else it came before, as the next one has begun, or was cut off.
	Ended bool
}

// Demuxer reads a transport stream. One goroutine uses it at a time.
type Demuxer struct {
	to   Handler
	most int // bytes of an access unit

	// The packets.
	buffer  []byte // of which no packet was taken yet
	locked  bool   // the next packet begins where the last one ended
	gap     int    // bytes between packets: times of arrival (M2TS) or check sums
	skipped int    // bytes since the last packet
	largest int    // how many packets came with a Write, at most
	packets int    // so far
	short   bool   // the last Write had fewer, so that the sender had no more at that time

	// The tables.
	pat      section
	programs []*program // in the order of the table
	listed   bool       // the table of the programs has come
	repeats  int        // how often it came since it changed
	guessed  *program   // of a stream without tables
	current  *program
	tables   Tracks // what they say
	told     Tracks

	video videoStream
	audio audioStream
	err   error
}

// NewDemuxer makes a Demuxer whose access units have at most that many bytes.
func NewDemuxer(to Handler, most int) *Demuxer {
	d := &Demuxer{to: to, most: most}
	d.video.pid, d.audio.stream.pid = noPID, noPID
	return d
}

// noPID is that of a stream that is not there.
const noPID = -1

// Write takes the next bytes, of any length. The only error is ErrHuge, after which nothing more is read.
func (d *Demuxer) Write(data []byte) error {
	d.buffer = append(d.buffer, data...)
	rest := d.buffer
	before := d.packets
	for d.err == nil && len(rest) >= PacketSize {
		if d.locked && d.gap > 0 && d.skipped == 0 && rest[d.gap] == syncByte {
			d.skipped, rest = d.gap, rest[d.gap:]
			continue
		}
		if !d.locked || rest[0] != syncByte {
			rest = d.seek(rest)
			if !d.locked {
				break
			}
			continue
		}
		d.packet(rest[:PacketSize])
		rest = rest[PacketSize:]
	}
	d.largest = max(d.largest, d.packets-before)
	d.short = d.packets-before < d.largest && len(rest) == 0
	d.buffer = d.buffer[:copy(d.buffer, rest)]
	return d.err
}

// strides are the distances of packets: of plain streams, with times of arrival (M2TS), and with check sums (DVB).
var strides = [...]int{PacketSize, 192, 204}

// seek finds the next packet. When there is none, it keeps what may be the beginning of one.
func (d *Demuxer) seek(data []byte) (rest []byte) {
	d.locked = false
	for i := 0; ; i++ {
		n := bytes.IndexByte(data[i:], syncByte)
		if n < 0 {
			d.skipped += len(data)
			return nil
		}
		i += n
		if more := d.begins(data[i:], i); more || d.locked {
			d.skipped += i
			return data[i:]
		}
	}
}

// begins checks whether a packet begins with data, after skipped bytes that belong to none, or reports that more data is needed to decide.
func (d *Demuxer) begins(data []byte, skipped int) (more bool) {
	for _, stride := range strides {
		if len(data) > stride && data[stride] == syncByte {
			d.locked, d.gap = true, stride-PacketSize
			return false
		}
	}
	// One that nothing follows is accepted at a distance that packets have.
	if stride := PacketSize + d.skipped + skipped; len(data) == PacketSize {
		d.locked = true
		if d.gap = 0; slices.Contains(strides[:], stride) {
			d.gap = stride - PacketSize
		}
	}
	return len(data) <= strides[len(strides)-1]
}

// Lost reports how many datagrams were lost before the next Write, each of at most as many packets as the largest so far.
func (d *Demuxer) Lost(datagrams int) {
	const common = 7 // fit into an Ethernet frame
	d.buffer, d.locked = d.buffer[:0], false
	packets := min(datagrams, maxMissing) * max(d.largest, common)
	d.video.counter.unsure += packets
	d.audio.counter.unsure += packets
}

// Restart says that what comes next is another stream, maybe with the same numbers. A packet that was started is completed.
func (d *Demuxer) Restart() {
	d.Flush()
	d.buffer, d.locked = d.buffer[:0], false
	d.video.counter, d.audio.counter = counter{}, counter{}
	d.video.sign = noSign
}

// Flush emits the last access unit if it is known to be complete, when no more data comes, or the next does not belong to it; else
// it is torn.
func (d *Demuxer) Flush() {
	if d.err == nil {
		d.video.ended = d.video.ended || d.short
		d.video.flush(d, false)
	}
}

// End emits the last access unit of a stream that ends here and was not cut off.
func (d *Demuxer) End() {
	if d.err == nil {
		d.video.flush(d, len(d.buffer) == 0 && d.video.pes.left <= 0)
	}
}

// Continues reports whether the first packet of the video in data, if there is one, is the one that comes next. Bytes that came
// before are none.
func (d *Demuxer) Continues(data []byte) bool {
	for ; len(data) >= PacketSize && data[0] == syncByte; data = data[PacketSize:] {
		p, ok := parsePacket(data[:PacketSize])
		if ok && p.pid == d.video.pid && len(p.payload) > 0 {
			return !d.video.counter.known || p.count == (d.video.counter.last+1)&0xF
		}
	}
	return false
}

// Pending is how many bytes of the next access unit have come.
func (d *Demuxer) Pending() int { return len(d.video.buffer) }

// Looks reports whether a file that begins with head is a transport stream, maybe one that begins in the middle of a packet.
func Looks(head []byte) bool {
	const needed = 8 // packets in a row
	for i := 0; i < len(head); i++ {
		if head[i] != syncByte {
			continue
		}
		for _, stride := range strides {
			n, at := 0, i
			for ; at < len(head) && head[at] == syncByte; at += stride {
				n++
			}
			if n >= needed || n > 1 && at >= len(head) && i < stride {
				return true
			}
		}
	}
	return false
}

// packet is what a packet's header says.
type packet struct {
	pid       int
	start     bool // a PES packet or a section begins in it
	scrambled bool
	jump      bool // counters and times may jump here
	stuffed   bool // it was too large for its payload
	count     uint8
	payload   []byte // empty: it has none
}

// parsePacket reads the header (2.4.3.2); ok is false for one that is damaged.
func parsePacket(data []byte) (p packet, ok bool) {
	p = packet{
		pid: int(data[1]&0x1F)<<8 | int(data[2]), start: data[1]&0x40 != 0, scrambled: data[3]&0xC0 != 0, count: data[3] & 0xF,
	}
	if damaged := data[1]&0x80 != 0; damaged {
		return p, false
	}
	body := data[4:]
	if data[3]&0x20 != 0 {
		size := int(body[0])
		if size >= len(body) {
			size = len(body) - 1 // there is nothing but the field
		}
		p.adaptation(body[1 : 1+size])
		body = body[1+size:]
	}
	if data[3]&0x10 != 0 {
		p.payload = body
	}
	return p, true
}

// adaptation reads the adaptation field (2.4.3.4).
func (p *packet) adaptation(field []byte) {
	if len(field) == 0 {
		p.stuffed = true
		return
	}
	flags := field[0]
	p.jump = flags&0x80 != 0
	used := 1
	for _, part := range [...]struct {
		flag uint8
		size int
	}{{0x10, 6}, {0x08, 6}, {0x04, 1}} {
		if flags&part.flag != 0 {
			used += part.size
		}
	}
	for _, flag := range [...]uint8{0x02, 0x01} { // private data and an extension have their lengths before them
		if flags&flag != 0 && used < len(field) {
			used += 1 + int(field[used])
		}
	}
	p.stuffed = used < len(field)
}

// packet takes the next packet.
func (d *Demuxer) packet(data []byte) {
	d.packets++
	d.skipped = 0
	p, ok := parsePacket(data)
	if !ok || p.pid == nullPacket {
		return // what is damaged is missing
	}
	if !d.read(p, data) && len(p.payload) > 0 && !p.scrambled {
		d.other(p)
		d.read(p, data) // if that showed what it is
	}
}

// read takes a packet of a stream that is read, if it is one.
func (d *Demuxer) read(p packet, data []byte) bool {
	switch p.pid {
	case d.video.pid:
		d.video.take(d, p, data)
	case d.audio.stream.pid:
		d.audio.take(d, p, data)
	default:
		return false
	}
	return true
}

// other takes a packet of a stream that is not read: of a table, or of one that nothing is known of.
func (d *Demuxer) other(p packet) {
	if p.pid == 0 {
		d.pat.take(p, d.readPAT)
		return
	}
	for _, g := range d.programs {
		if g.pid == p.pid {
			g.section.take(p, func(table []byte) { d.readPMT(table, p.pid) })
			return
		}
	}
	if p.start {
		d.guess(p)
	}
}
