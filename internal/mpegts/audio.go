package mpegts

import (
	"bytes"
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// samplesAAC is how many samples a frame of AAC has.
const samplesAAC = mpeg4audio.SamplesPerAccessUnit

// maxAudio bounds what is kept of audio that does not make frames, in bytes: a frame of either form has 8 KiB at most.
const maxAudio = 64 << 10

// audioStream cuts the stream of the audio into frames.
type audioStream struct {
	pid     int
	latm    bool
	counter counter
	pes     pesHeader

	about      *Audio // nil: no frame has come
	unreadable string // why it cannot be read

	waiting bool   // for the next PES packet
	buffer  []byte // what has made no frame yet
	stampAt int    // where in the buffer the first frame with the time begins; -1: it has been read
	pts     int64
	known   bool  // pts is
	frames  int64 // since the one with the time

	mux *mpeg4audio.StreamMuxConfig // of LATM
}

// follow reads another stream from now on, if it is one.
func (a *audioStream) follow(s stream) {
	if s.pid != a.pid || s.latm != a.latm {
		*a = audioStream{pid: s.pid, latm: s.latm, waiting: true, stampAt: -1}
	}
}

// take takes a packet of the stream.
func (a *audioStream) take(d *Demuxer, p packet, data []byte) {
	if len(p.payload) == 0 {
		return
	}
	missing, repeated := a.counter.next(p, data)
	if repeated {
		return
	}
	if missing > 0 || p.scrambled {
		a.buffer, a.waiting, a.stampAt = a.buffer[:0], true, -1
	}
	if p.scrambled {
		return
	}
	if p.start {
		a.pes.begin()
		a.waiting = false
	}
	if a.waiting {
		return
	}
	whole := a.pes.whole
	body, ok := a.pes.take(p.payload)
	if a.waiting = a.pes.broken || a.pes.scrambled; !ok || a.waiting {
		return
	}
	if !whole && a.pes.timed {
		a.stampAt = len(a.buffer)
	}
	a.buffer = append(a.buffer, body...)
	a.cut(d)
}

// cut takes the frames that are whole off the buffer.
func (a *audioStream) cut(d *Demuxer) {
	rest := a.buffer
	for {
		size, body := a.frame(rest)
		if size == 0 || size > len(rest) {
			break
		}
		if body != nil {
			a.emit(d, body, len(a.buffer)-len(rest))
		}
		rest = rest[size:]
	}
	if len(rest) > maxAudio {
		rest = nil
	}
	taken := len(a.buffer) - len(rest)
	a.buffer = a.buffer[:copy(a.buffer, rest)]
	if a.stampAt >= 0 {
		a.stampAt = max(a.stampAt-taken, 0)
	}
}

// emit hands on what stands in a frame at an offset of the buffer.
func (a *audioStream) emit(d *Demuxer, body []byte, at int) {
	config, data := a.unpack(d, body)
	if config != nil && (a.about == nil || !a.about.Equal(*config)) {
		a.about = config
		d.tell()
	}
	if a.about == nil || data == nil {
		return
	}
	if a.stampAt >= 0 && at >= a.stampAt {
		a.pts, a.known, a.frames, a.stampAt = a.pes.pts, true, 0, -1
	}
	if a.known {
		d.to.AudioFrame(data, a.pts+a.frames*samplesAAC*Clock/int64(a.about.Rate))
		a.frames++
	}
}

// frame looks for a frame at the front of data: its size, or how many bytes are none of it, and what it holds then. A size of 0
// says that more must come to tell.
func (a *audioStream) frame(data []byte) (size int, body []byte) {
	const header = 7
	if len(data) < header {
		return 0, nil
	}
	word := binary.BigEndian.Uint16(data)
	switch {
	case a.latm && word>>5 == 0x2B7: // AudioSyncStream (ISO/IEC 14496-3, 1.7.2)
		size = 3 + int(word&0x1F)<<8 + int(data[2])
	case !a.latm && word&0xFFF6 == 0xFFF0: // adts_frame (1.A.2.2)
		size = int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5])>>5
		if size < header {
			return 1, nil
		}
	default:
		return 1, nil
	}
	if size > len(data) {
		return size, nil
	}
	return size, data[:size]
}

// unpack takes the configuration, nil for none, and the raw frame out of one.
func (a *audioStream) unpack(d *Demuxer, frame []byte) (config *Audio, data []byte) {
	if a.latm {
		return a.unpackLATM(frame[3:])
	}
	header := 7
	if protected := frame[1]&1 == 0; protected {
		header = 9
	}
	kind, rate, channels := int(frame[2]>>6)+1, int(frame[2]>>2&0xF), int(frame[2]&1)<<2|int(frame[3])>>6
	if blocks := frame[6] & 3; blocks > 0 || len(frame) <= header {
		return nil, nil // several in one, which nobody makes, cannot be told apart without decoding
	}
	const sizes = 13 // sampling frequencies that are defined
	if rate >= sizes || channels == 0 {
		if a.about == nil && a.unreadable == "" {
			a.unreadable = "AAC of an unknown kind"
			d.tell()
		}
		return nil, nil
	}
	raw := [2]byte{byte(kind<<3 | rate>>1), byte(rate<<7 | channels<<3)}
	if a.about != nil && string(a.about.Config) == string(raw[:]) {
		return nil, frame[header:]
	}
	return newAudio(bytes.Clone(raw[:])), frame[header:]
}

// newAudio reads an AudioSpecificConfig; nil when it is none.
func newAudio(raw []byte) *Audio {
	var c mpeg4audio.AudioSpecificConfig
	if c.Unmarshal(raw) != nil || c.SampleRate <= 0 {
		return nil
	}
	return &Audio{Config: raw, Rate: c.SampleRate, Channels: c.ChannelCount}
}

// unpackLATM reads an AudioMuxElement.
func (a *audioStream) unpackLATM(element []byte) (config *Audio, data []byte) {
	e := mpeg4audio.AudioMuxElement{MuxConfigPresent: true, StreamMuxConfig: a.mux}
	if e.Unmarshal(element) != nil || len(e.Payloads) != 1 || len(e.Payloads[0]) != 1 || len(e.Payloads[0][0]) != 1 {
		return nil, nil
	}
	if a.mux = e.StreamMuxConfig; !e.UseSameStreamMux {
		if len(a.mux.Programs) == 0 || len(a.mux.Programs[0].Layers) == 0 || a.mux.Programs[0].Layers[0].AudioSpecificConfig == nil {
			return nil, nil
		}
		raw, err := a.mux.Programs[0].Layers[0].AudioSpecificConfig.Marshal()
		if err != nil {
			return nil, nil
		}
		config = newAudio(raw)
	}
	return config, e.Payloads[0][0][0]
}
