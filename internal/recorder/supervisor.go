package recorder

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// steadyFor is how long a segmenter must run without a panic for the next one to start at once.
const steadyFor = time.Minute

// supervisor passes the video of a session to a segmenter, and survives its panics: it saves
// what is intact, pauses and starts a new segmenter, while the session continues. So an internal
// error costs its camera the frames up to the next keyframe after the pause, and the other cameras nothing.
//
// It counts frames from the outside: each access unit received since the session's first
// recorded one is recorded or lost, whatever state a panic left the segmenter in.
type supervisor struct {
	o           *Options
	segmenter   *segmenter // nil: it panicked, and the next one has not started yet
	cooldown    *backoff.Backoff
	began       time.Time // of the segmenter; by o.Now
	cooldownEnd time.Time // no segmenter starts before it; by o.Now
	gap         bool      // for the next segmenter

	start    func(*segmenter)       // starts the present session; nil before the first
	audio    *accessunit.AudioTrack // the session's audio now; nil: it has none
	counting bool                   // a frame of the session was recorded, or would have been
	frames   int64                  // of the session, written
	account  frameAccount
}

// frameAccount computes how many frames are neither recorded nor lost yet: they are buffered in memory.
type frameAccount struct {
	numbers *numbers
	before  int64 // recorded and lost when the account was opened
	taken   int64 // access units since then
}

func openAccount(n *numbers) frameAccount {
	return frameAccount{numbers: n, before: n.frames.Load() + n.lost.Load()}
}

func (a *frameAccount) take(n int64) { a.taken += n }

// lose counts taken frames as lost.
func (a *frameAccount) lose(n int64) { a.numbers.lost.Add(n) }

// unaccounted is how many frames are neither recorded nor lost.
func (a *frameAccount) unaccounted() int64 {
	return a.taken - (a.numbers.frames.Load() + a.numbers.lost.Load() - a.before)
}

func newSupervisor(o *Options) *supervisor {
	return &supervisor{o: o, cooldown: backoff.New(o.Cooldown), account: openAccount(&o.numbers)}
}

// ready returns a running segmenter: it starts one when there is none and the pause is over.
func (v *supervisor) ready() *segmenter {
	if v.segmenter != nil {
		return v.segmenter
	}
	now := v.o.Now()
	if now.Before(v.cooldownEnd) {
		return nil
	}
	s := newSegmenter(v.o)
	s.gap = v.gap
	v.segmenter, v.began = s, now
	if v.start != nil {
		v.start(s)
	}
	return s
}

// Begin implements accessunit.Sink.
func (v *supervisor) Begin(c accessunit.Codec, rate int, parameterSets [][]byte, audio *accessunit.AudioTrack) {
	defer v.contain()
	v.counting, v.frames = false, 0
	v.audio = audio
	v.start = func(s *segmenter) { s.beginSession(c, rate, parameterSets, v.audio) }
	if v.segmenter != nil {
		v.start(v.segmenter)
		return
	}
	v.ready()
}

// opened implements datedSink.
func (v *supervisor) opened(video, audio timeline.Opening) {
	defer v.contain()
	if s := v.segmenter; s != nil {
		s.opened(video, audio)
	}
}

// AccessUnit implements accessunit.Sink.
func (v *supervisor) AccessUnit(nalus [][]byte, rtpTime uint32, now time.Time) {
	v.account.take(1)
	out := failed // if it panics
	defer v.accountFor(&out)
	defer v.contain()
	if s := v.ready(); s != nil {
		out = s.accessUnit(nalus, rtpTime, now)
	} else {
		v.counting = true // a session may begin while no segmenter works
		out = undecodable
	}
}

// accountFor counts an access unit after it was handled.
func (v *supervisor) accountFor(out *outcome) {
	switch *out {
	case written:
		v.frames++
		v.counting = true
	case failed: // it counts as lost, unless it was written to the file before
		v.counting = true
	case undecodable:
		if v.counting {
			v.account.lose(1)
		} else {
			v.account.take(-1)
		}
	case noFrame:
		v.account.take(-1)
	}
	v.countAsLost()
}

// countAsLost counts as lost the frames that were buffered for a segment that was closed after an error.
func (v *supervisor) countAsLost() {
	if v.segmenter != nil && v.segmenter.recording.writer != nil {
		return
	}
	if n := v.account.unaccounted(); n > 0 {
		v.account.lose(n)
	}
}

// Damaged implements accessunit.Sink.
func (v *supervisor) Damaged(frames int64, err error) {
	v.counting = v.counting || err != nil
	v.lose(frames)
	defer v.contain()
	if s := v.segmenter; s != nil {
		s.damaged(frames, err)
	}
}

// Missed implements accessunit.Sink.
func (v *supervisor) Missed(frames int64) {
	v.lose(frames)
	defer v.contain()
	if s := v.segmenter; s != nil {
		s.missed(frames)
	}
}

// lose counts frames that did not arrive.
func (v *supervisor) lose(frames int64) {
	if v.counting && frames > 0 {
		v.account.take(frames)
		v.account.lose(frames)
	}
}

