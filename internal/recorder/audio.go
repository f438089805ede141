package recorder

import (
	"encoding/binary"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// audioTrack is a camera's audio, when it has some that KVS takes.
type audioTrack struct {
	track   mkv.Track
	rate    int    // RTP ticks per second
	silence []byte // a frame of it, for fragments in which the camera sends none
}

// Format tags of WAVEFORMATEX (RFC 2361).
const (
	waveALaw  = 6
	waveMuLaw = 7
)

// silenceG711 is how much silence a fragment gets, in samples: 20 ms at 8 kHz.
const silenceG711 = 160

// g711Track describes G.711 as A_MS/ACM, whose private data is a WAVEFORMATEX.
func g711Track(muLaw bool, rate, channels int) audioTrack {
	tag, zero := uint16(waveALaw), byte(0xD5)
	if muLaw {
		tag, zero = waveMuLaw, 0xFF
	}
	const bits = 8
	wave := binary.LittleEndian.AppendUint16(nil, tag)
	wave = binary.LittleEndian.AppendUint16(wave, uint16(channels))
	wave = binary.LittleEndian.AppendUint32(wave, uint32(rate))
	wave = binary.LittleEndian.AppendUint32(wave, uint32(rate*channels)) // bytes per second
	wave = binary.LittleEndian.AppendUint16(wave, uint16(channels))      // bytes per sample of all channels
	wave = binary.LittleEndian.AppendUint16(wave, bits)
	wave = binary.LittleEndian.AppendUint16(wave, 0) // nothing follows
	silence := make([]byte, silenceG711*channels)
	for i := range silence {
		silence[i] = zero
	}
	return audioTrack{rate: rate, silence: silence, track: mkv.Track{
		Number: audioNumber, Kind: mkv.Audio, CodecID: mkv.CodecACM, CodecPrivate: wave, Name: "audio",
		SampleRate: float64(rate), Channels: channels, BitDepth: bits,
	}}
}

// silentAAC are raw AAC-LC frames of silence, by number of channels. Each is one channel element
// with no spectral data (ISO/IEC 14496-3, 4.4.2.1).
var silentAAC = map[int][]byte{
	1: {0x00, 0xC8, 0x00, 0x80, 0x23, 0x80},
	2: {0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80},
}

// aacTrack describes AAC; ok is false for more channels than cameras have.
func aacTrack(config []byte, rate, channels int) (t audioTrack, ok bool) {
	silence, ok := silentAAC[channels]
	return audioTrack{rate: rate, silence: silence, track: mkv.Track{
		Number: audioNumber, Kind: mkv.Audio, CodecID: mkv.CodecAAC, CodecPrivate: config, Name: "audio",
		SampleRate: float64(rate), Channels: channels,
	}}, ok
}

// maxAudioAhead bounds how much audio waits for video of its time, in frames.
const maxAudioAhead = 500

// sound places audio frames between pictures. Audio waits until a picture of a later time is
// written, so that it never reaches into a fragment that is still to come: every fragment of KVS
// begins after the end of the one before, and has a frame of each track.
type sound struct {
	audioTrack
	timeline timeline.Timeline
	flood    flood // bounds what comes
	waiting  []audioFrame
	bytes    int       // of what waits
	spare    [][]byte  // memory of frames that were written
	last     time.Time // of the newest frame written
	written  bool      // the open fragment has audio
}

type audioFrame struct {
	at   time.Time
	data []byte
}

// audioLeft names the audio that is not recorded; see sink.
func (s *segmenter) audioLeft(names []string) {
	if len(names) == 0 {
		s.part.OK(scopeAudio)
		return
	}
	if s.part.Report(scopeAudio, health.Info, health.UserFault(codeAudio, nil,
		"The camera's audio is %s, which Kinesis Video Streams does not take, so that only its video is recorded: set it to AAC in mono or stereo, or set AWS_KVS_EDGE_AUDIO to off.", strings.Join(names, " and "))) {
		s.o.Log.Info("the camera's audio is not recorded", zap.Strings("codecs", names))
	}
}

// audio takes a frame of audio; see sink.
func (s *segmenter) audio(frame []byte, rtpTime uint32, now time.Time) {
	if s.sound == nil || s.session == 0 { // video leads
		return
	}
	if !s.admit(len(frame), now) {
		return
	}
	t := &s.sound.timeline
	t.FollowTrack(&s.timeline) // sound stays with the pictures
	if !t.Anchored() {         // it begins where the pictures are, which need not be where the clock is
		s.sound.wait(t.AnchorAt(rtpTime, now, s.timeline.Expected(now)), frame)
		return
	}
	at, jumped := t.Assign(rtpTime, now)
	if jumped {
		s.o.Log.Debug("the timestamps of the camera's audio jumped")
	}
	s.sound.wait(at, frame)
}

// wait keeps a copy of a frame.
func (s *sound) wait(at time.Time, frame []byte) {
	var data []byte
	if n := len(s.spare); n > 0 {
		data, s.spare = s.spare[n-1][:0], s.spare[:n-1]
	}
	s.waiting = append(s.waiting, audioFrame{at, append(data, frame...)})
	s.bytes += len(frame)
}

// drop forgets the n frames that wait the longest.
func (s *sound) drop(n int) {
	for _, f := range s.waiting[:n] {
		s.bytes -= len(f.data)
		if cap(f.data) <= maxSpareAudio {
			s.spare = append(s.spare, f.data)
		}
	}
	s.waiting = s.waiting[:copy(s.waiting, s.waiting[n:])]
}

// writeAudio writes the audio that lies before a picture.
func (s *segmenter) writeAudio(before time.Time) error {
	if s.sound == nil || !s.hasAudio || !s.inFragment {
		return nil
	}
	n := 0
	for _, f := range s.sound.waiting {
		if !f.at.Before(before) {
			break
		}
		if err := s.writeSound(f.at, f.data); err != nil {
			return err
		}
		n++
	}
	s.sound.drop(n)
	return nil
}

// ensureAudio puts silence into a fragment that has no audio yet.
func (s *segmenter) ensureAudio() error {
	if s.sound == nil || !s.hasAudio || s.sound.written {
		return nil
	}
	return s.writeSound(s.fragmentStart, s.sound.silence)
}

func (s *segmenter) writeSound(at time.Time, data []byte) error {
	for _, least := range []time.Time{s.earliest(), s.sound.last.Add(time.Millisecond)} {
		if at.Before(least) {
			at = least
		}
	}
	s.parts = append(s.parts[:0], data)
	if err := s.writer.WriteFrame(audioNumber, at.Sub(s.start), true, s.parts); err != nil {
		return err
	}
	s.sound.last, s.sound.written = at, true
	if at.After(s.newest) {
		s.newest = at
	}
	s.o.numbers.bytes.Add(int64(len(data)))
	s.meter.besides(len(data))
	return nil
}
