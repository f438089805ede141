package recorder

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// recording writes the frames of a stream to its segments. Its caller decides which segment and which fragment a frame
// goes to; recording makes sure that its timestamp is valid there, and that a fragment has audio where its segment has a track
// for it.
type recording struct {
	o         *Options
	monitor   *streamMonitor
	writer    segmentWriter // nil: no segment is open
	last      segmentWriter // the newest segment, open or not
	next      segmentWriter // created while the previous one is still being finished
	segment   openSegment
	fragment  openFragment
	newest    time.Time // newest producer time written
	silence   []byte    // audio for a fragment in which the camera sends none; nil: it needs none
	lastAudio time.Time // of the newest frame of audio written
	parts     [][]byte  // reused
}

// openSegment is the segment that is written to.
type openSegment struct {
	start      time.Time
	takesAudio bool   // it has a track for the session's audio
	silence    []byte // see recording.silence, for its track
	sets       accessunit.FileSets
	frames     int
	inFile     int       // how many of them are counted as recorded
	flushed    time.Time // when the buffer was last written, by arrival
}

// openFragment is the fragment that is written to, or the last one.
type openFragment struct {
	open     bool
	start    time.Time
	first    time.Time // its earliest frame, or start: frames may be shown before the keyframe that it begins with
	offset   int64     // size of the segment at its start
	gops     int       // how many have begun in it
	frames   int       // of video in it
	newest   gopMark   // of its newest keyframe, or of its start
	mark     gopMark   // of the newest keyframe at which it might have ended, or of its start
	valid    time.Time // the earliest valid time of a frame
	least    time.Time // the earliest of the next frame of video: no two that are moved there have the same
	hasAudio bool
}

// gopMark is a keyframe in the open segment.
type gopMark struct {
	at     time.Time // producer time
	offset int64     // size of the segment before it
}

// continueFragment notes a keyframe at which the open fragment does not end.
func (r *recording) continueFragment(producer time.Time) error {
	r.fragment.gops++
	r.fragment.newest = gopMark{producer, r.writer.Bytes()}
	if producer.Sub(r.fragment.mark.at) >= fragment.Least {
		r.fragment.mark = r.fragment.newest
	}
	return r.ensureAudio() // if this GOP gets a fragment of its own
}

// beginSession sets the audio of a session; nil: it has none.
func (r *recording) beginSession(audio *accessunit.AudioTrack) {
	r.silence, r.lastAudio, r.fragment.hasAudio = nil, time.Time{}, false
	if audio != nil {
		r.silence = audio.Silence
	}
}

// changeAudio sets the session's audio from now on; fits reports whether the open segment has a track for it.
func (r *recording) changeAudio(audio *accessunit.AudioTrack, fits bool) {
	r.silence, r.segment.takesAudio = audio.Silence, fits
}

// open starts a segment with a writer that was created for it, and ends the previous one.
func (r *recording) open(w segmentWriter, h mkv.Header, params accessunit.ParameterSets, now time.Time) {
	r.next = w
	r.finish()
	r.writer, r.last, r.next = w, w, nil
	sets := accessunit.FileSets{Header: params, Replaced: r.segment.sets.Replaced}
	r.segment = openSegment{start: h.Start, takesAudio: len(h.Tracks) > 1, sets: sets, flushed: now}
	if r.segment.takesAudio {
		r.segment.silence = r.silence
	}
}

func (r *recording) create(h mkv.Header) (segmentWriter, error) {
	w, err := r.o.Store.Create(r.o.Stream, h)
	if err != nil {
		return nil, err
	}
	if r.o.wrapWriter != nil {
		return r.o.wrapWriter(w), nil
	}
	return w, nil
}

// after returns the time of a frame that starts a fragment: every fragment's earliest frame must be
// later than the latest of the previous one (KVS API, PutMedia).
func (r *recording) after(producer time.Time) time.Time {
	if !producer.After(r.newest) {
		producer = r.newest.Add(time.Millisecond)
	}
	return producer.UTC()
}

