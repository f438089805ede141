// Package mpegts reads MPEG transport streams (ISO/IEC 13818-1), from RTP and from files: it finds
// the packets, chooses a program with readable video, and splits its video into access units and its audio into
// frames. It knows neither where the bytes come from, nor how the media is used.
//
// Streams are read leniently: tables are hints, and missing or damaged packets cost only the access units that
// they belong to.
package mpegts

import (
	"bytes"
	"errors"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

const (
	// PacketSize is the size of a packet, in bytes.
	PacketSize = 188
	// Clock is the rate of all times, in ticks per second. They have 33 bits.
	Clock = 90_000

	syncByte = 0x47
	// nullPacket is the PID of packets that only fill the channel.
	nullPacket = 0x1FFF
	// maxPID is the highest PID.
	maxPID = 0x1FFF
)

// The codecs of video that can be read.
const (
	H264 = "H.264"
	H265 = "H.265"
)

// ErrHuge: an access unit has more bytes than allowed.
var ErrHuge = errors.New("an access unit of a transport stream is too large")

// Handler receives what a Demuxer reads, in order.
type Handler interface {
	// Tracks reports the tracks that are read from now on, whenever they change.
	Tracks(t Tracks)
	// AccessUnit receives an access unit of the video. Its NAL units are valid until it returns.
	AccessUnit(u AccessUnit)
	// AudioFrame receives a frame of the audio and its presentation time. It is valid until it returns.
	AudioFrame(data []byte, at int64)
}

// Tracks are the tracks of the program that is read.
type Tracks struct {
	Video string        // H264 or H265, "" for none yet
	PID   int           // PID of the video's stream
	Audio *audio.Format // nil: none that can be read, or its first frame has not arrived
	// Others and OtherAudio name the codecs of the video and the audio that cannot be read.
	Others, OtherAudio []string
	// Scrambled: the video is encrypted.
	Scrambled bool
	// Settled: nothing more is expected to change: the tables of all programs have arrived, and the first
	// frame of the audio.
	Settled bool
}

// AccessUnit is an access unit of the video.
type AccessUnit struct {
	NALUs [][]byte // without start codes
	// At is its presentation time; Timed: the stream has times at all.
	At    int64
	Timed bool
	// Missing is how many packets of the stream are missing before it, at most; 0: none.
	Missing int
	// Torn: a part of it is missing.
	Torn bool
	// Ended: its end arrived with the last Write; else it ended before, as the next one has started, or was cut off.
	Ended bool
}

// Demuxer reads a transport stream. One goroutine uses it at a time.
type Demuxer struct {
	to   Handler
	most int // bytes of an access unit

	// The packets.
	buffer  []byte // bytes not handled as packets yet
	locked  bool   // the next packet starts where the last one ended
	gap     int    // bytes between packets: arrival times (M2TS) or check sums
	skipped int    // bytes since the last packet
	largest int    // the largest number of packets in a Write
	packets int    // number so far
	short   bool   // the last Write had fewer: the sender had no more at that time

	// The tables.
	pat      section
	programs []*program // in the order of the table
	listed   bool       // the table of the programs has arrived
	repeats  int        // how often it was repeated unchanged
	guessed  *program   // of a stream without tables
	current  *program
	tables   Tracks // the tracks according to the tables
	told     Tracks

	video videoStream
	audio audioStream
	err   error
}

// NewDemuxer returns a Demuxer whose access units have at most that many bytes.
func NewDemuxer(to Handler, most int) *Demuxer {
	d := &Demuxer{to: to, most: most}
	d.video.pid, d.audio.stream.pid = noPID, noPID
	return d
}

// noPID is the PID of a stream that does not exist.
const noPID = -1

// Write reads the next bytes, of any length. The only error is ErrHuge, after which nothing more is read.
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

// seek finds the next packet. When there is none, it keeps the possible start of one.
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

// begins checks whether a packet starts at data, after skipped bytes that are not packets, or reports that more bytes are needed to decide.
func (d *Demuxer) begins(data []byte, skipped int) (more bool) {
	for _, stride := range strides {
		if len(data) > stride && data[stride] == syncByte {
			d.locked, d.gap = true, stride-PacketSize
			return false
		}
	}
	// A packet at the end of the data is accepted if it is at a valid distance from the last one.
	if stride := PacketSize + d.skipped + skipped; len(data) == PacketSize {
		d.locked = true
		if d.gap = 0; slices.Contains(strides[:], stride) {
			d.gap = stride - PacketSize
		}
	}
	return len(data) <= strides[len(strides)-1]
}

// Lost notes the loss of a number of datagrams before the next Write, each with at most as many packets as the largest so far.
func (d *Demuxer) Lost(datagrams int) {
	const perFrame = 7 // packets that fit into an Ethernet frame
	d.buffer, d.locked = d.buffer[:0], false
	packets := min(datagrams, maxMissing) * max(d.largest, perFrame)
	d.video.counter.unsure += packets
	d.audio.counter.unsure += packets
}

// Restart starts another stream, possibly with the same PIDs. What was started is completed.
func (d *Demuxer) Restart() {
	d.Flush()
	d.buffer, d.locked = d.buffer[:0], false
	d.video.counter, d.audio.counter = counter{}, counter{}
	d.video.sign = noSign
}

// Flush emits the last access unit at the end of the data, if it is known to be complete, or is independent of it; else it is torn.
func (d *Demuxer) Flush() {
	if d.err == nil {
		d.video.ended = d.video.ended || d.short
		d.video.flush(d, false)
	}
}

// End emits the last access unit of a stream that was not cut off.
func (d *Demuxer) End() {
	if d.err == nil {
		d.video.flush(d, len(d.buffer) == 0 && d.video.pes.left <= 0)
	}
}

// Continues reports whether the first packet of the video in data, if there is one, is the next one. Repeated packets do not
// count.
func (d *Demuxer) Continues(data []byte) bool {
	for ; len(data) >= PacketSize && data[0] == syncByte; data = data[PacketSize:] {
		p, ok := parsePacket(data[:PacketSize])
		if ok && p.pid == d.video.pid && len(p.payload) > 0 {
			return !d.video.counter.known || p.count == (d.video.counter.last+1)&0xF
		}
	}
	return false
}

// Pending is how many bytes of the next access unit have arrived.
func (d *Demuxer) Pending() int { return len(d.video.buffer) }

// Looks reports whether a file that starts with head is a transport stream, which may start in the middle of a packet.
func Looks(head []byte) bool {
	const needed = 8 // consecutive packets
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

// packet is the header of a packet, with its payload.
type packet struct {
	pid       int
	start     bool // a PES packet or a section starts in it
	scrambled bool
	jump      bool // counters and times may jump here
	stuffed   bool // it was larger than its payload
	count     uint8
	payload   []byte // empty: there is none
}

// parsePacket reads the header (2.4.3.2); ok is false for a damaged packet.
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
			size = len(body) - 1 // there is only the field
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
	for _, flag := range [...]uint8{0x02, 0x01} { // private data and an extension, with their lengths before them
		if flags&flag != 0 && used < len(field) {
			used += 1 + int(field[used])
		}
	}
	p.stuffed = used < len(field)
}

// packet handles the next packet.
func (d *Demuxer) packet(data []byte) {
	d.packets++
	d.skipped = 0
	p, ok := parsePacket(data)
	if !ok || p.pid == nullPacket {
		return // damaged packets count as missing
	}
	if !d.read(p, data) && len(p.payload) > 0 && !p.scrambled {
		d.other(p)
		d.read(p, data) // if that identified its stream
	}
}

// read handles a packet of a selected stream, and reports whether it is one.
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

// other handles a packet of another stream: of a table, or of an unknown one.
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
