package recorder

import (
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

const (
	// maxAudioAhead bounds, in frames, how much audio waits for video of its time, and maxAudioWaiting in bytes.
	maxAudioAhead   = 500
	maxAudioWaiting = 1 << 20
	// maxSpareAudio is the size up to which the memory of a frame is reused, in bytes: most frames are smaller.
	maxSpareAudio = 8 << 10
	// audioLimitShown is how long status reports that audio was left out, since the last time.
	audioLimitShown = 30 * time.Second
)

// audioTrack places a session's audio between the frames of its video. Audio waits until a frame of a later time is
// written, so that it never reaches into a fragment that does not exist yet: every fragment of KVS
// starts after the end of the previous one, and has a frame of each track.
type audioTrack struct {
	accessunit.AudioTrack
	o        *Options
	timeline timeline.Timeline
	limit    ratelimit.Limit // of the audio received
	waiting  []audioFrame
	bytes    int      // of the waiting frames
	spare    [][]byte // memory of frames that were written
}

type audioFrame struct {
	at   time.Time
	data []byte
}

func newAudioTrack(o *Options, track accessunit.AudioTrack, newest time.Time) *audioTrack {
	return &audioTrack{AudioTrack: track, o: o, timeline: timeline.NewAudio(track.Rate, newest), limit: newAudioLimit(track.Most)}
}

// take queues a frame of audio, which it copies. Its time follows the timeline of the video.
func (a *audioTrack) take(frame []byte, rtpTime uint32, now time.Time, video *timeline.Timeline) {
	if !a.admit(len(frame), now) {
		return
	}
	t := &a.timeline
	t.FollowTrack(video)
	if !t.Anchored() { // it starts at the time of the video, which may differ from the clock
		a.wait(t.AnchorAt(rtpTime, now, video.Expected(now)), frame)
		return
	}
	at, jumped := t.Assign(rtpTime, now)
	if jumped {
		a.o.Log.Debug("timestamps of the camera's audio jumped")
	}
	a.wait(at, frame)
}

// admit reports whether a frame of audio may be recorded, and makes room for it. Audio left out is counted and reported.
func (a *audioTrack) admit(size int, now time.Time) bool {
	if a.limit.Exceeds(int64(size), now) {
		a.leftOut(1)
		fault := health.UserFault(codeAudioRate, nil,
			"The camera's audio has more than %s Mbit/s, of which the rest is left out; the video is recorded: "+
				"set the audio to AAC with an ordinary bitrate, or update the camera's firmware.", a.mostMbps())
		if a.o.Health.Note(scopeAudioRate, health.Degraded, fault, audioLimitShown) {
			logevent.Condition(a.o.Log, fault, zap.Int64("bytesPerSecond", a.limit.Most/int64(audioRateInterval/time.Second)))
		}
		return false
	}
	n, bytes := 0, a.bytes
	for w := a.waiting; n < len(w) && (len(w)-n == maxAudioAhead || bytes+size > maxAudioWaiting); n++ {
		bytes -= len(w[n].data) // no video of its time has arrived
	}
	a.leftOut(n)
	a.drop(n)
	return true
}

// mostMbps returns the highest recorded rate, in Mbit/s.
func (a *audioTrack) mostMbps() string {
	tenths := a.limit.Most * 8 / int64(audioRateInterval/time.Second) / 100_000
	return strconv.FormatFloat(float64(tenths)/10, 'f', -1, 64)
}

// leftOut counts frames of audio that are not recorded.
func (a *audioTrack) leftOut(n int) { a.o.numbers.audioLost.Add(int64(n)) }

// wait queues a copy of a frame.
func (a *audioTrack) wait(at time.Time, frame []byte) {
	var data []byte
	if n := len(a.spare); n > 0 {
		data, a.spare = a.spare[n-1][:0], a.spare[:n-1]
	}
	a.waiting = append(a.waiting, audioFrame{at: at, data: append(data, frame...)})
	a.bytes += len(frame)
}

// drop discards the n oldest waiting frames.
func (a *audioTrack) drop(n int) {
	for _, f := range a.waiting[:n] {
		a.bytes -= len(f.data)
		if cap(f.data) <= maxSpareAudio {
			a.spare = append(a.spare, f.data)
		}
	}
	a.waiting = a.waiting[:copy(a.waiting, a.waiting[n:])]
}

func (a *audioTrack) dropAll() { a.drop(len(a.waiting)) }

// skipBefore discards the audio before a time, as the open segment has no track for it.
func (a *audioTrack) skipBefore(before time.Time) {
	n := 0
	for n < len(a.waiting) && a.waiting[n].at.Before(before) {
		n++
	}
	a.leftOut(n)
	a.drop(n)
}

// writeBefore writes the audio before a time, as far as the open fragment takes it.
func (a *audioTrack) writeBefore(before time.Time, r *recording) error {
	n, left := 0, 0
	for _, f := range a.waiting {
		if !f.at.Before(before) {
			break
		}
		if !r.takesAudioAt(f.at) {
			left++
		} else if err := r.writeAudio(f.at, f.data); err != nil {
			return err
		}
		n++
	}
	a.leftOut(left)
	a.drop(n)
	return nil
}