// newFragment returns the fragment that begins there; before is the newest producer time until then. Its frames may be from after
// that, within the segment, and within the reordering limit, as block times have 16 bits.
func (r *recording) newFragment(at gopMark, before time.Time) openFragment {
	valid := at.at.Add(-timeline.ReorderLimit)
	for _, least := range []time.Time{before.Add(time.Millisecond), r.segment.start} {
		if least.After(valid) {
			valid = least
		}
	}
	return openFragment{start: at.at, first: at.at, offset: at.offset, gops: 1, newest: at, mark: at, valid: valid, least: valid}
}

func (r *recording) beginFragment(producer time.Time, keyframe bool) error {
	if err := r.endFragment(); err != nil {
		return err
	}
	r.fragment = r.newFragment(gopMark{r.after(producer), r.writer.Bytes()}, r.newest)
	if err := r.writer.BeginFragment(r.fragment.start.Sub(r.segment.start), keyframe); err != nil {
		return err
	}
	r.fragment.open = true
	return nil
}

// upTo returns the open fragment up to a frame with that producer timestamp.
func (r *recording) upTo(producer time.Time) fragment.Open {
	f := &r.fragment
	age := producer.Truncate(time.Millisecond).Sub(f.start.Truncate(time.Millisecond)) // in the file times have whole ms
	return fragment.Open{Age: age, Lead: f.start.Sub(f.first), Bytes: r.writer.Bytes() - f.offset, GOPs: f.gops, Frames: f.frames}
}

// moveGOP moves the newest GOP of the open fragment into a fragment of its own, as both are too long for one with the frame of that
// many bytes that follows. It does nothing where the GOP and that frame are too long for one as well.
func (r *recording) moveGOP(producer time.Time, bytes int64) error {
	f := &r.fragment
	gop := fragment.Open{Age: producer.Sub(f.newest.at), Bytes: r.writer.Bytes() - f.newest.offset, GOPs: 1}
	if f.gops < 2 || gop.Full(bytes) {
		return nil
	}
	m, ok, err := r.writer.MoveGOP(fragment.Least)
	if err != nil || !ok {
		return err
	}
	before := r.segment.start.Add(m.Completed.Last)
	*f = r.newFragment(gopMark{r.segment.start.Add(m.Open.Start), m.Open.Offset}, before)
	f.open, f.frames, f.hasAudio = true, m.Open.Frames, m.LastAudio > 0
	f.first = before.Add(time.Millisecond) // at the earliest
	if last := r.segment.start.Add(m.Open.Last); last.After(r.newest) {
		r.newest = last
	}
	if last := r.segment.start.Add(m.LastAudio); f.hasAudio && last.After(r.lastAudio) {
		r.lastAudio = last
	}
	return nil
}

func (r *recording) endFragment() error {
	if !r.fragment.open {
		return nil
	}
	if err := r.ensureAudio(); err != nil {
		return err
	}
	r.fragment.open = false
	_, err := r.writer.EndFragment()
	r.count(r.writer)
	if errors.Is(err, mkv.ErrNoFragment) { // it has no frame
		return nil
	}
	return err
}

// writeVideo adds an access unit to the open fragment, and returns its timestamp, as close to producer as possible, and its size.
func (r *recording) writeVideo(
	producer time.Time, keyframe bool, nalus [][]byte, i *accessunit.Inspector,
) (at time.Time, bytes int, err error) {
	if producer.Before(r.fragment.least) {
		producer = r.fragment.least
	}
	r.parts = r.parts[:0]
	for _, nal := range nalus {
		if i.Keeps(nal, &r.segment.sets) {
			r.parts = append(r.parts, nal)
			bytes += len(nal)
		}
	}
	if err := r.writer.WriteFrame(accessunit.VideoNumber, producer.Sub(r.segment.start), keyframe, r.parts); err != nil {
		return producer, 0, err
	}
	r.segment.frames++
	r.fragment.frames++
	if !producer.After(r.fragment.least) {
		r.fragment.least = producer.Add(time.Millisecond)
	}
	r.written(producer)
	r.count(r.writer)
	return producer, bytes, nil
}

