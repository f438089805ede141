package recorder

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// trap panics at some calls of one kind, counted from 1.
type trap struct {
	at          string
	first, last int64
	calls       atomic.Int64
}

func (b *trap) step(call string) {
	if call != b.at {
		return
	}
	if n := b.calls.Add(1); n >= b.first && n <= b.last {
		panic("planted in " + call)
	}
}

// over reports whether there was a good call after the last panic.
func (b *trap) over() bool { return b.calls.Load() > b.last }

// trappedStore, trappedWriter and trappedCodec step on a trap before each call.
type trappedStore struct {
	Store
	trap *trap
}

func (s trappedStore) Create(stream string, h mkv.Header) (*segment.Writer, error) {
	s.trap.step("Create")
	return s.Store.Create(stream, h)
}

func (s trappedStore) LastEnd(stream string) time.Time {
	s.trap.step("LastEnd")
	return s.Store.LastEnd(stream)
}

type trappedWriter struct {
	segmentWriter
	trap *trap
}

func (w trappedWriter) BeginFragment(start time.Duration, keyframe bool) error {
	w.trap.step("BeginFragment")
	return w.segmentWriter.BeginFragment(start, keyframe)
}

func (w trappedWriter) WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error {
	w.trap.step("WriteFrame")
	err := w.segmentWriter.WriteFrame(track, t, keyframe, parts)
	w.trap.step("after WriteFrame")
	return err
}

func (w trappedWriter) EndFragment() (mkv.Fragment, error) {
	w.trap.step("EndFragment")
	return w.segmentWriter.EndFragment()
}

func (w trappedWriter) Flush() error {
	w.trap.step("Flush")
	err := w.segmentWriter.Flush()
	w.trap.step("after Flush")
	return err
}

func (w trappedWriter) Bytes() int64 {
	w.trap.step("Bytes")
	return w.segmentWriter.Bytes()
}

func (w trappedWriter) Seal() error {
	w.trap.step("Seal")
	err := w.segmentWriter.Seal()
	w.trap.step("after Seal")
	return err
}

type trappedCodec struct {
	accessunit.Codec
	trap *trap
}

func (c trappedCodec) Kind(nal []byte) accessunit.NALKind {
	c.trap.step("kind")
	return c.Codec.Kind(nal)
}

func (c trappedCodec) Unpack(p []byte, take func(payload.Part)) error {
	c.trap.step("packing")
	return c.Codec.Unpack(p, func(part payload.Part) {
		if !part.Whole() {
			c.trap.step("fragment")
		}
		take(part)
	})
}

func (c trappedCodec) NewParameterSets() accessunit.ParameterSets {
	c.trap.step("newSets")
	return c.Codec.NewParameterSets()
}

// TestAPanicAnywhereLeavesTheAccountExact makes a recorder panic at each of the calls it makes,
// once or several times in a row: what the camera
// sent is recorded or reported lost, and recording resumes.
func TestAPanicAnywhereLeavesTheAccountExact(t *testing.T) {
	t.Parallel()
	i := 0
	for _, c := range []struct {
		at    string
		first []int64
	}{
		{"Create", []int64{1, 2}},
		{"LastEnd", []int64{1}},
		{"BeginFragment", []int64{3}},
		{"WriteFrame", []int64{1, 26, 120}},
		{"after WriteFrame", []int64{120}},
		{"EndFragment", []int64{3, 3}},
		{"Flush", []int64{3, 3}},
		{"after Flush", []int64{3}},
		{"Bytes", []int64{80}},
		{"Seal", []int64{1, 1}},
		{"after Seal", []int64{1}},
		{"OnSegment", []int64{1}},
		{"kind", []int64{1, 1000, 1001}},
		{"packing", []int64{1, 1000}},
		{"fragment", []int64{1, 500}},
		{"newSets", []int64{1}},
	} {
		for _, first := range c.first {
			times := 1 + 3*int64(i%2) // the clean-up panics as well
			i++
			b := &trap{at: c.at, first: first, last: first + times - 1}
			name := fmt.Sprintf("%s, calls %d to %d", b.at, b.first, b.last)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				recordIntoTrap(t, name, b)
			})
		}
	}
}

func recordIntoTrap(t *testing.T, name string, b *trap) {
	t.Helper()
	camera := startCamera(t, fakecam.Options{FPS: 100})
	r := record(t, camera, camera.URL(), func(o *Options) {
		o.Store = trappedStore{o.Store, b}
		o.SegmentDuration = time.Second
		o.FlushInterval = 200 * time.Millisecond
		o.OnSegment = func(Segment) { b.step("OnSegment") }
		o.wrapWriter = func(w segmentWriter) segmentWriter { return trappedWriter{w, b} }
		cameraOf(o).WrapCodec = func(c accessunit.Codec) accessunit.Codec { return trappedCodec{c, b} }
		o.Cooldown = backoff.Policy{Min: 20 * time.Millisecond, Max: 200 * time.Millisecond}
	})
	r.await("a call after the last panic", b.over)
	r.awaitFrames(r.number(health.FramesRecorded) + 25)
	r.await("the end of the conditions", func() bool { return len(r.part.Snapshot().Conditions) == 0 })
	if n := len(r.camera.Sessions()); n != 1 {
		t.Errorf("the camera had %d sessions, want one", n)
	}
	r.settle()
	sent, recorded, lost := r.account(name)
	t.Logf("%d sent = %d recorded + %d lost", sent, recorded, lost)
	if n := r.logged("internal-error", "stopped the recording of this stream"); n == 0 {
		t.Error("the log says nothing")
	}
}
