package recorder

import "time"

// meter measures bitrate and frame rate over a window.
type meter struct {
	since             time.Time
	frames, bytes     int64
	bitrate, fpsMilli int64
}

const meterWindow = 2 * time.Second

// add counts a frame; it reports when there is a new measurement.
func (m *meter) add(bytes int, now time.Time) bool {
	if m.since.IsZero() {
		m.since, m.bytes = now, 0
		return false // the first frame opens the window
	}
	m.frames++
	m.bytes += int64(bytes)
	elapsed := now.Sub(m.since)
	if elapsed < meterWindow {
		return false
	}
	m.bitrate = int64(float64(m.bytes*8) / elapsed.Seconds())
	m.fpsMilli = int64(float64(m.frames*1000) / elapsed.Seconds())
	m.since, m.frames, m.bytes = now, 0, 0
	return true
}

// besides counts bytes that are no frame of video.
func (m *meter) besides(bytes int) { m.bytes += int64(bytes) }
