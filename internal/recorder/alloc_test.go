package recorder

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// cameraProcess makes the test program act as a camera, for tests that count the allocations of this process.
const cameraProcess = "KVS_EDGE_TEST_CAMERA"

func TestMain(m *testing.M) {
	if os.Getenv(cameraProcess) != "" {
		serveCamera()
		return
	}
	goleak.VerifyTestMain(m)
}

// serveCamera prints the URL of a camera and serves until its standard input ends.
func serveCamera() {
	camera, err := fakecam.Start(fakecam.Options{FPS: 250, Bitrate: 40_000_000, Audio: fakecam.AudioMuLaw})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(camera.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = camera.Close()
}

// startCameraProcess runs a camera in a process of its own and returns its URL.
func startCameraProcess(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), cameraProcess+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// TestRecordingAllocatesNothingPerPacket counts all allocations of the process, from the socket to
// the file, so it runs alone. Those allowed are per keyframe and fragment, and per second for reports and for checks of the session.
func TestRecordingAllocatesNothingPerPacket(t *testing.T) {
	const (
		perFrame  = 15 // packets at least: 20 kB of at most 1.4 kB
		frames    = 1250
		perSecond = 20 // allocations, however many packets come
	)
	r := record(t, nil, startCameraProcess(t))
	recorded := r.part.Counter(health.FramesRecorded)
	r.awaitFrames(250)
	tick := time.NewTicker(100 * time.Millisecond) // which allocates nothing once it exists
	defer tick.Stop()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	end := recorded.Load() + frames
	for tries := 0; recorded.Load() < end; tries++ {
		if <-tick.C; tries == 1200 {
			t.Fatal("the frames do not come")
		}
	}
	runtime.ReadMemStats(&after)
	const packets = frames * perFrame
	allocations, seconds := after.Mallocs-before.Mallocs, time.Since(began).Seconds()
	t.Logf("%d allocations and %d bytes in %.1f s, of %d packets", allocations, after.TotalAlloc-before.TotalAlloc, seconds, packets)
	const everyEighth = frames / 8 // of the frames: the runtime has some of its own, that come and go with the machine
	if limit := everyEighth + perSecond*seconds; float64(allocations) > limit {
		t.Errorf("%d allocations of %d packets, at most %.0f", allocations, packets, limit)
	}
}
