package recorder

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// bench is a segmenter with a store and a clock, fed without a camera.
type bench struct {
	t     *testing.T
	store *segment.Store
	*segmenter
}

// realSPS and realPPS are of 352x288.
var (
	realSPS = []byte{
		0x67, 0x64, 0x00, 0x0c, 0xac, 0x3b, 0x50, 0xb0, 0x4b, 0x42, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3d, 0x08,
	}
	realPPS = []byte{0x68, 0xee, 0x3c, 0x80}
)

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := segment.Open(segment.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := New(Options{Stream: "door", Store: store, Now: func() time.Time { return noon },
		Health: health.NewRegistry(time.Now).Component("door", health.JobRecorder), Log: zap.NewNop(), SegmentDuration: time.Hour})
	b := &bench{t, store, newSegmenter(&r.o)}
	b.beginSession(accessunit.H264, 90000, [][]byte{realSPS, realPPS}, nil)
	return b
}

// frame sends NAL units that are shown at pts, and arrive at at.
func (b *bench) frame(pts, at time.Duration, nals ...string) {
	units := make([][]byte, len(nals))
	for i, nal := range nals {
		units[i] = []byte(nal)
	}
	b.accessUnit(units, uint32(pts*9/100_000), noon.Add(at))
}

// fragments ends the recording and lists what KVS would receive; it checks the order that KVS demands.
func (b *bench) fragments() (list []mkv.Fragment, blocks [][]mkv.Block) {
	b.t.Helper()
	if err := b.recording.seal(); err != nil {
		b.t.Fatal(err)
	}
	var last time.Time
	for _, info := range b.store.Segments("door", time.Time{}, time.Time{}) {
		reader, err := b.store.OpenSegment(info.Key)
		if err != nil {
			b.t.Fatal(err)
		}
		defer reader.Close()
		m, err := mkv.Open(reader, info.Bytes)
		if err != nil {
			b.t.Fatal(err)
		}
		fragments, err := m.Fragments()
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range fragments {
			before := last
			var of []mkv.Block
			for block, err := range m.Blocks(f) {
				if err != nil {
					b.t.Fatal(err)
				}
				at := m.Header().Start.Add(block.Time)
				if !at.After(before) {
					b.t.Errorf("a frame at %s, although the previous fragment ends at %s", at, before)
				}
				if at.After(last) {
					last = at
				}
				of = append(of, block)
			}
			list, blocks = append(list, f), append(blocks, of)
		}
	}
	return list, blocks
}

func (b *bench) says(code string) bool {
	for _, c := range b.part.Snapshot().Conditions {
		if c.Code == code {
			return true
		}
	}
	return false
}

func TestLongGOP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const frames = 25 * 70 // one keyframe, then none for 70 s
	for i := range frames {
		at := time.Duration(i) * tick
		if i == 0 {
			b.frame(at, at, idr)
		} else {
			b.frame(at, at, slice1)
		}
		if reported := b.says(codeKeyframes); reported != (at > longGOP) {
			t.Fatalf("after %s rare keyframes are reported: %v", at, reported)
		}
	}
	for i := range 3 {
		at := frames*tick + time.Duration(i)*time.Second
		b.frame(at, at, idr)
	}
	if b.says(codeKeyframes) {
		t.Error("rare keyframes are still reported")
	}
	list, blocks := b.fragments()
	total := 0
	for i, f := range list {
		total += len(blocks[i])
		if d := f.Last - f.Start; d > 20*time.Second {
			t.Errorf("fragment %d lasts %s", i, d)
		}
	}
	if total != frames+3 || len(list) < 5 {
		t.Errorf("%d frames in %d fragments", total, len(list))
	}
}

// TestOpenGOP has I pictures with a recovery point, followed by pictures that are shown before
// them: they keep their times, and those that reference pictures before the recording are left out.
func TestOpenGOP(t *testing.T) {
	t.Parallel()
	const recovery = "\x06\x06\x01\x84\x80"
	b := newBench(t)
	at := time.Duration(0)
	send := func(pts time.Duration, nals ...string) {
		at += tick
		b.frame(pts, at, nals...)
	}
	gop := func(start time.Duration) { // decode order I B B P B B …, shown as B B I B B P …
		send(start+2*tick, recovery, idrLike)
		send(start, slice1)
		send(start+tick, slice1)
		for i := time.Duration(3); i < 30; i += 3 {
			send(start+(i+2)*tick, slice1)
			send(start+i*tick, slice1)
			send(start+(i+1)*tick, slice1)
		}
	}
	gop(0)
	gop(30 * tick)
	b.newSegmentDue = true // a segment starts here
	gop(60 * tick)
	list, blocks := b.fragments()
	if len(list) != 3 || len(blocks[0]) != 28 || len(blocks[1]) != 30 || len(blocks[2]) != 30 {
		t.Fatalf("%d fragments", len(list))
	}
	for i, of := range blocks {
		if !of[0].Keyframe || of[1].Keyframe {
			t.Errorf("fragment %d does not begin with its only keyframe", i)
		}
		if i > 0 && (of[0].Time-of[1].Time != 2*tick || of[0].Time-of[2].Time != tick) {
			t.Errorf("leading pictures of fragment %d at %s and %s, the keyframe at %s", i, of[1].Time, of[2].Time, of[0].Time)
		}
	}
}

// idrLike is a slice of I macroblocks that does not belong to an IDR picture.
const idrLike = "\x61\x88\x80islice"

// TestDamageIsToldOnceAnEpisode has malformed data first, then a loss, then a flood, then a quiet time.
func TestDamageIsToldOnceAnEpisode(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	now := noon
	b.o.Now = func() time.Time { return now }
	told := func() string {
		for _, c := range b.part.Snapshot().Conditions {
			if c.Code == codeUnreadable {
				return c.Text[:5]
			}
		}
		return ""
	}
	expect := func(want string) {
		t.Helper()
		if got := told(); got != want {
			t.Errorf("status says %q, want %q", got, want)
		}
	}
	second := func() {
		for range 25 {
			at := now.Sub(noon)
			b.frame(at, at, idr)
			now = now.Add(tick)
		}
	}
	second()
	expect("")
	b.malformed(errors.New("malformed"))
	expect("The c")
	v := newSupervisor(b.o)
	v.segmenter, v.counting = b.segmenter, true
	for range 1000 {
		v.Damaged(1, errors.New("a hole"))
	}
	expect("Video")
	if n := b.o.numbers.lost.Load(); n != 1000 {
		t.Errorf("%d lost", n)
	}
	b.malformed(errors.New("malformed"))
	expect("Video")
	for range int(damageClearAfter/time.Second) + 4 {
		second()
	}
	expect("")
	b.damaged(1, errors.New("a hole"))
	expect("Video")
}
