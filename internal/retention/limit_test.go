package retention

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// filling is a camera that fills a stream's limit, recorded as the recorder does, in time of its own.
type filling struct {
	t      *testing.T
	random *rand.Rand
	dir    string
	store  *segment.Store
	keeper *Keeper
	policy Policy

	rate       int       // bytes a second
	gop        int       // frames
	delay      int       // frames from the call of Low to the deletion
	now        time.Time // of the next frame
	down       int       // frames until relieve; -1: nobody asked
	w          *segment.Writer
	sizeBefore int64 // size of the segment when its fragment began
	taken      int   // frames written
	lost       int   // frames for which there was no room
	wait       bool  // for a keyframe
}

// vastDisk never runs low.
type vastDisk struct{ *segment.Store }

func (vastDisk) DiskFree() (free, total uint64, err error) { return 1 << 40, 1 << 41, nil }

const fillRate = 25 // frames a second

func newFilling(t *testing.T, random *rand.Rand, limit int64, rate, gop int, onFull desired.OnFull) *filling {
	t.Helper()
	return newFillingOn(t, nil, random, limit, rate, gop, onFull)
}

// newFillingOn is newFilling on a disk; nil: a real one.
func newFillingOn(
	t *testing.T, disk atomicfile.FileSystem, random *rand.Rand, limit int64, rate, gop int, onFull desired.OnFull,
) *filling {
	t.Helper()
	dir := MemoryDir(t)
	store, err := segment.Open(segment.Options{Dir: dir, Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &filling{
		t: t, random: random, dir: dir, store: store, rate: rate, gop: gop, now: begin, down: -1,
		policy: Policy{MaxBytes: limit, OnFull: onFull},
	}
	f.keeper = New(Options{
		Store: vastDisk{store}, Health: health.NewRegistry(time.Now), Now: func() time.Time { return f.now },
		Uptime: func() time.Duration { return f.now.Sub(begin) }, Synchronised: func() bool { return true },
	})
	f.keeper.SetPolicy("yard", f.policy)
	return f
}

// onDisk is what the stream's media takes of the disk.
func (f *filling) onDisk() (bytes int64) {
	f.t.Helper()
	files, err := filepath.Glob(filepath.Join(f.dir, "yard", "*.mkv"))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			f.t.Fatal(err)
		}
		bytes += info.Size()
	}
	return bytes
}

// frame records the n-th frame of the camera.
func (f *filling) frame(n int) {
	key := n%f.gop == 0
	size := f.rate / fillRate * (70 + f.random.IntN(60)) / 100
	if key {
		size *= 3
	}
	if err := f.write(key, size); errors.Is(err, segment.ErrPaused) {
		f.lost++
		f.wait = true
		f.seal()
	} else if err != nil {
		f.t.Fatal(err)
	}
	f.now = f.now.Add(time.Second / fillRate)
}

// write does as the segmenter: segments begin at keyframes, before they grow beyond their share.
func (f *filling) write(key bool, size int) error {
	if f.wait && !key {
		return segment.ErrPaused
	}
	share := f.keeper.SegmentBytes("yard")
	if key && (f.w == nil || share > 0 && 2*f.w.Bytes()-f.sizeBefore > share) {
		f.seal()
		w, err := f.store.Create("yard", mkv.Header{Start: f.now, Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
		if err != nil {
			return err
		}
		f.w = w
	}
	at := f.now.Sub(time.UnixMilli(f.w.Key().Start))
	if key {
		f.wait, f.sizeBefore = false, f.w.Bytes()
		if _, err := f.w.EndFragment(); err != nil && !errors.Is(err, mkv.ErrNoFragment) {
			return err
		}
		if err := f.w.BeginFragment(at, true); err != nil {
			return err
		}
	}
	if err := f.w.WriteFrame(1, at, key, [][]byte{make([]byte, size)}); err != nil {
		return err
	}
	f.taken++
	if n := f.taken; n%40 == 0 { // as FlushInterval has it
		return f.w.Flush()
	}
	return nil
}

func (f *filling) seal() {
	f.t.Helper()
	if f.w == nil {
		return
	}
	if err := f.w.Seal(); err != nil {
		f.t.Fatal(err)
	}
	f.w = nil
}

// keep is what Run would do meanwhile: a pass every 5 s, and what Low asks for, a while later.
func (f *filling) keep(n int) {
	select {
	case <-f.keeper.lows.C():
		if f.down < 0 {
			f.down = f.delay
		}
	default:
	}
	if f.down == 0 {
		f.keeper.relieve(f.t.Context())
	}
	if f.down = max(f.down-1, -1); n%(5*fillRate) == 0 {
		f.keeper.pass(f.t.Context())
	}
}

// check holds the limit against what is there.
func (f *filling) check(n int) {
	f.t.Helper()
	u := f.store.Usage("yard")
	if u.Bytes+u.Growing > f.policy.MaxBytes {
		f.t.Fatalf("frame %d: %d bytes are used, with the segment being written, of %d", n, u.Bytes+u.Growing, f.policy.MaxBytes)
	}
	if n%5 == 0 || f.w == nil {
		if bytes := f.onDisk(); bytes > f.policy.MaxBytes {
			f.t.Fatalf("frame %d: %d bytes are on the disk, of %d", n, bytes, f.policy.MaxBytes)
		}
	}
}

// TestALimitIsNeverExceeded records at many bit rates into many limits. MB stand for 64 MB here: what
// counts is for how many seconds of media a limit has room. The bit rates reach from those of a month's media
// to twice what takes the smallest limit in 12 s, and keepers from one that deletes at once to one that takes a second.
func TestALimitIsNeverExceeded(t *testing.T) {
	t.Parallel()
	seeds := testtools.Proof(t, "limits", testtools.Sizes[uint64]{Short: 4, Middle: 24, Long: 500})
	for seed := range seeds {
		for _, onFull := range []desired.OnFull{DeleteOldest, DenyNew} {
			t.Run(fmt.Sprintf("%d/%d", seed, onFull), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(seed, uint64(onFull)))
				limit := int64(1_000_000 + random.IntN(3_000_000))
				holds := 6 + random.IntN(60) // seconds of media
				f := newFilling(t, random, limit, int(limit)/holds, 10+random.IntN(90), onFull)
				f.delay = random.IntN(fillRate)
				for n := range 3 * holds * fillRate {
					f.keep(n)
					f.frame(n)
					f.check(n)
				}
				f.seal()
				f.check(0)
				used := f.store.Usage("yard").Bytes
				ahead := f.policy.ahead()
				// A GOP that is larger than what is free for it, or a keeper that is slower than it fills, costs frames.
				room := ahead - int64(f.rate*f.delay/fillRate) - 3*int64(f.rate)/fillRate
				if onFull == DeleteOldest && room > ahead/4 && f.lost > 0 {
					t.Errorf("%d of %d frames are lost, with %d bytes/s, %d free and a keeper that takes %d frames", f.lost, f.taken, f.rate, ahead,
						f.delay)
				}
				gop := int64(f.rate * (f.gop + 2) / fillRate * 13 / 10)
				if least := limit - 2*ahead - 2*max(gop, ahead); used < least {
					t.Errorf("%d of %d bytes are used, so more than needed was deleted or denied", used, limit)
				}
			})
		}
	}
}

