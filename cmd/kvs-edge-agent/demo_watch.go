package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// watch shows the progress every second until the camera was recorded for the duration.
func (d *demo) watch(ctx context.Context) error {
	began := time.Now()
	recording := false
	for end := began.Add(max(d.options.duration, openPatience)); time.Now().Before(end); {
		if err := backoff.Sleep(ctx, time.Second); err != nil {
			return err
		}
		select {
		case <-d.agent.exited:
			return d.agentEnded()
		default:
		}
		snapshot, err := d.agent.status(ctx)
		if err != nil {
			return err
		}
		if len(snapshot.Streams) == 0 {
			continue
		}
		st := snapshot.Streams[0]
		if !recording && st.Recorder.FramesRecorded > 0 {
			recording, end = true, time.Now().Add(d.options.duration-time.Second) // a line ago
		}
		why, failed := firstSentence(st)
		late := st.Recorder.FramesRecorded == 0 && time.Since(began) >= cameraPatience
		if late && why == "" {
			why = "the camera has not answered yet"
		}
		d.say("%s: recorded %s (%.1f fps, %s), persisted %s, backlog %s  %s",
			st.Recorder.State, humanize.Count(st.Recorder.FramesRecorded, "frame"), st.Recorder.FPS, humanize.Bitrate(st.Recorder.BitrateBPS),
			humanize.Count(st.Uploader.FragmentsPersisted,
				"fragment"), humanize.Span(time.Duration(st.Uploader.BacklogSeconds*float64(time.Second))), why)
		if failed && late {
			return &exitError{exitFailure, fmt.Errorf("the camera cannot be recorded: %s", why)}
		}
	}
	return nil
}

const (
	// cameraPatience is how long a camera may fail before its first frame.
	cameraPatience = 3 * time.Second
	// openPatience is how long a camera may be silent before its first frame, where less is to be recorded.
	openPatience = 20 * time.Second
)

// firstSentence says what is wrong with a stream, if something is, and whether its recording failed.
func firstSentence(st status.Stream) (text string, failed bool) {
	for _, c := range st.Conditions {
		if c.Job == health.JobRecorder && c.Severity == health.Failed {
			return withoutSecret(c.Text), true
		}
	}
	for _, c := range st.Conditions {
		return c.Text, false
	}
	return "", false
}
