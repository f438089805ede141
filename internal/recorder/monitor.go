package recorder

import (
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// damageClearAfter is how long a session must bring nothing damaged before status is silent about it.
const damageClearAfter = time.Minute

// longGOP is from when on status says that keyframes are too rare: fragments then have to be cut
// between them. Source: KVS API, PutMedia, 10 s.
const longGOP = 10 * time.Second

// streamMonitor watches what a stream brings: damage, the interval of its keyframes, its frame rate and bitrate. It
// reports each trouble once, and when it is over.
type streamMonitor struct {
	o            *Options
	lastKeyframe time.Time // producer time, in this session; zero: none yet
	damagedAt    time.Time
	reported     streamTroubles
	meter        meter
}

// streamTroubles are what status says of a stream.
type streamTroubles struct {
	damage  damage
	longGOP bool // keyframes are rare
}

// damage is how bad an episode of damage is.
type damage uint8

const (
	damageNone      damage = iota
	damageMalformed        // something was left out that no frame misses
	damageLoss             // frames are lost
)

// forgetKeyframes begins the interval of keyframes with the next frame.
func (m *streamMonitor) forgetKeyframes() { m.lastKeyframe = time.Time{} }

// endSession forgets what was reported, which the supervisor ends.
func (m *streamMonitor) endSession() {
	m.reported, m.meter = streamTroubles{}, meter{}
	m.o.numbers.bitrate.Set(0)
	m.o.numbers.fps.Set(0)
}

// frame takes a frame that was recorded.
func (m *streamMonitor) frame(bytes int, now time.Time) {
	n := m.o.numbers
	if !m.meter.add(bytes, now) {
		return
	}
	n.bitrate.Set(m.meter.bitrate)
	n.fps.Set(m.meter.fpsMilli)
	if m.reported.damage != damageNone && now.Sub(m.damagedAt) > damageClearAfter {
		m.reported.damage = damageNone
		m.o.Health.OK(scopeDamage)
	}
}

// audio takes audio that was recorded.
func (m *streamMonitor) audio(bytes int) {
	m.o.numbers.bytes.Add(int64(bytes))
	m.meter.bytes += int64(bytes)
}

// reportDamage reports an episode of damage once, and again when it gets worse: a flood of it must
// cost nothing.
func (m *streamMonitor) reportDamage(d damage, err error, text string) {
	m.damagedAt = m.o.Now()
	if d <= m.reported.damage || m.o.frozen() {
		return
	}
	m.reported.damage = d
	if m.o.Health.Report(scopeDamage, health.Degraded, health.SystemFault(codeUnreadable, err, "%s", text)) {
		m.o.Log.Warn("video arrives damaged", zap.String("code", codeUnreadable), zap.Error(err))
	}
}

// leftOut names what the camera sends beside what is recorded; see accessunit.Sink.
func (m *streamMonitor) leftOut(tracks []string) {
	if len(tracks) == 0 {
		m.o.Health.OK(scopeTracks)
		return
	}
	if m.o.Health.Report(scopeTracks, health.Info, health.UserFault(codeTracks, nil,
		"The camera also offers %s, beside what is recorded, as a stream has one video and one audio track: "+
			"to record another video, give it a stream of its own with its own URL.", strings.Join(tracks, " and "))) {
		m.o.Log.Info("the camera offers more than is recorded", zap.String("code", codeTracks), zap.Strings("tracks", tracks))
	}
}

// watchKeyframes reports keyframes that are too rare, in video time.
func (m *streamMonitor) watchKeyframes(producer time.Time, keyframe bool) {
	if m.lastKeyframe.IsZero() {
		m.lastKeyframe = producer // or the session's start
		return
	}
	distance := producer.Sub(m.lastKeyframe)
	switch {
	case distance > longGOP && !m.reported.longGOP && m.o.frozen():
		m.lastKeyframe = producer // keyframes came meanwhile
	case distance > longGOP && !m.reported.longGOP:
		m.reported.longGOP = true
		m.o.Health.Report(scopeKeyframes, health.Info, health.UserFault(codeKeyframes, nil,
			"The camera sends a keyframe less often than every 10 s, so that playback of uploads may begin late: "+
				"set its keyframe (I-frame, GOP) interval to 2 s, and switch off \"smart\" codecs."))
		m.o.Log.Warn("keyframes are infrequent", zap.String("code", codeKeyframes), zap.Duration("since", distance))
	case keyframe && distance <= longGOP && m.reported.longGOP:
		m.reported.longGOP = false
		m.o.Health.OK(scopeKeyframes)
	}
	if keyframe {
		m.lastKeyframe = producer
	}
}

// meterInterval is how long bitrate and frame rate are measured over.
const meterInterval = 2 * time.Second

// meter measures bitrate and frame rate.
type meter struct {
	since             time.Time
	frames, bytes     int64
	bitrate, fpsMilli int64
}

// add counts a frame, and reports whether there is a new measurement.
func (m *meter) add(bytes int, now time.Time) bool {
	if m.since.IsZero() {
		m.since, m.bytes = now, 0
		return false // the first frame begins the interval
	}
	m.frames++
	m.bytes += int64(bytes)
	elapsed := now.Sub(m.since)
	if elapsed < meterInterval {
		return false
	}
	m.bitrate = int64(float64(m.bytes*8) / elapsed.Seconds())
	m.fpsMilli = int64(float64(m.frames*1000) / elapsed.Seconds())
	m.since, m.frames, m.bytes = now, 0, 0
	return true
}
