package recorder

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// Fragments on disk obey the limits of KVS, with some room, so that uploading never has to cut them: a fragment
// ends with the frame that comes next, and gets a head, tags and sound beside the frames that are counted.
const (
	minFragment      = kvslimit.MinFragment
	maxFragment      = kvslimit.MaxFragment - time.Second
	maxFragmentBytes = kvslimit.FragmentBytes / 10 * 9
)

// cleanFor is how long a session must bring nothing damaged before status is silent about it.
const cleanFor = time.Minute

// segmentWriter is what the segmenter needs of a *segment.Writer.
type segmentWriter interface {
	Key() segment.Key
	Bytes() int64
	Written() int
	BeginFragment(start time.Duration, keyframe bool) error
	WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error
	EndFragment() (mkv.Fragment, error)
	Flush() error
	InDoubt() bool
	Seal() error
	Abandon() error
}

// outcome is what became of an access unit.
type outcome uint8

const (
	written     outcome = iota // it is in the open segment
	undecodable                // a keyframe has to come first
	failed                     // the segment was given up
	noPicture                  // there is nothing to record in it
)

// segmenter turns access units into fragments and segments. One goroutine uses it at a time. Its
// supervisor counts what it does not write.
type segmenter struct {
	o    *Options
	part *health.Part

	timeline timeline.Timeline
	clock    timeline.CameraClock
	unsynced timeline.UnsyncedClock
	epochs   timeline.EpochWatch
	accessunit.Inspector
	inForce  accessunit.ParameterSets // those in the open segment's header
	tracks   []mkv.Track              // of the open segment
	sound    *sound                   // nil: the camera has no audio
	hasAudio bool                     // the open segment has a track for it

	writer        segmentWriter // nil: no segment is open
	last          segmentWriter // the newest one, open or not
	next          segmentWriter // created, while the one before is still being finished
	start         time.Time     // of the segment
	inFragment    bool
	fragmentStart time.Time
	fragmentAt    int64     // size of the segment when the fragment began
	newest        time.Time // newest producer time written
	frames        int       // of the segment
	inFile        int       // of these, as far as they are counted as recorded
	flushed       time.Time // when the buffer was last written, by arrival
	needKeyframe  bool      // nothing can be decoded before the next one
	before        time.Time // newest producer time of the fragments before the open one
	orphans       bool      // pictures before orphansBefore look back to what is not recorded
	orphansBefore uint32    // an RTP timestamp
	cut           bool      // the next keyframe begins a segment

	session    int64  // frames of this session
	counting   bool   // frames that are missing make a gap: there was a keyframe in this session, or damage
	gap        bool   // media is missing before the next frame
	damage     damage // what status tells of
	damagedAt  time.Time
	keyAt      time.Time           // of the last keyframe of this session
	longGOP    bool                // status tells that keyframes are rare
	constant   bool                // status tells that timestamps stand still
	paced      bool                // status tells of the pace of the camera's clock
	jumpedAt   time.Time           // when a segment began for a jump of the timestamps
	trustAsked time.Time           // when the hub's clock was asked whether it can be trusted, for the camera's
	shownClock timeline.ClockState // what status says of the camera's clock
	meter      meter
	parts      [][]byte // reused
}

func newSegmenter(o *Options) *segmenter {
	newest := o.Store.LastEnd(o.Stream)
	return &segmenter{o: o, part: o.Health, newest: newest, timeline: timeline.New(1, newest)}
}

// begin begins a session; see sink.
func (s *segmenter) begin(c accessunit.Codec, rate int, parameterSets [][]byte, audio *accessunit.AudioTrack) {
	s.sound = nil
	if audio != nil {
		s.sound = &sound{AudioTrack: *audio}
		s.sound.timeline = timeline.NewAudio(audio.Rate, s.newest)
	}
	s.timeline.BeginSession(rate)
	s.clock.BeginSession(rate)
	s.Inspector = accessunit.NewInspector(c, parameterSets)
	s.needKeyframe = true
	s.session, s.counting = 0, false
	s.keyAt = time.Time{}
}

// opened takes what is known of the session's first moments; see datedSink.
func (s *segmenter) opened(video, audio timeline.Opening) {
	s.timeline.Open(video)
	if s.sound != nil {
		s.sound.timeline.Open(audio)
	}
}

