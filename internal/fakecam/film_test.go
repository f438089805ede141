package fakecam

import (
	"os/exec"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// encoded returns a film of one second made by ffmpeg.
func encoded(t *testing.T, args ...string) []byte {
	t.Helper()
	source := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1", "-pix_fmt", "yuv420p", "-g", "25"}
	out, err := exec.Command("ffmpeg", append(append(source, args...), "-")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatAFilmIs(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	const quiet = "log-level=error:pools=1:frame-threads=1"
	for name, test := range map[string]struct {
		film             []byte
		isH265, reorders bool
	}{
		"H.264":               {encoded(t, "-c:v", "libx264", "-bf", "0", "-f", "h264"), false, false},
		"H.264 with B-frames": {encoded(t, "-c:v", "libx264", "-bf", "2", "-f", "h264"), false, true},
		"H.265":               {encoded(t, "-c:v", "libx265", "-x265-params", quiet+":bframes=0", "-f", "hevc"), true, false},
		"H.265 with B-frames": {encoded(t, "-c:v", "libx265", "-x265-params", quiet, "-f", "hevc"), true, true},
		"the clip":            {clip1080AnnexB, false, false},
		"the clip of H.265":   {clip360AnnexB, true, false},
	} {
		if isH265, found := FilmIsH265(test.film); isH265 != test.isH265 || !found {
			t.Errorf("%s: H.265 is %v (%v)", name, isH265, found)
		}
		if reorders := FilmReorders(test.film, test.isH265); reorders != test.reorders {
			t.Errorf("%s: B-frames are %v", name, reorders)
		}
	}
	if _, found := FilmIsH265([]byte("no film at all")); found {
		t.Error("a text is a film")
	}
}

// A picture of many slices is one frame.
func TestFilmsOfManySlices(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	for _, isH265 := range []bool{false, true} {
		var film []byte
		if isH265 {
			film = encoded(t, "-c:v", "libx265", "-x265-params", "log-level=error:bframes=0:slices=3:ctu=16", "-f", "hevc")
		} else {
			film = encoded(t, "-c:v", "libx264", "-bf", "0", "-slices", "3", "-f", "h264")
		}
		c := start(t, Options{Film: film, H265: isH265})
		if frames := len(c.clips[0].frames); frames != 25 {
			t.Errorf("H.265 %v: the film of 25 pictures has %d frames", isH265, frames)
		}
		collected := collect(c.clips[0], isH265, 0, 30)
		if pictures := sums(t, keep(t, "film", collected), 0); len(pictures) != 30 {
			t.Errorf("H.265 %v: %d pictures", isH265, len(pictures))
		}
	}
}
