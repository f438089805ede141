package recorder

import (
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// damageClearAfter is how long a session must be free of damage before the condition ends.
const damageClearAfter = time.Minute

// longGOP is the keyframe interval from which status reports rare keyframes: fragments then have to be split
// between keyframes. Source: KVS API, PutMedia, 10 s.
const longGOP = 10 * time.Second

// streamMonitor watches the video of a stream: damage, keyframe interval, frame rate and bitrate. It
// reports each trouble once, and its end.
type streamMonitor struct {
	o            *Options
	lastKeyframe time.Time // producer time, in this session; zero: none yet
	damagedAt    time.Time
	reported     streamTroubles
	meter        meter
}

// streamTroubles are the troubles of a stream that status shows.
type streamTroubles struct {
	damage  damage
	longGOP bool // keyframes are rare
}

// damage is the severity of an episode of damage.
type damage uint8

const (
	damageNone      damage = iota
	damageMalformed        // data was left out that no frame needs
	damageLoss             // frames are lost
)

// forgetKeyframes measures the keyframe interval from the next frame on.
func (m *streamMonitor) forgetKeyframes() { m.lastKeyframe = time.Time{} }

// endSession resets what was reported: the supervisor has ended these conditions.
func (m *streamMonitor) endSession() {
	m.reported, m.meter = streamTroubles{}, meter{}
	m.o.numbers.bitrate.Set(0)
	m.o.numbers.fps.Set(0)
}

// frame accounts for a recorded frame.
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

// audio accounts for recorded audio.
func (m *streamMonitor) audio(bytes int) {
	m.o.numbers.bytes.Add(int64(bytes))
	m.meter.bytes += int64(bytes)
}

// reportDamage reports an episode of damage once, and again when it gets worse: a flood of damage must
// cost nothing.
func (m *streamMonitor) reportDamage(d damage, err error, text string) {
	m.damagedAt = m.o.Now()
	if d <= m.reported.damage || m.o.frozen() {
		return
	}
	m.reported.damage = d
	fault := health.SystemFault(codeUnreadable, err, "%s", text)
	if m.o.Health.Report(scopeDamage, health.Degraded, fault) {
		logevent.Condition(m.o.Log, fault)
	}
}

// leftOut reports the tracks that the camera offers and that are not recorded; see accessunit.Sink.
func (m *streamMonitor) leftOut(tracks []string) {
	if len(tracks) == 0 {
		m.o.Health.OK(scopeTracks)
		return
	}
	fault := health.UserFault(codeTracks, nil,
		"The camera also offers %s, which is not recorded, as a stream has one video and one audio track: "+
			"to record another video, give it a stream of its own with its own URL.", strings.Join(tracks, " and "))
	if m.o.Health.Report(scopeTracks, health.Info, fault) {
		logevent.Condition(m.o.Log, fault, zap.Strings("tracks", tracks))
	}
}

// watchKeyframes reports keyframes that are too rare, by producer timestamps.
func (m *streamMonitor) watchKeyframes(producer time.Time, keyframe bool) {
	if m.lastKeyframe.IsZero() {
		m.lastKeyframe = producer // or the start of the session
		return
	}
	distance := producer.Sub(m.lastKeyframe)
	switch {
	case distance > longGOP && !m.reported.longGOP && m.o.frozen():
		m.lastKeyframe = producer // there were keyframes in between
	case distance > longGOP && !m.reported.longGOP:
		m.reported.longGOP = true
		fault := health.UserFault(codeKeyframes, nil,
			"The camera sends a keyframe less often than every 10 s, so that playback of uploads may begin late: "+
				"set its keyframe (I-frame, GOP) interval to 2 s, and switch off \"smart\" codecs.")
		m.o.Health.Report(scopeKeyframes, health.Info, fault)
		logevent.Condition(m.o.Log, fault, zap.Duration("distance", distance))
	case keyframe && distance <= longGOP && m.reported.longGOP:
		m.reported.longGOP = false
		m.o.Health.OK(scopeKeyframes)
	}
	if keyframe {
		m.lastKeyframe = producer
	}
}

// meterInterval is the interval over which bitrate and frame rate are measured.
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
		return false // the first frame starts the interval
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
