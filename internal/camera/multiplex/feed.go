// Package multiplex plays an MPEG transport stream that a camera sends in RTP (RFC 2250) into an accessunit.Sink: its video as
// that of any camera, and its audio. It does not know how packets are received.
package multiplex

import (
	"errors"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mpegts"
)

const (
	// patience is how long the start of a session waits for parts of the stream: the tables of its programs, which are repeated
	// every 0.1 to 0.5 s, and a frame of its audio.
	patience = 1500 * time.Millisecond
	// refusal is the time after which a stream without video that can be recorded is abandoned.
	refusal = 3 * time.Second
	// maxHeld bounds the data held in that time, in bytes, and maxHeldUnits in access units and frames of audio.
	maxHeld      = 8 << 20
	maxHeldUnits = 2000

	// maxRepeat is how far a sequence number may go back and be a duplicate, and maxDropout how far ahead and be a
	// loss. Source: RFC 3550, appendix A.1.
	maxRepeat  = 64
	maxDropout = 3000

	// maxSkew bounds how far audio may be before or after the video that arrives with it.
	maxSkew = 3 * time.Second
	// maxMissing stands for an unknown number of packets.
	maxMissing = 1000
)

// ErrScrambled: the video is encrypted.
var ErrScrambled = errors.New("the video of the transport stream is scrambled")

// NoVideoError: a stream has no video that can be recorded.
type NoVideoError struct {
	Codecs []string // of its streams
}

// Error names the codecs.
func (e *NoVideoError) Error() string {
	return "the transport stream has no video but " + strings.Join(e.Codecs, ", ")
}

// Options of a Feed.
type Options struct {
	// MaxBytes is the largest size of an access unit: accessunit.MaxBytes, or less. Required.
	MaxBytes int
	// NoAudio leaves the audio out.
	NoAudio bool
	// WrapCodec lets tests inject faults into the codec. Default none.
	WrapCodec func(accessunit.Codec) accessunit.Codec
}

// Feed accepts the RTP packets of a session, in order of their sequence numbers. It starts the session of its sink when it
// knows the tracks of the stream. One goroutine uses it at a time.
type Feed struct {
	Options
	to      accessunit.Sink
	demuxer *mpegts.Demuxer

	started  bool   // there was a packet
	sequence uint16 // of the last one
	rtpTime  uint32
	first    time.Time // when the first packet arrived
	now      time.Time // when the last one did
	before   time.Time // when the previous one did
	ending   bool      // the started access units are not continued
	broken   bool      // the demuxer panicked, and the packets since then are missing

	tracks  mpegts.Tracks
	playing bool
	units   *accessunit.Units // nil before the start
	codec   string
	audio   *audio.Format // at the start of the session
	plays   bool          // it is recorded
	held    []func()      // what arrived before the start
	bytes   int           // size of held

	// The last access unit.
	shown   bool
	at      int64
	arrival time.Time

	ahead      uint32 // distance from RTP timestamps to the video's
	aheadKnown bool
}

// New returns a Feed into a sink.
func New(o Options, to accessunit.Sink) *Feed {
	f := &Feed{Options: o, to: to}
	f.demuxer = mpegts.NewDemuxer(f, o.MaxBytes)
	return f
}

// Push adds the next packet. An error ends the session.
func (f *Feed) Push(p accessunit.Packet, now time.Time) error {
	defer f.recoverPacket()
	if !f.arrive(p, now) {
		return nil
	}
	if len(p.Payload) == 0 {
		return nil // its number belongs to another track
	}
	if f.demuxer.Write(p.Payload) != nil {
		return accessunit.ErrHuge
	}
	return f.decide()
}

// arrive notes a packet, and reports whether it is not a duplicate.
func (f *Feed) arrive(p accessunit.Packet, now time.Time) bool {
	if !f.started {
		f.first, f.now = now, now
	} else if ahead := int16(p.Sequence - f.sequence); ahead != 1 {
		switch {
		case ahead <= 0 && ahead > -maxRepeat: // or from a camera that does not count
			if !f.demuxer.Continues(p.Payload) {
				return false
			}
		case ahead > 0 && ahead <= maxDropout:
			f.demuxer.Lost(int(ahead) - 1)
		}
	}
	f.started, f.sequence, f.rtpTime = true, p.Sequence, p.Timestamp
	f.before, f.now = f.now, now
	if f.first.IsZero() {
		f.first, f.before = now, now
	}
	return true
}

// recoverPacket must be the deferred function itself, as it calls recover. A new demuxer continues: times show what is missing.
func (f *Feed) recoverPacket() {
	if value := recover(); value != nil {
		f.to.Panicked(0, value)
		f.demuxer, f.broken = mpegts.NewDemuxer(f, f.MaxBytes), true
	}
}

// decide starts the session when the tracks are known, and ends it when they cannot be recorded.
func (f *Feed) decide() error {
	waited := f.now.Sub(f.first)
	t := f.tracks
	switch {
	case t.Scrambled:
		return ErrScrambled
	case f.playing:
	case t.Video != "" && (t.Settled || f.NoAudio || waited >= patience || f.bytes > maxHeld || len(f.held) > maxHeldUnits):
		f.begin()
	case t.Video == "" && t.Settled && waited >= refusal:
		return &NoVideoError{t.Others}
	}
	return nil
}

