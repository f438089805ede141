package fakecam

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
)

// packetTS is the size of a packet of a transport stream, and packetsTS the most packets in an RTP packet (RFC 2250).
const (
	packetTS    = 188
	packetsTS   = 7
	multiplexed = packetTS * packetsTS
)

// multiplexer sends the pictures of a player, and the audio, as a transport stream.
type multiplexer struct {
	sink
	h265   bool
	origin uint32 // of the timestamps of the audio

	writer *mpegts.Writer
	stream bytes.Buffer // of the current frame
	video  *mpegts.Track
	audio  *mpegts.Track // nil: none

	mu     sync.Mutex
	sounds []heard // since the last frame
}

// heard is a frame of audio.
type heard struct {
	data []byte
	time uint32
}

// newMultiplexer returns one for a camera with these options.
func newMultiplexer(o Options, origin uint32, to sink) (*multiplexer, error) {
	m := &multiplexer{sink: to, h265: o.H265, origin: origin, video: &mpegts.Track{Codec: &mpegts.CodecH264{}}}
	if o.H265 {
		m.video.Codec = &mpegts.CodecH265{}
	}
	tracks := []*mpegts.Track{m.video}
	if o.Audio == AudioAAC {
		m.audio = &mpegts.Track{Codec: &mpegts.CodecMPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
			Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 16000, ChannelCount: 1}}}
		tracks = append(tracks, m.audio)
	}
	m.writer = &mpegts.Writer{W: &m.stream, Tracks: tracks}
	if err := m.writer.Initialize(); err != nil {
		return nil, fmt.Errorf("the camera's transport stream does not start: %w", err)
	}
	return m, nil
}

func (m *multiplexer) room(n int) bool {
	const overhead = 3 // tables, audio, and padding of the last packet
	return m.sink.room(n*maxPayload/multiplexed + n + overhead)
}

// picture sends a picture, and the audio since the last one.
func (m *multiplexer) picture(units, _ [][]byte, _ bool, timestamp uint32) {
	m.stream.Reset()
	m.multiplex(units, int64(timestamp))
	for rest := m.stream.Bytes(); len(rest) > 0; {
		n := min(len(rest), multiplexed)
		m.write(rest[:n], timestamp, false)
		rest = rest[n:]
	}
	m.flush()
}

func (m *multiplexer) deliver() (paused bool) { return false }

// multiplex writes the frame and the audio into the stream. Writing into memory does not fail.
func (m *multiplexer) multiplex(units [][]byte, at int64) {
	if m.h265 {
		_ = m.writer.WriteH265(m.video, at, at, units)
	} else {
		_ = m.writer.WriteH264(m.video, at, at, units)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sounds {
		_ = m.writer.WriteMPEG4Audio(m.audio, int64(s.time), [][]byte{s.data})
	}
	m.sounds = m.sounds[:0]
}

// hear stores a frame of audio, given with its AU header, and its time in samples.
func (m *multiplexer) hear(payload []byte, samples uint32) {
	const header, rate, most = 4, 16000, 100
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sounds) < most { // none is sent while the video is stalled
		m.sounds = append(m.sounds, heard{payload[header:], m.origin + uint32(uint64(samples)*clockRate/rate)})
	}
}