// damaged notes that what follows up to the next keyframe cannot be decoded.
func (s *segmenter) damaged(frames int64, err error) {
	s.needKeyframe = true
	s.counting = s.counting || err != nil
	s.missed(frames)
	if err != nil {
		s.tellDamage(damageLoss, err, "Video of the camera arrives damaged, so that frames up to the next keyframe are lost: check the network between camera and hub.")
	}
}

// missed notes that frames are missing; see sink.
func (s *segmenter) missed(frames int64) {
	if s.counting && frames > 0 {
		s.gap = true
	}
}

// noticed tells that something was left out that no picture misses.
func (s *segmenter) noticed(err error) {
	s.tellDamage(damageNoise, err, "The camera sends data that is no video, which is left out of the recording: update the camera's firmware if this stays.")
}

// damage is how bad an episode of damage is.
type damage uint8

const (
	damageNone damage = iota
	damageNoise
	damageLoss
)

// tellDamage reports an episode of damage once, and again when it gets worse: a flood of it must
// cost nothing.
func (s *segmenter) tellDamage(d damage, err error, text string) {
	s.damagedAt = s.o.Now()
	if d <= s.damage || s.frozen() {
		return
	}
	s.damage = d
	if s.part.Report(scopeDamage, health.Degraded, health.SystemFault(codeUnreadable, err, "%s", text)) {
		s.o.Log.Warn("video arrives damaged", zap.Error(err))
	}
}

