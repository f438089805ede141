package recorder

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const soakCameras = 16

// TestSoak records many cameras that misbehave at random for as long as KVS_EDGE_SOAK says, and
// accounts for every frame: what they sent is recorded or reported lost. make soak-cameras.
func TestSoak(t *testing.T) {
	text := os.Getenv("KVS_EDGE_SOAK")
	if text == "" {
		t.Skip("set KVS_EDGE_SOAK to a duration such as 30m")
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	if set := os.Getenv("KVS_EDGE_SOAK_SEED"); set != "" {
		if seed, err = strconv.ParseUint(set, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("KVS_EDGE_SOAK_SEED=%d", seed)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var rigs []*rig
	for i := range soakCameras {
		o := fakecam.Options{H265: i%4 == 3, NearWrap: i%5 == 0}
		switch i % 8 {
		case 1:
			o.Audio = fakecam.AudioAAC
		case 5:
			o.Audio = fakecam.AudioMuLaw
		}
		camera := startCamera(t, o)
		rigs = append(rigs, record(t, camera, camera.URL(), func(o *Options) {
			cameraOf(o).Limits.Stall = limits.Stall
			// The logs and segments that a test keeps would look like a leak.
			o.Log, o.OnSegment = zap.NewNop(), nil
			o.SegmentDuration = time.Minute
			o.Backoff = backoff.Policy{Min: 20 * time.Millisecond, Max: time.Second}
		}))
	}
	var misbehaving sync.WaitGroup
	deeds := make([]map[string]int, soakCameras)
	for i, r := range rigs {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		misbehaving.Go(func() { deeds[i] = misbehave(ctx, r.camera, random) })
	}
	memory := watchMemory(ctx, max(duration/60, time.Second))
	misbehaving.Wait()

	var sent, recorded, lost, reconnects, gaps int64
	total := make(map[string]int)
	for i, r := range rigs {
		r.calm()
		s, n, l := r.account(fmt.Sprintf("camera %d", i))
		sent, recorded, lost = sent+s, recorded+n, lost+l
		reconnects, gaps = reconnects+r.number(health.Reconnects), gaps+r.number(health.Gaps)
		for deed, n := range deeds[i] {
			total[deed] += n
		}
	}
	early, late := median(memory[len(memory)/4:len(memory)/2]), median(memory[len(memory)*3/4:])
	t.Logf("%s with %d cameras: %d frames sent = %d recorded + %d reported lost; %d reconnects, %d gaps, %v; "+
		"memory %.1f MiB in the second quarter, %.1f MiB in the last",
		duration, soakCameras, sent, recorded, lost, reconnects, gaps, total, early, late)
	if late > early*1.15+8 {
		t.Errorf("memory grew from %.1f to %.1f MiB", early, late)
	}
}

// misbehave applies random camera faults until ctx ends, and leaves the camera working.
func misbehave(ctx context.Context, c *fakecam.Camera, random *rand.Rand) map[string]int {
	deeds := make(map[string]int)
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)))
	}
	for backoff.Sleep(ctx, between(time.Second, 15*time.Second)) == nil {
		deed := []string{"drop", "hiccup", "stall", "unplug", "jump", "jump back", "parameters"}[random.IntN(7)]
		deeds[deed]++
		switch deed {
		case "drop":
			c.Drop()
		case "hiccup": // shorter than a stall
			c.Stall()
			_ = backoff.Sleep(ctx, between(time.Second, 8*time.Second))
			c.Resume()
		case "stall":
			c.Stall()
			_ = backoff.Sleep(ctx, between(limits.Stall+2*limits.StallCheck, 20*time.Second))
			c.Resume()
		case "unplug":
			c.Unplug()
			_ = backoff.Sleep(ctx, between(100*time.Millisecond, 5*time.Second))
			_ = c.Plug() // a camera that is closed shows as missing frames
		case "jump":
			c.Jump(between(time.Second, time.Hour))
		case "jump back":
			c.Jump(-between(time.Second, time.Hour))
		case "parameters":
			c.ChangeParams()
		}
	}
	return deeds
}

// calm is settle for a camera of which frames may be missing for good: account names them.
func (r *rig) calm() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	r.camera.Stall()
	for r.handed.Load()+r.number(health.FramesLost) < sent(r.camera) && backoff.Sleep(ctx, 10*time.Millisecond) == nil {
	}
	r.camera.Unplug()
	r.finish()
}

// account compares what a camera sent with what is on disk and what was reported.
func (r *rig) account(name string) (sent, recorded, lost int64) {
	r.t.Helper()
	var all []uint64
	for _, s := range r.camera.Sessions() {
		for i := range s.Frames {
			all = append(all, s.First+uint64(i))
		}
	}
	sent, recorded, lost = int64(len(all)), r.number(health.FramesRecorded), r.number(health.FramesLost)
	if sent != recorded+lost {
		r.t.Errorf("%s: %d frames sent, %d recorded, %d reported lost", name, sent, recorded, lost)
	}
	frames := r.frames()
	if int64(len(frames)) != recorded {
		r.t.Errorf("%s: %d frames on disk, %d reported", name, len(frames), recorded)
	}
	if r.t.Failed() {
		r.tellMissing(name, frames)
	}
	at := 0
	for _, f := range frames {
		n, found := slices.BinarySearch(all[at:], f.counter)
		if !found {
			r.t.Fatalf("%s: frame %#x was not sent, or is recorded twice", name, f.counter)
		}
		at += n + 1
	}
	return sent, recorded, lost
}

// tellMissing logs the positions, in their sessions, of frames that are not on disk.
func (r *rig) tellMissing(name string, frames []recorded) {
	on := make(map[uint64]bool, len(frames))
	for _, f := range frames {
		on[f.counter] = true
	}
	for n, s := range r.camera.Sessions() {
		for i := range s.Frames {
			if !on[s.First+uint64(i)] {
				r.t.Logf("%s: frame %d of %d is missing of session %d, from %s to %s", name, i, s.Frames, n, s.Began, s.Ended)
			}
		}
	}
}

// watchMemory measures the resident memory, in MiB, until ctx ends.
func watchMemory(ctx context.Context, every time.Duration) (samples []float64) {
	for backoff.Sleep(ctx, every) == nil {
		debug.FreeOSMemory() // counts memory in use, not what the collector has yet to free
		if data, err := os.ReadFile("/proc/self/statm"); err == nil {
			if fields := bytes.Fields(data); len(fields) > 1 {
				pages, _ := strconv.Atoi(string(fields[1]))
				samples = append(samples, float64(pages*os.Getpagesize())/(1<<20))
			}
		}
	}
	return samples
}

func median(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	samples = slices.Sorted(slices.Values(samples))
	return samples[len(samples)/2]
}