// begin starts the session of the sink, or another one where the stream has changed.
func (f *Feed) begin() {
	if f.units != nil {
		f.units.Flush()
	}
	codec := accessunit.H264
	if f.codec = f.tracks.Video; f.codec == mpegts.H265 {
		codec = accessunit.H265
	}
	if f.WrapCodec != nil {
		codec = f.WrapCodec(codec)
	}
	f.playing, f.units = true, accessunit.NewUnits(codec, f.to)
	f.to.Begin(codec, mpegts.Clock, nil, f.chooseAudio())
	f.to.LeftOut(nil)
	held := f.held
	f.held, f.bytes = nil, 0
	for _, hand := range held {
		hand()
	}
}

// chooseAudio returns the recorded audio, and reports audio that is not.
func (f *Feed) chooseAudio() *accessunit.AudioTrack {
	f.audio, f.plays = f.tracks.Audio, false
	if f.NoAudio {
		return nil
	}
	if f.audio == nil {
		f.to.UnsupportedAudio(f.tracks.OtherAudio)
		return nil
	}
	f.to.UnsupportedAudio(nil)
	f.plays = true
	return accessunit.NewAudioTrack(*f.audio, mpegts.Clock)
}

// Tracks implements mpegts.Handler.
func (f *Feed) Tracks(t mpegts.Tracks) {
	if !f.playing && (t.Video != f.tracks.Video || t.PID != f.tracks.PID) {
		f.held, f.bytes = nil, 0 // of a program that was not chosen
	}
	f.tracks = t
	another := t.Video != "" && t.Video != f.codec
	heard := t.Audio != nil && !f.NoAudio && (f.audio == nil || !mpegts.SameFormat(*f.audio, *t.Audio))
	switch {
	case f.playing && another:
		f.begin()
	case f.playing && heard:
		f.to.ChangeAudio(f.chooseAudio())
	}
}

// AccessUnit implements mpegts.Handler.
func (f *Feed) AccessUnit(u mpegts.AccessUnit) {
	unit := accessunit.Unit{NALUs: u.NALUs, Timestamp: uint32(u.At), Missing: u.Missing, Torn: u.Torn}
	if !u.Timed {
		unit.Timestamp = f.rtpTime
	}
	if f.broken {
		unit.Missing, f.broken = maxMissing, false
	}
	arrival := f.before
	if u.Ended {
		arrival = f.now
	}
	if f.ending && u.Torn {
		f.endTorn(u.Ended)
		return
	}
	f.shown, f.at, f.arrival = true, u.At, arrival
	f.compare(unit.Timestamp)
	if f.playing {
		f.units.Push(unit, arrival)
		return
	}
	own := make([][]byte, len(unit.NALUs))
	for i, nal := range unit.NALUs {
		own[i] = append([]byte(nil), nal...)
		f.bytes += len(nal)
	}
	unit.NALUs = own
	f.held = append(f.held, func() { f.units.Push(unit, arrival) })
}

// endTorn ends the last access unit, which may be incomplete: without a cut at its end this is unknown.
func (f *Feed) endTorn(ended bool) {
	if ended && f.playing {
		f.to.Damaged(1, nil)
	}
}

// compare follows the distance of RTP timestamps from those of the video: a constant, as long as neither jumps.
func (f *Feed) compare(timestamp uint32) {
	ahead := timestamp - f.rtpTime
	if off := int32(ahead - f.ahead); !f.aheadKnown || off > mpegts.Clock || off < -mpegts.Clock {
		f.ahead, f.aheadKnown = ahead, true
	}
}

// Time returns the video's timestamp for an RTP timestamp, once the distance is known.
func (f *Feed) Time(rtpTime uint32) (timestamp uint32, ok bool) {
	return rtpTime + f.ahead, f.aheadKnown
}

// AudioFrame implements mpegts.Handler. Audio arrives when the multiplexer inserts it into the video: it is treated as if it arrived
// with the video of its time.
func (f *Feed) AudioFrame(data []byte, at int64) {
	if !f.shown || f.NoAudio || f.playing && !f.plays {
		return
	}
	skew := time.Duration(mpegts.TimeStep(f.at, at)) * time.Second / mpegts.Clock
	if skew > maxSkew || skew < -maxSkew {
		return
	}
	arrival := f.arrival.Add(skew)
	if f.playing {
		f.to.Audio(data, uint32(at), arrival)
		return
	}
	own := append([]byte(nil), data...)
	f.bytes += len(own)
	f.held = append(f.held, func() {
		if f.plays {
			f.to.Audio(own, uint32(at), arrival)
		}
	})
}

// Progress returns how much video has arrived.
func (f *Feed) Progress() accessunit.Progress {
	if f.units == nil {
		return accessunit.Progress{}
	}
	return f.units.Progress(f.demuxer.Pending())
}

// ChangeSSRC switches to another SSRC, before its first packet is pushed. It reports whether the new SSRC has other sequence numbers.
func (f *Feed) ChangeSSRC(sequence uint16) (restarts bool) {
	if !f.started || sequence-f.sequence-1 < maxRepeat {
		return false
	}
	defer f.recoverPacket()
	f.ending = true
	f.demuxer.Restart()
	f.ending, f.started = false, false
	return true
}

// Expect sets the first packet that the camera announced, before the first Push.
func (f *Feed) Expect(sequence uint16, _ uint32) { f.started, f.sequence = true, sequence-1 }

// Flush emits the last access unit at the end of the session.
func (f *Feed) Flush() {
	defer f.recoverPacket()
	f.ending = true
	f.demuxer.Flush()
	if f.units != nil {
		f.units.Flush()
	}
}

// Undefined returns nil: everything unknown in a stream can be skipped.
func (f *Feed) Undefined() error { return nil }

// Contain calls do for any other step of a session. A panic there is reported as one that costs no frame.
func (f *Feed) Contain(do func()) {
	defer func() {
		if value := recover(); value != nil {
			f.to.Panicked(0, value)
		}
	}()
	do()
}
