package recorder

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// TestRows has a test for each known fault of cameras, networks, clocks and disks, by its
// name: go test -run 'TestRows/cam-stall$'. Rows of the cloud and of schedules are in TestRows
// of the packages that deal with them.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		test func(*testing.T)
	}{
		{"cam-off", camOff},
		{"cam-stall", camStall},
		{"cam-hourly-drop", camHourlyDrop},
		{"auth-digest", authDigest},
		{"auth-basic", recordedWhole(fakecam.Options{User: "us er", Pass: "p@ss/w%1", Oddities: fakecam.Oddities{BasicOnly: true}})},
		{"auth-wrong", authWrong},
		{"describe-redirect", describeRedirect},
		{"keepalive-odd", keepaliveOdd},
		{"udp-loss", udpLoss},
		{"tcp-garbage", recordedWhole(fakecam.Options{Oddities: fakecam.Oddities{Conn: garbage}})},
		{"no-sps-in-sdp", noSPSInSDP},
		{"sps-change", spsChange},
		{"pps-per-frame", ppsPerFrame},
		{"b-frames", bFrames},
		{"open-gop", openGOP},
		{"recovery-point", recoveryPoint},
		{"long-gop", longGOPs},
		{"tiny-gop", tinyGOP},
		{"rtp-wrap", func(t *testing.T) { seamless(t, fakecam.Options{NearWrap: true}) }},
		{"rtp-jump", rtpJump},
		{"rtp-drift", rtpDrift},
		{"rtp-constant", rtpConstant},
		{"burst", burst},
		{"mjpeg-only", mjpegOnly},
		{"h265", h265Camera},
		{"audio-only", audioOnly},
		{"audio-pause", audioPause},
		{"extra-tracks", recordedWhole(fakecam.Options{Oddities: fakecam.Oddities{MoreTracks: true}})},
		{"huge-frame", hugeFrame},
		{"nal-lies", nalLies},
		{"cert-self-signed", certSelfSigned},
		{"clock-1970", clockSteps(-time.Since(time.Unix(0, 0)), 0, 2)},
		{"clock-back", clockSteps(0, -3*time.Hour, 1)},
		{"clock-forward", clockSteps(0, 3*time.Hour, 2)},
		{"disk-full", diskFull},
		{"disk-ro", diskReadOnly},
		{"disk-slow", diskSlow},
		{"disk-gone", diskGone},
		{"volume-unmounted", volumeUnmounted},
		{"power-cut", powerCut},
		{"stale-session", staleSession},
		{"fps-lie", fpsLie},
		{"cosmetic-params", cosmeticParams},
		{"reset-storm", resetStorm},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.test(t)
		})
	}
}