// accessUnit takes an access unit; see sink.
func (s *segmenter) accessUnit(nalus [][]byte, rtpTime uint32, now time.Time) outcome {
	picture := s.Inspect(nalus)
	if !picture.Picture {
		return noPicture
	}
	keyframe := picture.Keyframe()
	s.counting = s.counting || keyframe
	producer := s.date(rtpTime, keyframe, now)
	if s.needKeyframe && !keyframe || s.orphan(rtpTime, keyframe) {
		s.missed(1)
		return undecodable
	}
	if s.needKeyframe && !picture.Closed {
		s.orphans, s.orphansBefore = true, rtpTime
	}
	err := s.writeAudio(producer)
	if err == nil {
		err = s.place(producer, picture, nalus, now)
	}
	if err == nil {
		if !s.inFragment { // before the first keyframe of a segment
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

// orphan reports whether a picture looks back, past the keyframe that recording began with: one
// that comes after an open keyframe but is shown before it.
func (s *segmenter) orphan(rtpTime uint32, keyframe bool) bool {
	if !s.orphans {
		return false
	}
	if keyframe || int32(rtpTime-s.orphansBefore) > 0 {
		s.orphans = false
	}
	return s.orphans
}

// place sees to it that the right segment and fragment are open for a frame.
func (s *segmenter) place(producer time.Time, p accessunit.Contents, nalus [][]byte, now time.Time) error {
	if p.Keyframe() {
		return s.placeKeyframe(producer, p.Open && !p.Closed, now)
	}
	if s.writer != nil && s.inFragment && (producer.Sub(s.fragmentStart) > maxFragment ||
		s.writer.Bytes()-s.fragmentAt+size(nalus) > maxFragmentBytes) {
		return s.beginFragment(producer, false)
	}
	return nil
}

// size is what the NAL units of a frame take in a file.
func size(nalus [][]byte) int64 {
	n := 0
	for _, nal := range nalus {
		n += 4 + len(nal)
	}
	return int64(n)
}

func (s *segmenter) placeKeyframe(producer time.Time, leading bool, now time.Time) error {
	if s.SetsChanged || s.writer == nil {
		track, complete := s.Sets.Track()
		if !complete {
			return errNoParameterSets
		}
		tracks := []mkv.Track{track}
		if s.sound != nil {
			tracks = append(tracks, s.sound.Track)
		}
		if s.writer != nil && !slices.EqualFunc(tracks, s.tracks, mkv.Track.Equal) {
			s.cut = true
		}
		s.tracks = tracks
		s.SetsChanged = false
	}
	long := !s.inFragment || producer.Sub(s.fragmentStart) >= minFragment
	switch {
	case s.writer == nil, s.cut, long && s.full(producer):
		return s.beginSegment(producer, leading, now)
	case long:
		return s.beginFragment(producer, true)
	}
	return nil // a GOP of less than a second joins the one before
}

var errNoParameterSets = health.SystemFault(codeUnreadable, nil,
	"The camera sends no parameter sets (VPS, SPS, PPS), so that nothing can be decoded: enable them in its RTSP settings, or update its firmware.")

// full reports whether the segment has reached its time or size, or its disk may have lost some of it.
func (s *segmenter) full(producer time.Time) bool {
	if producer.Sub(s.start) >= s.o.SegmentDuration || s.writer.InDoubt() {
		return true
	}
	// The fragment that comes is taken to be as large as the last one.
	limit := s.o.MaxSegmentBytes()
	return limit > 0 && 2*s.writer.Bytes()-s.fragmentAt > limit
}

// beginSegment begins a segment that starts with the frame at producer, or, when pictures may follow
// that are shown before it, as much earlier; then it ends the one before. While none can be created
// the one before goes on, if it may.
func (s *segmenter) beginSegment(producer time.Time, leading bool, now time.Time) error {
	if s.writer != nil {
		if err := s.endFragment(); err != nil { // the store must know its end
			s.finish()
		}
	}
	first := s.after(producer)
	start := first
	if leading && !s.newest.IsZero() && first.Sub(s.newest) <= timeline.ReorderLimit {
		start = s.newest.Add(time.Millisecond).UTC()
	}
	header := mkv.Header{Start: start, Title: s.o.Stream, Tracks: s.tracks}
	writer, err := s.create(header)
	if err != nil && s.writer != nil {
		if s.goesOn(producer, err) {
			return s.beginFragment(producer, true)
		}
		if s.finish(); retries(err) { // which may have given back what was lacking
			writer, err = s.create(header)
		}
	}
	if errors.Is(err, segment.ErrOverlap) { // the store knows of newer media than we do
		s.newest = s.o.Store.LastEnd(s.o.Stream)
		s.timeline.Continue(s.newest)
		s.timeline.Restart()
	}
	if err != nil {
		return err
	}
	s.part.OK(scopeNext)
	s.next = writer
	s.finish()
	s.writer, s.last, s.next = writer, writer, nil
	s.start, s.frames, s.inFile, s.flushed = start, 0, 0, now
	s.inForce = s.Sets.Clone()
	s.hasAudio = len(s.tracks) > 1
	s.cut = false
	return s.beginFragment(first, true)
}

func (s *segmenter) create(h mkv.Header) (segmentWriter, error) {
	w, err := s.o.Store.Create(s.o.Stream, h)
	if err != nil {
		return nil, err
	}
	if s.o.wrapWriter != nil {
		return s.o.wrapWriter(w), nil
	}
	return w, nil
}

// after gives the time of a frame that begins a fragment: every fragment's earliest frame lies
// after the latest of the one before (KVS API, PutMedia).
func (s *segmenter) after(producer time.Time) time.Time {
	if !producer.After(s.newest) {
		producer = s.newest.Add(time.Millisecond)
	}
	return producer.UTC()
}

func (s *segmenter) beginFragment(producer time.Time, keyframe bool) error {
	if err := s.endFragment(); err != nil {
		return err
	}
	if s.sound != nil {
		s.sound.written = false
	}
	s.before = s.newest
	s.fragmentStart = s.after(producer)
	s.fragmentAt = s.writer.Bytes()
	if err := s.writer.BeginFragment(s.fragmentStart.Sub(s.start), keyframe); err != nil {
		return err
	}
	s.inFragment = true
	return nil
}

func (s *segmenter) endFragment() error {
	if !s.inFragment {
		return nil
	}
	if err := s.ensureAudio(); err != nil {
		return err
	}
	s.inFragment = false
	_, err := s.writer.EndFragment()
	s.count(s.writer)
	if errors.Is(err, mkv.ErrNoFragment) { // no frame came into it
		return nil
	}
	return err
}

// write adds a frame to the open fragment.
func (s *segmenter) write(producer time.Time, keyframe bool, nalus [][]byte, now time.Time) error {
	if least := s.earliest(); producer.Before(least) {
		producer = least
	}
	s.parts = s.parts[:0]
	bytes := 0
	for _, nal := range nalus {
		if s.Keeps(nal, s.inForce) {
			s.parts = append(s.parts, nal)
			bytes += len(nal)
		}
	}
	if err := s.writer.WriteFrame(accessunit.VideoNumber, producer.Sub(s.start), keyframe, s.parts); err != nil {
		return err
	}
	s.needKeyframe = false
	s.epochs.Recorded(producer)
	s.frames++
	s.count(s.writer)
	if producer.After(s.newest) {
		s.newest = producer
	}
	s.recorded(bytes, now)
	if now.Sub(s.flushed) >= s.o.gathering() {
		s.flushed = now
		if err := s.ensureAudio(); err != nil { // what is flushed may have to stand for itself
			return err
		}
		err := s.writer.Flush()
		s.count(s.writer)
		return err
	}
	return nil
}

// earliest is the least time of a frame in the open fragment: after the fragment before, in the
// segment, and within what pictures may be reordered, as block times have 16 bits.
func (s *segmenter) earliest() time.Time {
	least := s.fragmentStart.Add(-timeline.ReorderLimit)
	if after := s.before.Add(time.Millisecond); after.After(least) {
		least = after
	}
	if s.start.After(least) {
		least = s.start
	}
	return least
}

// recorded accounts for a frame that was written. Each says what it says, whatever was reported before it.
func (s *segmenter) recorded(bytes int, now time.Time) {
	n := s.o.numbers
	s.part.SetState(stateRecording)
	if s.part.OK(health.ScopeRecord) {
		s.o.Log.Info("recording again")
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
	if s.meter.add(bytes, now) {
		n.bitrate.Set(s.meter.bitrate)
		n.fps.Set(s.meter.fpsMilli)
		if s.damage != damageNone && now.Sub(s.damagedAt) > cleanFor {
			s.damage = damageNone
			s.part.OK(scopeDamage)
		}
	}
}

// count counts the frames as recorded that have come into the file of a segment.
func (s *segmenter) count(w segmentWriter) {
	if n := w.Written(); n != s.inFile {
		s.o.numbers.frames.Add(int64(n - s.inFile))
		s.inFile = n
	}
}

// fail gives the segment up after an error; the next keyframe tries anew.
func (s *segmenter) fail(err error) {
	s.gap = true
	s.needKeyframe = true
	s.session = 0
	if s.sound != nil {
		s.sound.drop(len(s.sound.waiting)) // its pictures are lost, or it is written already
	}
	cannotRecord(s.o, err)
	if err := s.seal(); err != nil {
		s.o.Log.Debug("cannot seal the segment", zap.Error(err))
	}
}

// cannotRecord reports that recording is paused, and why.
func cannotRecord(o *Options, err error) {
	fault := health.FaultOf(err, codeStore)
	o.Health.SetState(statePaused)
	if o.Health.Report(health.ScopeRecord, health.Failed, fault.Recode(conditionOf(fault), fault.Text)) {
		o.Log.Error("cannot record", zap.Error(fault), zap.NamedError("cause", fault.Err))
	}
}

// conditionOf keeps the recorder's own codes and gathers those of the store under one.
func conditionOf(f *health.Fault) string {
	if f.Code == codeUnreadable {
		return f.Code
	}
	return codeStore
}

// endSession completes what is there; the segment stays open for the next session.
func (s *segmenter) endSession() {
	if s.session > 0 {
		s.gap = true
	}
	if err := s.endFragment(); err != nil {
		s.fail(err)
	}
	// The supervisor ends what was reported of the session.
	s.damage, s.constant, s.paced, s.longGOP, s.shownClock = damageNone, false, false, false, timeline.ClockUnknown
	s.meter = meter{}
	s.o.numbers.bitrate.Set(0)
	s.o.numbers.fps.Set(0)
}

// seal finishes the open segment, if there is one.
func (s *segmenter) seal() error {
	if s.writer == nil {
		return nil
	}
	if err := s.endFragment(); err != nil {
		s.o.Log.Debug("cannot end the fragment", zap.Error(err)) // Seal fails by the same
	}
	w := s.writer
	s.writer, s.inFragment = nil, false
	err := w.Seal()
	s.count(w)
	if err != nil {
		s.o.numbers.lost.Add(int64(s.frames - s.inFile)) // what was gathered for it
		return fmt.Errorf("cannot finish a segment: %w", err)
	}
	if s.frames == 0 {
		return nil
	}
	s.o.numbers.lastSegment.Set(s.newest.UnixMilli())
	s.o.Log.Debug("segment sealed", zap.Time("start", s.start), zap.Time("end", s.newest), zap.Int64("bytes", w.Bytes()), zap.Int("frames", s.frames))
	if s.o.OnSegment != nil {
		s.o.OnSegment(Segment{Key: w.Key(), End: s.newest, Bytes: w.Bytes(), Frames: s.frames})
	}
	return nil
}
