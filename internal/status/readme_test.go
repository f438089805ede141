package status

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// cameraRefuses is the sentence of package camera.
const cameraRefuses = "The camera at %s refuses connections: check that it is on and that its RTSP port is right."

// readmeHub is the hub of the picture in README.md: one stream is well, one waits for its upload window, and one camera is off.
func readmeHub() Snapshot {
	const mb = 1_000_000
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	recording := func(name string, bitrate int64, lost int64) Stream {
		st := Stream{Name: name}
		st.Recorder = Recorder{
			Job: Job{State: "recording", Since: ago(11 * 24 * time.Hour)}, LastFrame: ago(40 * time.Millisecond), BitrateBPS: bitrate, FPS: 25,
			FramesLost: lost,
		}
		return st
	}
	door, yard, garage := recording("front-door", 4.02*mb, 0), recording("yard", 2.01*mb, 3), recording("garage", 0, 0)
	door.Uploader = Uploader{Job: Job{State: "uploading"}, BacklogSeconds: 2, BacklogBytes: 1 * mb, LastPersisted: ago(time.Second)}
	door.Space = Space{UsedBytes: 130_000 * mb}
	yard.Uploader = Uploader{
		Job: Job{State: health.OffBySchedule}, BacklogSeconds: 6.2 * 3600, BacklogBytes: 5600 * mb, LastPersisted: ago(6 * time.Hour),
	}
	yard.Space = Space{UsedBytes: 65_100 * mb}
	garage.Recorder.Job = Job{State: "waiting for the camera", Since: ago(25 * time.Minute)}
	garage.Recorder.LastFrame, garage.Recorder.FPS = ago(25*time.Minute), 0
	garage.Uploader = Uploader{Job: Job{State: "idle"}, LastPersisted: ago(25 * time.Minute)}
	garage.Space = Space{UsedBytes: 64_800 * mb}
	fault := health.SystemFault("camera", nil, cameraRefuses, "10.0.0.7:554")
	garage.Conditions = []Condition{{Job: health.JobRecorder, Condition: health.Condition{
		Code: fault.Code, Class: fault.Class, Severity: health.Failed, Text: fault.Text, Since: ago(25 * time.Minute),
	}}}
	garage.Recorder.SecretRead = ago(13 * time.Minute)
	return Snapshot{
		Time: now, Version: "v0.2.0", Thing: "hub-1", Started: ago(11 * 24 * time.Hour), Verdict: Degraded,
		Disk:    Disk{FreeBytes: 520_000 * mb, TotalBytes: 1_000_000 * mb, Forecast: Forecast{Days: 11.9}},
		Streams: []Stream{door, yard, garage},
	}
}

// TestTheReadmeShowsWhatStatusPrints compares the picture in README.md, in a terminal of 120 columns.
func TestTheReadmeShowsWhatStatusPrints(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("```text\n$ sudo kvs-edge-agent status\n")
	if err := (View{Width: 120}).Write(&want, readmeHub()); err != nil {
		t.Fatal(err)
	}
	want.WriteString("```\n")
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("README.md does not show what status prints now:\n%s", want.String())
	}
	code, err := os.ReadFile("../camera/fault.go")
	if err != nil || !strings.Contains(string(code), cameraRefuses) {
		t.Errorf("package camera does not say %q: take another sentence (%v)", cameraRefuses, err)
	}
}
