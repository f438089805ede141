package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// head is the agent's line, and another with counts; on a narrow terminal they are wrapped.
func (v View) head(s Snapshot) []string {
	about := fmt.Sprintf("%s  %s  version %s  up %s  disk %s free of %s%s", s.Thing, s.Verdict, s.Version,
		humanize.Span(s.Time.Sub(s.Started)), humanize.Bytes(s.Disk.FreeBytes), humanize.Bytes(s.Disk.TotalBytes), fits(s.Disk.Forecast.Days))
	lines := v.wrap(about, "  ")
	if s.UploadCap != nil {
		lines = append(lines, v.wrap(s.UploadCap.sentence(), "  ")...)
	}
	if s.Pressure != nil {
		lines = append(lines, v.wrap(s.Pressure.String(), "  ")...)
	}
	if s.SiteWise != nil {
		lines = append(lines, v.wrap(s.SiteWise.sentence(s.Time), "  ")...)
	}
	lines[0] = strings.Replace(lines[0], string(s.Verdict), v.paint(severityOf(s.Verdict), string(s.Verdict)), 1)
	return lines
}

// sentence says what was read, when, and how many requests run.
func (w SiteWise) sentence(now time.Time) string {
	text := "sitewise  asset " + w.Asset
	if w.ReadAt.IsZero() {
		return text + ": not read since the start; what was read before is in force"
	}
	text += fmt.Sprintf(" (%s): %s, read %s ago", health.Clean(w.Name, health.MaxPart), humanize.Count(w.Cameras, "camera asset"),
		humanize.Span(now.Sub(w.ReadAt)))
	running := 0
	for _, r := range w.Requests {
		if r.Status == "RUNNING" {
			running++
		}
	}
	if running > 0 {
		text += fmt.Sprintf("; %s running", humanize.Count(running, "request"))
	}
	return text + w.WriteBack.clause(now)
}

// clause says what is not as it should be of the values that the hub writes, and when one was written last.
func (b SiteWiseWriteBack) clause(now time.Time) (text string) {
	if !b.WrittenAt.IsZero() {
		text += fmt.Sprintf("; last written %s ago", humanize.Span(now.Sub(b.WrittenAt)))
	}
	if b.Waiting > 0 {
		text += fmt.Sprintf("; %s waiting for %s", humanize.Count(b.Waiting, "value"), humanize.Span(now.Sub(b.WaitingSince)))
	}
	if b.Refused > 0 {
		text += fmt.Sprintf("; %s refused", humanize.Count(b.Refused, "value"))
	}
	if b.TooOld > 0 {
		text += fmt.Sprintf("; %s of more than 7 days ago not right, which SiteWise does not change", humanize.Count(b.TooOld, "row"))
	}
	return text
}

// sentence says how much of the cap is used, and on which day it will be reached.
func (c UploadCap) sentence() string {
	text := fmt.Sprintf("line  %s of %s used (%.0f %%)", humanize.Bytes(c.UsedBytes), humanize.Bytes(c.CapBytes),
		100*float64(c.UsedBytes)/float64(c.CapBytes))
	switch {
	case c.ResetsAt.IsZero():
		text += ", until the clock is set and the period has ended"
	case !c.ClockTrusted:
		text += ", until the clock is trusted and has reached " + humanize.Minute(c.ResetsAt)
	default:
		text += ", until " + humanize.Minute(c.ResetsAt)
	}
	switch {
	case c.UsedBytes >= c.CapBytes:
		return text + "; the cap is reached"
	case !c.ReachedAt.IsZero():
		return text + "; at this rate the cap is reached on " + humanize.Minute(c.ReachedAt.In(c.ResetsAt.Location()))
	case c.Suffices:
		return text + "; the cap suffices at this rate"
	}
	return text
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
