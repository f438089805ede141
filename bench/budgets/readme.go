package main

import (
	"fmt"
	"strconv"
)

// readmeTable is the table of figures in README.md, from the last measurements. It ends with a line end.
func readmeTable(r results) string {
	agent, ffmpeg, gstreamer := r.recording[subject{16, "agent"}], r.recording[subject{16, "ffmpeg"}], r.recording[subject{16, "gstreamer"}]
	many := r.recording[subject{64, "agent"}]
	cost := func(f recording) string {
		return fmt.Sprintf("%.1f %% of a core and %.0f MB", f.percent(), f.RSS/1e6)
	}
	return "| measured by `make bench` | |\n|---|---|\n" +
		fmt.Sprintf("| recording 16 cameras of 4 Mbit/s | %s; ffmpeg takes %s, GStreamer %s |\n", cost(agent), cost(ffmpeg), cost(gstreamer)) +
		fmt.Sprintf("| recording 64 cameras for a minute | %s of %s frames missing; %.1f %% of a core and %.0f MB |\n",
			thousands(many.Missing), thousands(many.Frames), many.percent(), many.RSS/1e6) +
		fmt.Sprintf("| live upload, keyframes every second | half of the frames persisted within %.2f s of leaving the camera, "+
			"99 %% within %.2f s |\n",
			r.upload["camera to persisted, p50 of frames"]/1e3, r.upload["camera to persisted, p99 of frames"]/1e3) +
		fmt.Sprintf("| uploading a backlog | %.2f times the CPU of `curl` for the same bytes |\n", r.upload["ours to curl without a limit"]) +
		fmt.Sprintf("| start with 138,000 segments on disk | first frame recorded after %.2f s |\n", r.firstFrame/1e3) +
		fmt.Sprintf("| idle | %.2f %% of a core and %.0f MB |\n", r.idle.percent(), r.idle.RSS/1e6)
}

// percent is what a subject takes of one core.
func (f recording) percent() float64 { return 100 * (f.User + f.System) / f.Seconds }

// percent is what the idle agent takes of one core.
func (f idle) percent() float64 { return 100 * (f.User + f.System) / f.Seconds }

// thousands writes a count with commas.
func thousands(count float64) string {
	text := strconv.FormatInt(int64(count), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
