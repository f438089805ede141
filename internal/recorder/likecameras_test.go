package recorder

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const (
	// likeFPS makes the cameras of testdata send in little time; some have rates of their own.
	likeFPS = 50
	// likeFrames is how many pictures are recorded of a camera that sends pictures that can be recorded.
	likeFrames = 100
	// likePatience is how long the camera may take: a machine that is busy with all of them needs long for two seconds of video.
	likePatience = 3 * time.Minute
	// likeAtOnce is how many cameras are recorded at a time. They are idle most of the time.
	likeAtOnce = 48
)

// TestLikeCameras records each camera of testdata/cameras (docs/like.md describes the format), and compares the pictures with those of a
// camera without oddities, slice by slice; or expects the sentence that its file names.
func TestLikeCameras(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/cameras/*.txt")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	plain := make(map[bool]map[uint32]string)
	for _, h265 := range []bool{false, true} {
		plain[h265] = plainPictures(t, h265)
	}
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, likeAtOnce)
	for _, file := range files {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { // without t.Parallel, which would let only a few run
				like, err := script.Load(file)
				if err != nil {
					t.Fatal(err)
				}
				recordLike(t, like, plain[like.Film == "h265"])
			})
		})
	}
}

// recordLike records a camera, and checks the result.
func recordLike(t *testing.T, like *script.File, plain map[uint32]string) {
	device := startCamera(t, fakecam.Options{FPS: likeFPS, Like: like})
	r := record(t, device, device.URL(), func(o *Options) {
		cameraOf(o).Limits.Stall = limits.Stall // some send nothing over their first transport
		if like.Refused != "" {                 // its sentence comes soon
			cameraOf(o).Limits.Answer, cameraOf(o).Limits.Stall, cameraOf(o).Limits.StallCheck = 2*time.Second, 2*time.Second, 100*time.Millisecond
		}
		o.Pauses.Stale = 100 * time.Millisecond
	})
	if like.Refused != "" {
		r.awaitCondition(like.Refused)
		return
	}
	share := 100
	if like.Recorded != "all" {
		var err error
		if share, err = strconv.Atoi(strings.TrimSuffix(like.Recorded, "%")); err != nil {
			t.Fatal("the file does not state the expected result")
		}
	}
	began := time.Now()
	testtools.Eventually(t, 2*likePatience, func() error {
		if n := r.number(health.FramesRecorded); n < likeFrames*int64(share)/100 && time.Since(began) < likePatience {
			return fmt.Errorf("%d pictures", n)
		}
		return nil
	})
	r.finish()
	got := r.likePictures()
	for _, p := range got {
		if want, known := plain[uint32(p.counter)]; known && p.slices != want {
			t.Fatalf("%s: picture %d is not as it was sent", like.About, p.counter)
		}
	}
	// Of a film that loses packets at the same places each time, the share of the first pictures does not depend on when the recording
	// ends. Frames that are on their way then may be missing from it.
	least := likeFrames * share / 100
	first := got[:min(least, len(got))]
	sent := 0
	for i, p := range first {
		if i+1 == len(first) || first[i+1].counter>>32 != p.counter>>32 {
			sent += int(uint32(p.counter)) + 1
		}
	}
	if len(first) < least || least*100 < sent*share {
		t.Fatalf("%s: %d pictures are recorded, the first %d of %d, and %d were sent at all; want %d and %d %%, %d are counted as lost: %+v",
			like.About, len(got), len(first), sent, sentFrames(device), least, share, r.number(health.FramesLost), r.part.Snapshot().Conditions)
	}
	r.frames() // checks the order that Kinesis Video Streams demands
}

func sentFrames(camera *fakecam.Camera) (n int) {
	for _, s := range camera.Sessions() {
		n += s.Frames
	}
	return n
}

// likePicture is a picture of a recording.
type likePicture struct {
	counter uint64
	slices  string // a checksum of its slices
}

// plainPictures returns the checksums of the pictures of a camera without oddities, by the low half of the counter: the pictures show only
// a part of it.
func plainPictures(t *testing.T, h265 bool) map[uint32]string {
	t.Helper()
	camera := startCamera(t, fakecam.Options{FPS: 300, H265: h265})
	r := record(t, camera, camera.URL())
	r.await("pictures", func() bool { return r.number(health.FramesRecorded) >= 5*likeFrames })
	r.finish()
	sums := make(map[uint32]string)
	for _, p := range r.likePictures() {
		sums[uint32(p.counter)] = p.slices
	}
	return sums
}

// likePictures reads all pictures of the stream, in the order of their counters.
func (r *rig) likePictures() (list []likePicture) {
	r.t.Helper()
	r.eachRecording(func(_ segment.Info, m *mkv.Reader, fragments []mkv.Fragment) {
		for _, f := range fragments {
			for b, err := range m.Blocks(f) {
				if err != nil {
					r.t.Fatal(err)
				}
				if b.Track != 1 {
					continue
				}
				stamp, ok := stamps.OfAccessUnit(b.Data)
				if !ok || len(list) > 0 && stamp.Counter <= list[len(list)-1].counter {
					r.t.Fatalf("picture %d of the recording has the counter %d", len(list), stamp.Counter)
				}
				list = append(list, likePicture{stamp.Counter, slicesSum(b.Data, m.Header().Tracks[0].CodecID == mkv.CodecHEVC)})
			}
		}
	})
	return list
}

// slicesSum is a checksum of the slices of an access unit, without zeros behind them.
func slicesSum(unit []byte, h265 bool) string {
	sum := sha256.New()
	for len(unit) > 4 {
		n := min(int(binary.BigEndian.Uint32(unit)), len(unit)-4)
		nalu := unit[4 : 4+n]
		unit = unit[4+n:]
		if n == 0 || h265 && nalu[0]>>1&0x3f > 31 || !h265 && (nalu[0]&0x1f == 0 || nalu[0]&0x1f > 5) {
			continue
		}
		sum.Write(bytes.TrimRight(nalu, "\x00"))
		sum.Write([]byte{0})
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
