package recorder

import (
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// outcome is the result of handling an access unit.
type outcome uint8

const (
	written     outcome = iota // it is in the open segment
	undecodable                // it needs a keyframe first
	failed                     // the segment was given up
	noFrame                    // it has nothing to record
)

// segmenter decides which access units are recorded, and which fragment and segment each goes to. One goroutine uses it at
// a time. Its supervisor counts the frames that it does not write.
type segmenter struct {
	o         *Options
	part      *health.Component
	times     frameTimes
	inspector accessunit.Inspector
	audio     *audioTrack // nil: the camera has none
	sound     soundWatch
	monitor   streamMonitor
	recording recording
	tracks    []mkv.Track // of the newest segment
	gops      fragment.GOPs
	bytes     int64 // of the video that was written

	needKeyframe  bool // nothing can be decoded before the next keyframe
	leading       leadingPictures
	newSegmentDue bool  // the next keyframe starts a segment
	session       int64 // frames of this session
	counting      bool  // missing frames are a gap: there was a keyframe in this session, or damage
	gap           bool  // media is missing before the next frame
}

func newSegmenter(o *Options) *segmenter {
	newest := o.Store.LastEnd(o.Stream)
	s := &segmenter{
		o: o, part: o.Health,
		times:     frameTimes{o: o, timeline: timeline.New(1, newest)},
		monitor:   streamMonitor{o: o},
		recording: recording{o: o, newest: newest},
	}
	s.recording.monitor = &s.monitor
	return s
}

// beginSession starts a session; see accessunit.Sink.
func (s *segmenter) beginSession(c accessunit.Codec, rate int, parameterSets [][]byte, audio *accessunit.AudioTrack) {
	s.audio, s.sound = nil, soundWatch{}
	if audio != nil {
		s.audio = newAudioTrack(s.o, *audio, s.recording.newest)
	}
	s.recording.beginSession(audio)
	s.times.beginSession(rate)
	s.monitor.forgetKeyframes()
	s.gops.Interrupt()
	s.inspector = accessunit.NewInspector(c, parameterSets)
	s.needKeyframe = true
	s.session, s.counting = 0, false
}

// opened receives the timing of the session's first moments; see datedSink.
func (s *segmenter) opened(video, audio timeline.Opening) {
	s.times.timeline.Open(video)
	if s.audio != nil {
		s.audio.timeline.Open(audio)
	}
}

// cameraTime receives the camera's time; see accessunit.Sink.
func (s *segmenter) cameraTime(ntp time.Time, rtpTime uint32) { s.times.camera.Report(ntp, rtpTime) }

// damaged notes that everything up to the next keyframe cannot be decoded.
func (s *segmenter) damaged(frames int64, err error) {
	s.needKeyframe = true
	s.counting = s.counting || err != nil
	s.missed(frames)
	if err != nil {
		s.monitor.reportDamage(damageLoss, err, "Video of the camera arrives damaged, so that frames up to the next keyframe are lost: "+
			"check the network between camera and hub.")
	}
}

// missed notes that frames are missing; see accessunit.Sink.
func (s *segmenter) missed(frames int64) {
	if s.counting && frames > 0 {
		s.gap = true
	}
}

// malformed reports that data was left out which no frame needs.
func (s *segmenter) malformed(err error) {
	s.monitor.reportDamage(damageMalformed, err, "The camera sends data that is not video, which is not recorded: "+
		"update the camera's firmware if this continues.")
}

// accessUnit handles an access unit; see accessunit.Sink.
func (s *segmenter) accessUnit(nalus [][]byte, rtpTime uint32, now time.Time) outcome {
	contents := s.inspector.Inspect(nalus)
	if !contents.Picture {
		return noFrame
	}
	keyframe := contents.Keyframe()
	s.counting = s.counting || keyframe
	producer := s.date(rtpTime, keyframe, now)
	if s.needKeyframe && !keyframe || s.leading.include(rtpTime, keyframe) {
		s.missed(1)
		return undecodable
	}
	if s.needKeyframe && !contents.Closed {
		s.leading = leadingPictures{expected: true, keyframe: rtpTime}
	}
	err := s.writeAudio(producer)
	if err == nil {
		err = s.place(producer, contents, nalus, now)
	}
	if err == nil {
		if !s.recording.fragment.open { // before the first keyframe of a segment
			s.gap = true
			return undecodable
		}
		err = s.write(producer, keyframe, nalus, now)
	}
	if err != nil {
		s.fail(err)
		return failed
	}
	return written
}

// date returns the producer timestamp of an access unit. After the hub's clock was set, times restart from it at a keyframe.
func (s *segmenter) date(rtpTime uint32, keyframe bool, now time.Time) time.Time {
	producer, jumped := s.times.date(rtpTime, now)
	s.newSegmentDue = s.newSegmentDue || jumped
	s.monitor.watchKeyframes(producer, keyframe)
	if !keyframe {
		return producer
	}
	if s.correctTimes(now) {
		return s.redate(rtpTime, now)
	}
	if ahead := s.times.timeline.WallClockLead(now); ahead > 0 {
		logevent.TimesAfterStep.Log(s.o.Log, zap.Duration("step", ahead))
		producer = s.redate(rtpTime, now)
		s.times.epochs.Reset()
	}
	return producer
}

// redate restarts times from the hub's clock, with a new segment.
func (s *segmenter) redate(rtpTime uint32, now time.Time) time.Time {
	s.monitor.forgetKeyframes()
	s.gops.Interrupt()
	s.newSegmentDue = true
	if s.audio != nil {
		s.audio.timeline.Restart()
	}
	return s.times.timeline.AnchorAt(rtpTime, now, now)
}

// correctTimes starts an epoch when the newest time is ahead of a trusted clock, and reports whether it did.
// It must be called at a keyframe.
func (s *segmenter) correctTimes(now time.Time) bool {
	ahead := s.times.epochs.Ahead(s.recording.newest, now)
	if ahead == 0 || !s.times.epochs.CheckDue(now) || s.o.Clock == nil || !s.o.Clock.Trusted() {
		return false
	}
	if s.audio != nil && s.recording.fragment.open { // waiting audio belongs to the previous times
		if err := s.writeAudio(s.recording.newest.Add(fragment.Max)); err != nil {
			s.o.Log.Debug("waiting audio not written", zap.Error(err)) // the segment fails with the same error
		}
		s.audio.dropAll()
	}
	if err := s.recording.seal(); err != nil {
		cannotRecord(s.o, err)
	}
	known := s.times.epochs.Correction()
	if err := s.o.Store.BeginEpoch(s.o.Stream, known.From, known.Until, known.Add, now); err != nil {
		s.times.epochs.PutOff(now)
		logevent.TimesNotCorrected.Log(s.o.Log, zap.Duration("ahead", ahead), zap.Error(err))
		return false
	}
	newest := s.o.Store.LastEnd(s.o.Stream)
	s.recording.newest, s.recording.lastAudio = newest, time.Time{}
	s.times.timeline.Continue(newest)
	if s.audio != nil {
		s.audio.timeline.Continue(newest)
	}
	s.times.epochs.Reset()
	s.times.reportAhead(ahead, known, now)
	return true
}

// place makes sure that the right segment and fragment are open for a frame.
func (s *segmenter) place(producer time.Time, c accessunit.Contents, nalus [][]byte, now time.Time) error {
	if c.Keyframe() {
		return s.placeKeyframe(producer, c.Open && !c.Closed, now)
	}
	r := &s.recording
	bytes := size(nalus)
	if r.writer == nil || !r.fragment.open || !r.upTo(producer).Full(bytes) {
		return nil
	}
	if err := r.moveGOP(producer, bytes); err != nil || !r.upTo(producer).Full(bytes) {
		return err
	}
	return r.beginFragment(producer, false)
}

// size is the size of a frame's NAL units in a file.
func size(nalus [][]byte) int64 {
	n := 0
	for _, nal := range nalus {
		n += 4 + len(nal)
	}
	return int64(n)
}

func (s *segmenter) placeKeyframe(producer time.Time, leading bool, now time.Time) error {
	r := &s.recording
	s.gops.Keyframe(producer, s.bytes)
	if s.inspector.SetsChanged || s.sound.changed || r.writer == nil {
		track, complete := s.inspector.Sets.Track()
		switch {
		case complete:
		case s.inspector.Unreadable:
			return errUnreadableSets
		default:
			return errNoParameterSets
		}
		tracks := []mkv.Track{track}
		if s.audio != nil {
			tracks = append(tracks, s.audio.Track)
		}
		if r.writer != nil && !slices.EqualFunc(tracks, s.tracks, mkv.Track.Equal) {
			s.newSegmentDue = true
		}
		s.tracks = tracks
		s.inspector.SetsChanged, s.sound.changed = false, false
	}
	open := r.fragment.open
	switch {
	case r.writer == nil, s.newSegmentDue, (!open || s.gops.MayEnd(r.upTo(producer))) && r.full(producer):
		return s.beginSegment(producer, leading, now)
	case !open || s.gops.End(r.upTo(producer), s.o.FragmentTarget()):
		return r.beginFragment(producer, true)
	}
	return r.continueFragment(producer)
}

var (
	errNoParameterSets = health.SystemFault(codeUnreadable, nil,
		"The camera sends no parameter sets (VPS, SPS, PPS), so the video cannot be decoded: enable them in its RTSP settings, "+
			"or update its firmware.")
	errUnreadableSets = health.SystemFault(codeUnreadable, nil,
		"The camera sends parameter sets (VPS, SPS, PPS) that cannot be read, so the video is not recorded: "+
			"choose another codec or profile in its settings, or update its firmware.")
)

// beginSegment starts a segment at the frame with the timestamp producer, or earlier when frames may follow that are
// shown before it; then it ends the previous segment. While none can be created the previous one
// continues, if it may.
func (s *segmenter) beginSegment(producer time.Time, leading bool, now time.Time) error {
	r := &s.recording
	if r.writer != nil {
		if err := r.endFragment(); err != nil { // before the next one starts
			r.finish()
		}
	}
	first := r.after(producer)
	start := first
	if leading && !r.newest.IsZero() && first.Sub(r.newest) <= timeline.ReorderLimit {
		start = r.newest.Add(time.Millisecond).UTC()
	}
	header := mkv.Header{Start: start, Title: s.o.Stream, Tracks: s.tracks}
	writer, err := r.create(header)
	if err != nil && r.writer != nil {
		if !s.newSegmentDue && r.goesOn(producer, err) {
			return r.beginFragment(producer, true)
		}
		if r.finish(); retries(err) { // which may have released what was lacking
			writer, err = r.create(header)
		}
	}
	if errors.Is(err, segment.ErrOverlap) { // the store has newer media than this segmenter knows
		r.newest = s.o.Store.LastEnd(s.o.Stream)
		s.times.timeline.Continue(r.newest)
		s.times.timeline.Restart()
	}
	if err != nil {
		return err
	}
	r.open(writer, header, s.inspector.Sets.Clone(), now)
	s.newSegmentDue = false
	return r.beginFragment(first, true)
}

// write adds a frame to the open fragment.
func (s *segmenter) write(producer time.Time, keyframe bool, nalus [][]byte, now time.Time) error {
	at, bytes, err := s.recording.writeVideo(producer, keyframe, nalus, &s.inspector)
	if err != nil {
		return err
	}
	s.needKeyframe = false
	s.bytes += int64(bytes)
	s.times.epochs.Recorded(at)
	s.recorded(bytes, now)
	return s.recording.flush(now)
}

// recorded accounts for a written frame. Each frame reports the state, whatever was reported before.
func (s *segmenter) recorded(bytes int, now time.Time) {
	n := s.o.numbers
	s.part.SetState(stateRecording)
	if s.part.OK(health.ScopeRecord) {
		logevent.RecordingResumed.Log(s.o.Log)
	}
	if s.session == 0 {
		s.o.Served()
		if s.gap {
			n.gaps.Add(1)
			s.gap = false
		}
	}
	s.session++
	n.bytes.Add(int64(bytes))
	s.watchClock(now)
	n.lastFrame.Set(now.UnixMilli())
	s.monitor.frame(bytes, now)
}

// watchClock notes the correction of recorded times, if the clock was set since.
func (s *segmenter) watchClock(now time.Time) { s.times.recorded(s.recording.newest, now) }

// fail closes the segment after an error; the next keyframe tries again.
func (s *segmenter) fail(err error) {
	s.gap = true
	s.needKeyframe = true
	s.session = 0
	if s.audio != nil {
		s.audio.dropAll() // its frames are lost, or were written already
	}
	cannotRecord(s.o, err)
	if err := s.recording.seal(); err != nil {
		s.o.Log.Debug("segment not sealed", zap.Error(err))
	}
}

// endSession completes the open fragment; the segment stays open for the next session.
func (s *segmenter) endSession() {
	if s.session > 0 {
		s.gap = true
	}
	if err := s.recording.endFragment(); err != nil {
		s.fail(err)
	}
	s.times.endSession()
	s.monitor.endSession()
}
