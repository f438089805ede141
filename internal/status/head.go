package status

import (
	"fmt"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// head is the agent's line, and another with counts; on a narrow terminal they are wrapped.
func (v View) head(s Snapshot) []string {
	about := fmt.Sprintf("%s  %s  version %s  up %s  disk %s free of %s%s", s.Thing, s.Verdict, s.Version,
		humanize.Span(s.Time.Sub(s.Started)), humanize.Bytes(s.Disk.FreeBytes), humanize.Bytes(s.Disk.TotalBytes), fits(s.Disk.Forecast.Days))
	lines := v.wrap(about, "  ")
	lines[0] = strings.Replace(lines[0], string(s.Verdict), v.paint(severityOf(s.Verdict), string(s.Verdict)), 1)
	return lines
}

// counts says how many streams are well and how many are not.
func counts(s Snapshot) string {
	var failed, degraded, recording int
	for _, st := range s.Streams {
		if st.Recorder.State == "recording" {
			recording++
		}
		switch worst, _ := worstOf(st); worst {
		case health.Failed:
			failed++
		case health.Degraded:
			degraded++
		}
	}
	return fmt.Sprintf("%s: %d recording, %d failed, %d degraded, %d without a problem", humanize.Count(len(s.Streams), "stream"),
		recording, failed, degraded, len(s.Streams)-failed-degraded)
}

// fits says for how long the space does.
func fits(days float64) string {
	if days <= 0 {
		return ""
	}
	return ", holds " + humanize.ShortDays(days)
}
