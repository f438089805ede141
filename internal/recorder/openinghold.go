package recorder

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// openBytes bounds how much of a session's first moments is held back.
const openBytes = 8 << 20

// datedSink is a sink that also accepts the timing of a session's opening.
type datedSink interface {
	accessunit.Sink
	// opened receives the measured timing of the video and of the audio, before their first frames.
	opened(video, audio timeline.Opening)
}

// openingHold holds back the first moments of a session until it is known how long the first frames were delayed:
// a camera may send at once what it has buffered, and a written frame cannot be dated back.
// After that everything is passed on directly. Times of arrival are kept.
type openingHold struct {
	to      datedSink
	holds   bool // else everything is passed on directly
	holding bool
	gauge   [2]timeline.OpeningGauge // of the video and of the audio
	audio   *accessunit.AudioTrack   // as last changed during the hold, before its first frame
	hears   bool                     // a frame of audio has arrived
	bytes   int
	held    []func()
}

func newOpeningHold(to datedSink, holds bool) *openingHold { return &openingHold{to: to, holds: holds} }

// Begin implements accessunit.Sink.
func (h *openingHold) Begin(c accessunit.Codec, rate int, parameterSets [][]byte, audio *accessunit.AudioTrack) {
	h.release()
	h.to.Begin(c, rate, parameterSets, audio)
	h.holding = h.holds
	h.gauge[0] = timeline.NewOpeningGauge(rate)
	if h.hears = audio != nil; h.hears {
		h.gauge[1] = timeline.NewOpeningGauge(audio.Rate)
	}
}

// ChangeAudio implements accessunit.Sink. A change before the first frame of audio counts from the start of the session, so
// that the first segment has a track for it.
func (h *openingHold) ChangeAudio(audio *accessunit.AudioTrack) {
	if !h.holding || h.hears {
		h.do(func() { h.to.ChangeAudio(audio) })
		return
	}
	h.audio, h.hears = audio, true
	h.gauge[1] = timeline.NewOpeningGauge(audio.Rate)
}

// AudioLost implements accessunit.Sink.
func (h *openingHold) AudioLost(packets int64) { h.do(func() { h.to.AudioLost(packets) }) }

// release passes on everything that is held back.
func (h *openingHold) release() {
	if !h.holding {
		return
	}
	held := h.held
	h.holding, h.held, h.bytes = false, nil, 0
	if h.audio != nil {
		h.to.ChangeAudio(h.audio)
		h.audio = nil
	}
	h.to.opened(h.gauge[0].Measure(), h.gauge[1].Measure())
	h.gauge = [2]timeline.OpeningGauge{}
	for _, hand := range held {
		hand()
	}
}

// do calls what now, or after everything held back before it has been passed on.
func (h *openingHold) do(what func()) {
	if !h.holding {
		what()
		return
	}
	h.held = append(h.held, what)
	if len(h.held) > 2*timeline.OpeningUnits {
		h.release()
	}
}

// AccessUnit implements accessunit.Sink.
func (h *openingHold) AccessUnit(nalus [][]byte, rtpTime uint32, now time.Time) {
	if !h.holding {
		h.to.AccessUnit(nalus, rtpTime, now)
		return
	}
	own := make([][]byte, len(nalus))
	for i, nal := range nalus {
		own[i] = append([]byte(nil), nal...)
		h.bytes += len(nal)
	}
	h.do(func() { h.to.AccessUnit(own, rtpTime, now) })
	if h.holding && h.gauge[0].Add(rtpTime, now) || h.bytes > openBytes {
		h.release()
	}
}

// Audio implements accessunit.Sink.
func (h *openingHold) Audio(frame []byte, rtpTime uint32, now time.Time) {
	if !h.holding {
		h.to.Audio(frame, rtpTime, now)
		return
	}
	own := append([]byte(nil), frame...)
	h.bytes += len(own)
	h.gauge[1].Add(rtpTime, now)
	h.do(func() { h.to.Audio(own, rtpTime, now) })
	if h.bytes > openBytes {
		h.release()
	}
}

// Damaged implements accessunit.Sink.
func (h *openingHold) Damaged(frames int64, err error) { h.do(func() { h.to.Damaged(frames, err) }) }

// Missed implements accessunit.Sink.
func (h *openingHold) Missed(frames int64) { h.do(func() { h.to.Missed(frames) }) }

// UnsupportedAudio implements accessunit.Sink.
func (h *openingHold) UnsupportedAudio(names []string) { h.do(func() { h.to.UnsupportedAudio(names) }) }

// LeftOut implements accessunit.Sink.
func (h *openingHold) LeftOut(tracks []string) { h.do(func() { h.to.LeftOut(tracks) }) }

// Foreign implements accessunit.Sink.
func (h *openingHold) Foreign(packets int64, from string, stranger bool) {
	h.do(func() { h.to.Foreign(packets, from, stranger) })
}

// CameraTime implements accessunit.Sink.
func (h *openingHold) CameraTime(ntp time.Time, rtpTime uint32) {
	h.do(func() { h.to.CameraTime(ntp, rtpTime) })
}

// Malformed implements accessunit.Sink.
func (h *openingHold) Malformed(err error) { h.do(func() { h.to.Malformed(err) }) }

// Panicked implements accessunit.Sink.
func (h *openingHold) Panicked(frames int64, value any) (until time.Time) {
	h.release()
	return h.to.Panicked(frames, value)
}
