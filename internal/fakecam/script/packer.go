package script

import (
	"math/rand/v2"
	"time"
)

// StepKind is a kind of action of a camera.
type StepKind int

// The kinds of steps.
const (
	RTP    StepKind = iota // send Bytes on the track's channel or port for RTP
	RTCP                   // send Bytes on the one for RTCP
	Text                   // write Bytes to the connection unchanged
	Pause                  // wait for as long as Wait
	HangUp                 // close the connection
)

// Step is an action of a camera when a picture is due.
type Step struct {
	Kind  StepKind
	Bytes []byte
	Wait  time.Duration
}

// Packer makes the packets of one track of a session.
type Packer struct {
	PayloadType uint8 // as announced

	lines    []line
	session  uint64
	sequence uint16
	ssrc     uint32
	origin   uint32 // timestamp of the first picture
	before   uint32 // timestamp of the previous picture
	jumped   uint32 // how far timestamps have jumped
	packets  uint64
	pictures uint64
	order    uint16 // decoding order number of the next NAL unit
	ended    bool
	rule     int            // the line that is being applied
	done     map[int]uint64 // the number of the picture for which a line was last applied, plus 1
	delayed  []delayed
	steps    []Step
}

// delayed is a packet that waits for others to overtake it.
type delayed struct {
	bytes []byte
	left  int
}

// Video returns the Packer of the video, for a session that is counted from 1.
func (f *File) Video(session uint64, payloadType uint8) *Packer {
	return newPacker(f.video, session, payloadType)
}

// Sounds returns the Packer of the audio.
func (f *File) Sounds(session uint64, payloadType uint8) *Packer {
	return newPacker(f.audio, session, payloadType)
}

func newPacker(lines []line, session uint64, payloadType uint8) *Packer {
	return &Packer{
		PayloadType: payloadType, lines: lines, session: session,
		sequence: uint16(rand.Uint32N(1 << 15)), ssrc: rand.Uint32(), done: make(map[int]uint64),
	}
}

// Ended reports whether no more packets follow.
func (p *Packer) Ended() bool { return p.ended }

// Sequence returns the sequence number of the next packet.
func (p *Packer) Sequence() uint16 { return p.sequence }

// SSRC returns the track's SSRC.
func (p *Packer) SSRC() uint32 { return p.ssrc }

// Pack returns the camera's actions when a picture is due. They are valid until the next call.
func (p *Packer) Pack(in Picture) []Step {
	if p.pictures == 0 {
		p.origin, p.before = in.Timestamp, in.Timestamp
	}
	p.steps = p.steps[:0]
	pic := &picture{Picture: in, session: p.session, packing: packing{size: usualSize}}
	pic.Number = p.pictures
	for i, l := range p.lines {
		if l.picture != nil && l.when.holdsPicture(pic) {
			p.rule = i
			l.picture(p, pic)
		}
	}
	if !p.ended {
		p.send(pic)
	}
	p.pictures++
	p.before = in.Timestamp
	return p.steps
}

// send makes the packets of a picture.
func (p *Packer) send(pic *picture) {
	list := pic.cut(p)
	for i, k := range list {
		k.first, k.last = i == 0, i == len(list)-1
		k.of, k.number = pic, p.packets
		k.payloadType, k.timestamp, k.ssrc = p.PayloadType, pic.Timestamp, p.ssrc
		k.sequence, k.step, k.copies, k.marker = p.sequence, 1, 1, k.last
		for i, l := range p.lines {
			if l.packet != nil && l.when.holds(k) {
				p.rule = i
				l.packet(p, k)
			}
		}
		k.timestamp += p.jumped
		p.sequence = k.sequence + uint16(k.step)
		p.packets++
		p.emit(k)
	}
}

// emit queues a packet, and the packets that follow it.
func (p *Packer) emit(k *packet) {
	if k.late > 0 && k.copies > 0 {
		p.delayed = append(p.delayed, delayed{k.bytes(), k.late})
	} else {
		for range k.copies {
			p.put(k.bytes())
		}
	}
	for _, x := range k.extras {
		behind := &packet{payloadType: x.payloadType, timestamp: k.timestamp, ssrc: k.ssrc, sequence: k.sequence, payload: x.payload}
		if x.numbered {
			behind.sequence = p.sequence
			p.sequence++
		}
		p.put(behind.bytes())
	}
}

// put sends a packet, and those that waited for it.
func (p *Packer) put(b []byte) {
	p.steps = append(p.steps, Step{Kind: RTP, Bytes: b})
	rest := p.delayed[:0]
	for _, d := range p.delayed {
		if d.left--; d.left > 0 {
			rest = append(rest, d)
		} else {
			p.steps = append(p.steps, Step{Kind: RTP, Bytes: d.bytes})
		}
	}
	p.delayed = rest
}

// once reports whether the rule is applied for the first time to a picture.
func (p *Packer) once(k *packet) bool {
	if p.done[p.rule] == k.of.Number+1 {
		return false
	}
	p.done[p.rule] = k.of.Number + 1
	return true
}