// Audio implements accessunit.Sink.
func (v *supervisor) Audio(frame []byte, rtpTime uint32, now time.Time) {
	defer v.contain()
	if s := v.segmenter; s != nil {
		s.audioFrame(frame, rtpTime, now)
	}
}

// ChangeAudio implements accessunit.Sink.
func (v *supervisor) ChangeAudio(audio *accessunit.AudioTrack) {
	defer v.contain()
	v.audio = audio
	if s := v.segmenter; s != nil {
		s.changeAudio(audio)
	}
}

// AudioLost implements accessunit.Sink.
func (v *supervisor) AudioLost(packets int64) {
	defer v.contain()
	if s := v.segmenter; s != nil {
		s.audioLost(packets)
	}
}

// UnsupportedAudio implements accessunit.Sink.
func (v *supervisor) UnsupportedAudio(names []string) {
	defer v.contain()
	if s := v.ready(); s != nil {
		s.unsupportedAudio(names)
	}
}

// LeftOut implements accessunit.Sink.
func (v *supervisor) LeftOut(tracks []string) {
	defer v.contain()
	if s := v.ready(); s != nil {
		s.monitor.leftOut(tracks)
	}
}

// Foreign implements accessunit.Sink.
func (v *supervisor) Foreign(packets int64, from string, stranger bool) {
	defer v.contain()
	v.o.numbers.foreign.Add(packets)
	if s := v.ready(); s != nil {
		s.foreign(from, stranger)
	}
}

// CameraTime implements accessunit.Sink.
func (v *supervisor) CameraTime(ntp time.Time, rtpTime uint32) {
	defer v.contain()
	if s := v.segmenter; s != nil {
		s.cameraTime(ntp, rtpTime)
	}
}

// Malformed implements accessunit.Sink.
func (v *supervisor) Malformed(err error) {
	defer v.contain()
	if s := v.segmenter; s != nil {
		s.malformed(err)
	}
}

// Panicked implements accessunit.Sink.
func (v *supervisor) Panicked(frames int64, value any) (until time.Time) {
	v.account.take(frames)
	v.account.lose(frames)
	v.abandon(value)
	return v.cooldownEnd
}

// endSession completes the open fragment; the segment stays open for the next session.
func (v *supervisor) endSession() {
	defer v.countAsLost()
	defer v.contain()
	defer v.o.Health.OK(sessionScopes...)
	if v.segmenter != nil {
		v.segmenter.endSession()
	}
}

// idle is how long nothing has been written to the open segment; 0 when there is none.
func (v *supervisor) idle() time.Duration {
	if v.segmenter == nil || v.segmenter.recording.writer == nil {
		return 0
	}
	return v.o.Now().Sub(v.segmenter.recording.segment.flushed)
}

// seal finishes the open segment, if there is one.
func (v *supervisor) seal() (err error) {
	defer v.countAsLost()
	defer v.contain()
	if v.segmenter != nil {
		err = v.segmenter.recording.seal()
	}
	return err
}

// checkClock notes the correction of recorded times, when the clock was set and no frame has done so.
func (v *supervisor) checkClock() {
	defer v.contain()
	if now := v.o.Now(); v.segmenter != nil && !hubclock.Unset(now) {
		v.segmenter.watchClock(now)
	}
}

// contain is deferred around everything that a segmenter does.
func (v *supervisor) contain() {
	if p := recover(); p != nil {
		v.abandon(p)
	}
}

// abandon discards the segmenter after a panic: its state cannot be trusted.
func (v *supervisor) abandon(value any) {
	cause := supervise.PanicError(value)
	fault := health.SystemFault(codeInternal, cause,
		"An internal error stopped the recording of this stream; "+
			"it resumes at a keyframe, after a pause that grows if the error is repeated. Please report it with the log.")
	if v.o.Health.Report(health.ScopeRecord, health.Failed, fault) {
		logevent.Condition(v.o.Log, fault)
	}
	v.o.Health.OK(pictureScopes...)
	v.o.Health.SetState(statePaused)
	now := v.o.Now()
	if v.segmenter != nil {
		if now.Sub(v.began) >= steadyFor {
			v.cooldown.Reset()
		}
		v.salvage(&v.segmenter.recording)
	}
	v.segmenter, v.gap, v.counting = nil, true, true
	v.cooldownEnd = now.Add(v.cooldown.Next())
	v.countAsLost()
}

// salvage finishes the segment that was open, with everything that is intact.
func (v *supervisor) salvage(r *recording) {
	v.try(r.seal)
	for _, w := range []segmentWriter{r.last, r.next} {
		if w != nil {
			v.try(w.Seal)    // a sealed segment is not changed
			v.try(w.Abandon) // and neither is one that is no longer being written
		}
	}
	if w := r.last; w != nil {
		v.try(func() error { r.count(w); return nil })
	}
}

// try runs f, which may fail or panic, so that the steps after it are taken all the same.
func (v *supervisor) try(f func() error) {
	defer func() {
		if p := recover(); p != nil {
			logevent.SegmentNotSaved.Log(v.o.Log, zap.Error(supervise.PanicError(p)))
		}
	}()
	if err := f(); err != nil {
		v.o.Log.Debug("segment not finished", zap.Error(err))
	}
}
