package mpegts

import "github.com/kvs-edge/kvs-edge-agent/internal/audio"

// maxAudio bounds a PES packet of audio, in bytes: most have a few frames, and their lengths have 16 bits.
const maxAudio = 64 << 10

// audioStream reads the frames of the audio's stream.
type audioStream struct {
	stream  stream
	counter counter
	pes     pesHeader

	reader *audio.Elementary
	about  *audio.Format // nil: no frame has arrived

	waiting bool   // waiting for the next PES packet
	open    bool   // a PES packet has started
	buffer  []byte // its data
	next    int64  // time of the frame after the last one
	known   bool   // next is known
}

// follow reads another stream from now on, if it differs.
func (a *audioStream) follow(s stream) {
	if s.pid == a.stream.pid && s.container == a.stream.container {
		return
	}
	*a = audioStream{stream: s, waiting: true, buffer: a.buffer[:0]}
	if s.pid != noPID {
		a.reader = audio.NewElementary(s.container, s.format)
	}
}

// take handles a packet of the stream.
func (a *audioStream) take(d *Demuxer, p packet, data []byte) {
	if len(p.payload) == 0 {
		return
	}
	missing, repeated := a.counter.next(p, data)
	if repeated {
		return
	}
	if missing > 0 || p.scrambled {
		a.lose()
	}
	if p.scrambled {
		return
	}
	if p.start {
		a.finish(d)
		a.pes.begin()
		a.waiting = false
	}
	if a.waiting {
		return
	}
	body, ok := a.pes.take(p.payload)
	if a.pes.broken || a.pes.scrambled || len(a.buffer) > maxAudio {
		a.lose()
		return
	}
	if !ok {
		return
	}
	a.open, a.buffer = true, append(a.buffer, body...)
	if a.pes.left == 0 {
		a.finish(d)
	}
}

// lose notes missing packets.
func (a *audioStream) lose() {
	a.buffer, a.open, a.waiting = a.buffer[:0], false, true
	a.reader.Lost()
}

// finish reads the frames of the complete PES packet.
func (a *audioStream) finish(d *Demuxer) {
	if !a.open {
		return
	}
	a.open = false
	at := a.next
	if a.pes.timed {
		at, a.known = a.pes.pts, true
	}
	frames, _ := a.reader.Read(a.buffer, uint32(at))
	a.buffer = a.buffer[:0]
	if f, fresh := a.reader.Format(); fresh && f.Valid() {
		a.about = &f
		d.tell()
	}
	if a.about == nil || !a.known {
		return
	}
	for _, frame := range frames {
		begins := (at + int64(int32(frame.RTPTime-uint32(at)))) & maxTime
		d.to.AudioFrame(frame.Data, begins)
		a.next = begins + int64(a.about.Samples(frame.Data))*Clock/int64(a.about.Rate)
	}
}