// writeAudio adds a frame of audio to the open fragment.
func (r *recording) writeAudio(at time.Time, data []byte) error {
	for _, least := range []time.Time{r.fragment.valid, r.lastAudio.Add(time.Millisecond)} {
		if at.Before(least) {
			at = least
		}
	}
	r.parts = append(r.parts[:0], data)
	if err := r.writer.WriteFrame(accessunit.AudioNumber, at.Sub(r.segment.start), true, r.parts); err != nil {
		return err
	}
	r.lastAudio, r.fragment.hasAudio = at, true
	r.written(at)
	r.monitor.audio(len(data))
	return nil
}

// written notes the time of a frame that was written.
func (r *recording) written(at time.Time) {
	if at.After(r.newest) {
		r.newest = at
	}
	if at.Before(r.fragment.first) {
		r.fragment.first = at
	}
}

// takesAudioAt reports whether the open fragment is not too long with audio of that time: where video stops for long, and audio
// continues, no fragment exists for it.
func (r *recording) takesAudioAt(at time.Time) bool {
	return at.Sub(r.fragment.first) < kvslimit.MaxFragment
}

// ensureAudio adds silence to a fragment that has no audio yet.
func (r *recording) ensureAudio() error {
	if r.segment.silence == nil || r.fragment.hasAudio {
		return nil
	}
	return r.writeAudio(r.fragment.start, r.segment.silence)
}

// takesAudio reports whether there is a fragment with a track for audio.
func (r *recording) takesAudio() bool { return r.segment.takesAudio && r.fragment.open }

// audioPatience is how long a fragment may be without audio: the store makes its frames durable at any time, and they must be valid by
// themselves after a power cut.
const audioPatience = 250 * time.Millisecond

// flush makes sure that what is in memory will be written, when its frames are of a long enough time.
func (r *recording) flush(now time.Time) error {
	if r.newest.Sub(r.fragment.start) >= audioPatience {
		if err := r.ensureAudio(); err != nil {
			return err
		}
	}
	if now.Sub(r.segment.flushed) < r.o.gathering() {
		return nil
	}
	r.segment.flushed = now
	err := r.writer.Flush()
	r.count(r.writer)
	return err
}

// count counts frames as recorded that have been written to the file of a segment.
func (r *recording) count(w segmentWriter) {
	if n := w.Written(); n != r.segment.inFile {
		r.o.numbers.frames.Add(int64(n - r.segment.inFile))
		r.segment.inFile = n
	}
}

// full reports whether the segment has reached its duration or size, or whether its disk may have lost some of it.
func (r *recording) full(producer time.Time) bool {
	if producer.Sub(r.segment.start) >= r.o.SegmentDuration || r.writer.InDoubt() {
		return true
	}
	// What follows up to the next keyframe that may end it is assumed to be as large as what came since the last one.
	limit := r.o.MaxSegmentBytes()
	return limit > 0 && 2*r.writer.Bytes()-r.fragment.mark.offset > limit
}

// seal finishes the open segment, if there is one.
func (r *recording) seal() error {
	if r.writer == nil {
		return nil
	}
	r.o.Health.OK(scopeNext) // whatever becomes of it: it does not grow any more
	if err := r.endFragment(); err != nil {
		r.o.Log.Debug("fragment not ended", zap.Error(err)) // Seal reports the same error
	}
	w, s := r.writer, &r.segment
	r.writer, r.fragment.open = nil, false
	err := w.Seal()
	r.count(w)
	if err != nil {
		r.o.numbers.lost.Add(int64(s.frames - s.inFile)) // those still in memory
		return fmt.Errorf("cannot finish a segment: %w", err)
	}
	if s.frames == 0 {
		return nil
	}
	r.o.numbers.lastSegment.Set(r.newest.UnixMilli())
	r.o.Log.Debug("segment sealed", zap.Time("start", s.start), zap.Time("end", r.newest),
		zap.Int64("bytes", w.Bytes()), zap.Int("frames", s.frames))
	if r.o.OnSegment != nil {
		r.o.OnSegment(Segment{Key: w.Key(), End: r.newest, Bytes: w.Bytes(), Frames: s.frames})
	}
	return nil
}

// finish ends the open segment, if there is one. When the disk fails, the store finishes it later, and reports it if
// it cannot: whether recording continues is decided by the next segment.
func (r *recording) finish() {
	if err := r.seal(); err != nil {
		logevent.SegmentUnfinished.Log(r.o.Log, zap.Error(err))
	}
}
