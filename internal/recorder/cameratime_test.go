package recorder

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestRecordingsFollowTheCamerasClockWhenAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		off  time.Duration
		says string
	}{
		"a second ahead": {time.Second, ""},
		"an hour ahead":  {time.Hour, "more than 5 s off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{Audio: fakecam.AudioAAC,
				Oddities: fakecam.Oddities{Clock: func() time.Time { return time.Now().Add(c.off) }}})
			limit := timely(t, time.Second)
			r := record(t, camera, camera.URL(), func(o *Options) { o.TimestampSource = TimestampCamera })
			if c.says != "" {
				condition := r.awaitCondition(c.says)
				if condition.Severity != health.Info || condition.Class != health.UserError {
					t.Errorf("%+v", condition)
				}
				return
			}
			r.await("the camera's clock", func() bool { return r.logged("camera-clock-used", "") > 0 })
			before := r.number(health.FramesRecorded)
			r.awaitFrames(before + 150) // 6 s: 2 s are watched, then 5 % are gained
			r.settle()
			frames := r.expectAll()
			span := frames[len(frames)-1].time.Sub(frames[0].time)
			if gained := span - time.Duration(len(frames)-1)*tick; gained < 100*time.Millisecond || gained > limit() {
				t.Errorf("times gained %s", gained)
			}
		})
	}
}

// The sender reports of GStreamer come from the clock of this machine: an independent server shows that
// their fractions are read correctly.
func TestTheClockOfGStreamerIsOurs(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "/usr/bin/python3")
	late := testtools.SchedulingDelay(t)
	source := filepath.Join(t.TempDir(), "source.mkv")
	arguments := slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=30"},
		x264("-bf", "0", "-g", "25"), []string{source})
	if out, err := exec.Command("ffmpeg", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
	r := record(t, nil, "rtsp://"+gstServer(t, source), func(o *Options) { o.TimestampSource = TimestampCamera })
	var followed []observer.LoggedEntry
	r.await("the camera's clock", func() bool {
		followed = r.logs.FilterField(zap.String("event", "camera-clock-used")).All()
		return len(followed) > 0
	})
	ahead := followed[0].ContextMap()["ahead"].(time.Duration)
	if ahead.Abs() > time.Second+4*late() {
		t.Errorf("its clock is measured %v ahead, on a machine that is late by %v", ahead, late())
	}
}