// fillUp fills the limit with small segments behind pad bytes, and then with a large one until a frame of it is refused.
func (f *filling) fillUp(pad, small int) {
	f.t.Helper()
	add := func(size int) {
		f.t.Helper()
		if err := f.write(true, size); err != nil {
			f.t.Fatal(err)
		}
		f.seal()
		f.now = f.now.Add(time.Second)
	}
	add(pad)
	for used := 0; used < int(f.policy.MaxBytes)/8; used += small {
		add(small)
	}
	for key := true; ; key = false {
		if err := f.write(key, 5_000); errors.Is(err, segment.ErrPaused) {
			break
		} else if err != nil {
			f.t.Fatal(err)
		}
		f.now = f.now.Add(time.Millisecond)
	}
	f.seal()
}

// A stream that waits for room gets it, or it is said why not: what the store wants to be free and what the keeper frees is the same,
// to the byte.
func TestAStreamWithoutRoomIsGivenSome(t *testing.T) {
	t.Parallel()
	for _, onFull := range []desired.OnFull{DeleteOldest, DenyNew} {
		for _, limit := range []int64{1_000_000, 4_000_000} {
			for _, small := range []int{600, 2_000, 40_000} {
				for _, pad := range []int{1, 300, 900, 2_500, 3_900} {
					t.Run(fmt.Sprintf("%d/%d/%d/%d", onFull, limit, small, pad), func(t *testing.T) {
						t.Parallel()
						f := newFilling(t, nil, limit, 0, 0, onFull)
						f.fillUp(pad, small)
						f.awaitRoom()
					})
				}
			}
		}
	}
}

// awaitRoom makes passes until the stream may record. One that denies new media says that it is full, and is then told to delete.
func (f *filling) awaitRoom() {
	f.t.Helper()
	for passes := 0; ; passes++ {
		listed := f.store.Usage("yard").Segments
		f.keeper.pass(f.t.Context())
		deleted := listed - f.store.Usage("yard").Segments
		worst, _ := f.keeper.o.Health.Component("yard", health.JobRetention).Snapshot().Worst()
		paused := worst.Code == codeFull
		f.now = f.now.Add(time.Minute)
		err := f.write(true, 1)
		switch {
		case err == nil && paused:
			f.t.Fatal("a stream that may record is reported as full")
		case err == nil:
			f.seal()
			return
		case !errors.Is(err, segment.ErrPaused):
			f.t.Fatal(err)
		case f.policy.OnFull == DenyNew && deleted == 0 && paused:
			f.policy.OnFull = DeleteOldest
			f.keeper.SetPolicy("yard", f.policy)
		case deleted == 0:
			f.t.Fatalf("pass %d deletes nothing although there is no room: %d of %d bytes are used (%v)", passes, f.store.Usage("yard").Bytes,
				f.policy.MaxBytes, err)
		}
	}
}
