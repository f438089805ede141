package simulate

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// unit is an access unit: that of the n-th second of a camera.
type unit struct {
	camera uint8
	n      uint32
}

// The parameter sets are those of a camera with 352x288.
var (
	sps = []byte{
		0x67, 0x64, 0x00, 0x0c, 0xac, 0x3b, 0x50, 0xb0, 0x4b, 0x42, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3d, 0x08,
	}
	pps = []byte{0x68, 0xee, 0x3c, 0x80}
)

// mark begins what a picture says of itself; no other byte of it is below 0x80.
var mark = []byte("\xd5\xe9kvsim")

const markSize = 7 + 1 + 5

// appendUnit makes the one NAL unit of an access unit.
func appendUnit(p []byte, u unit, keyframe bool, size int) []byte {
	if keyframe {
		p = append(p, 0x65, 0x88)
	} else {
		p = append(p, 0x41, 0x9a)
	}
	p = append(p, mark...)
	p = append(p, 0x80|u.camera)
	for shift := 28; shift >= 0; shift -= 7 {
		p = append(p, 0x80|byte(u.n>>shift))
	}
	for len(p) < size {
		p = append(p, 0xa5)
	}
	return p
}

// unitsIn finds the access units in bytes of a file.
func unitsIn(p []byte) (list []unit) {
	for {
		at := bytes.Index(p, mark)
		if at < 0 || len(p)-at < markSize {
			return list
		}
		u := unit{camera: p[at+7] & 0x7f}
		for _, b := range p[at+8 : at+markSize] {
			u.n = u.n<<7 | uint32(b&0x7f)
		}
		list = append(list, u)
		p = p[at+markSize:]
	}
}

// camera makes an access unit a second, of which it says in which second. It implements recorder.Source: one for each recorder.
type camera struct {
	number uint8
	gop    uint32 // in access units
	size   int    // of each, in bytes
	begin  time.Time
	clock  *clock
	given  func(unit)

	mu      sync.Mutex
	off     bool          // refuses connections, and ends those there are; guarded by mu
	silent  bool          // has connections, and sends nothing; guarded by mu
	changed chan struct{} // closed when one of these changes; guarded by mu
}

// mostLate is how long after a silence what was kept by the network still comes.
const mostLate = 6

func (c *camera) set(off, silent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off, c.silent = off, silent
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *camera) state() (off, silent bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off, c.silent, c.changed
}

// second is the number of the next access unit, and when that is made.
func (c *camera) second() (n uint32, at time.Time) {
	n = uint32(time.Since(c.begin)/time.Second) + 1
	return n, c.begin.Add(time.Duration(n) * time.Second)
}

// source is a camera as one recorder plays it.
type source struct{ *camera }

// Live implements recorder.Source.
func (source) Live() bool { return true }

// Adapt implements recorder.Source.
func (source) Adapt(*accessunit.SessionEnd, int64) {}

func cameraFault(text string) error {
	return &accessunit.SessionEnd{Fault: health.SystemFault(accessunit.CodeCamera, nil, "The camera %s.", text)}
}

// stall is how long a silent session lasts, as with the agent's RTSP.
const stall = 10 * time.Second

// Play implements recorder.Source.
func (s source) Play(ctx context.Context, to accessunit.Sink) error {
	if off, _, _ := s.state(); off {
		return cameraFault("refuses the connection")
	}
	to.Begin(accessunit.H264, 90_000, [][]byte{sps, pps}, nil)
	next, at := s.second()
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	heard, keyed := time.Now(), false
	buffer := make([]byte, 0, s.size)
	nalus := make([][]byte, 1)
	for {
		off, silent, changed := s.state()
		switch {
		case off:
			return cameraFault("ended the connection")
		case silent && time.Since(heard) > stall:
			return cameraFault("sends nothing")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			continue
		case <-timer.C:
		}
		last, due := s.second()
		timer.Reset(time.Until(due))
		if silent {
			continue
		}
		for next = max(next, last-min(last, mostLate)); next < last; next++ { // what was late comes at once
			buffer = appendUnit(buffer[:0], unit{s.number, next}, next%s.gop == 0, s.size)
			nalus[0] = buffer
			keyed = keyed || next%s.gop == 0
			to.AccessUnit(nalus, next*90_000, s.clock.now())
			if keyed {
				s.given(unit{s.number, next})
			}
		}
		heard = time.Now()
	}
}
