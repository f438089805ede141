package recorder

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// openBytes bounds what is held back of a session's first moments.
const openBytes = 8 << 20

// datedSink is a sink that is told of a session's opening.
type datedSink interface {
	sink
	// opened tells what is known of the video and of the audio, before their first frames.
	opened(video, audio timeline.Opening)
}

// openingHold holds the first moments of a session back, until it is known by how much what comes first was held
// up on its way: a camera may send at once what it has kept, and a frame that is written cannot be dated back.
// After that everything goes straight on. Arrivals stay as they were.
type openingHold struct {
	to      datedSink
	holds   bool // else everything goes straight on
	holding bool
	gauge   [2]timeline.OpeningGauge // of the video and of the audio
	bytes   int
	held    []func()
}

func newOpeningHold(to datedSink, holds bool) *openingHold { return &openingHold{to: to, holds: holds} }

// begin implements sink.
func (h *openingHold) begin(c codec, rate int, parameterSets [][]byte, audio *audioTrack) {
	h.release()
	h.to.begin(c, rate, parameterSets, audio)
	h.holding = h.holds
	h.gauge[0] = timeline.NewOpeningGauge(rate)
	if audio != nil {
		h.gauge[1] = timeline.NewOpeningGauge(audio.rate)
	}
}

// release hands everything over that is held back.
func (h *openingHold) release() {
	if !h.holding {
		return
	}
	held := h.held
	h.holding, h.held, h.bytes = false, nil, 0
	h.to.opened(h.gauge[0].Measure(), h.gauge[1].Measure())
	h.gauge = [2]timeline.OpeningGauge{}
	for _, hand := range held {
		hand()
	}
}

// do does something now, or when what was held back before it has been handed over.
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

// accessUnit implements sink.
func (h *openingHold) accessUnit(nalus [][]byte, rtpTime uint32, now time.Time) {
	if !h.holding {
		h.to.accessUnit(nalus, rtpTime, now)
		return
	}
	own := make([][]byte, len(nalus))
	for i, nal := range nalus {
		own[i] = append([]byte(nil), nal...)
		h.bytes += len(nal)
	}
	h.do(func() { h.to.accessUnit(own, rtpTime, now) })
	if h.holding && h.gauge[0].Add(rtpTime, now) || h.bytes > openBytes {
		h.release()
	}
}

// audio implements sink.
func (h *openingHold) audio(frame []byte, rtpTime uint32, now time.Time) {
	if !h.holding {
		h.to.audio(frame, rtpTime, now)
		return
	}
	own := append([]byte(nil), frame...)
	h.bytes += len(own)
	h.gauge[1].Add(rtpTime, now)
	h.do(func() { h.to.audio(own, rtpTime, now) })
	if h.bytes > openBytes {
		h.release()
	}
}

// damaged implements sink.
func (h *openingHold) damaged(frames int64, err error) { h.do(func() { h.to.damaged(frames, err) }) }

// missed implements sink.
func (h *openingHold) missed(frames int64) { h.do(func() { h.to.missed(frames) }) }

// audioLeft implements sink.
func (h *openingHold) audioLeft(names []string) { h.do(func() { h.to.audioLeft(names) }) }

// cameraTime implements sink.
func (h *openingHold) cameraTime(ntp time.Time, rtpTime uint32) {
	h.do(func() { h.to.cameraTime(ntp, rtpTime) })
}

// noticed implements sink.
func (h *openingHold) noticed(err error) { h.do(func() { h.to.noticed(err) }) }

// panicked implements sink.
func (h *openingHold) panicked(frames int64, value any) (until time.Time) {
	h.release()
	return h.to.panicked(frames, value)
}
