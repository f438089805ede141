package fakecam

import (
	"math"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
)

// strayBy is how far back the timestamps of stray frames are.
const strayBy = 5 * time.Hour

const clockRate = 90000 // RTP ticks per second, of H.264 and of MJPEG

// controls is the state of running players that the fault hooks change.
type controls struct {
	// Players hold mu for reading while they queue a frame, so that a hook, once it
	// returns, applies to all later frames.
	mu      sync.RWMutex
	stalled bool
	muted   bool  // no audio
	jump    int64 // RTP ticks, all jumps so far
	clip    *clip
	changed chan struct{} // closed and replaced when stalled changes
}

// current is the clip that new sessions play.
func (c *controls) current() *clip {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.clip
}

// stall stops or resumes all players.
func (c *controls) stall(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalled != on {
		c.stalled = on
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// sink receives the packets of one session, and writes them in order.
type sink interface {
	// room reports whether n more packets can be queued.
	room(n int) bool
	// write queues one packet; the payload may be reused after it returns.
	write(payload []byte, timestamp uint32, marker bool)
	// flush marks the end of a frame.
	flush()
	// skip notes that a frame was left out.
	skip()
}

// unitSink is a sink that packetises pictures by itself.
type unitSink interface {
	sink
	// picture receives a picture as NAL units, or as payloads if it has none. Both are valid until deliver returns.
	picture(units, payloads [][]byte, key bool, timestamp uint32)
	// deliver sends that picture. It reports whether the camera paused.
	deliver() (paused bool)
}

// player plays the clip of its camera for one session, from a keyframe on.
type player struct {
	controls *controls
	sink     sink
	fps      float64
	budget   float64 // bytes a frame to fill up to, 0 for no filler
	inband   bool    // parameter sets are sent before keyframes
	stamped  bool    // frames carry a Stamp: not in MJPEG
	h265     bool    // stamps are those of H.265

	counter uint64 // of the next frame
	origin  uint32 // RTP timestamp of slot 0
	jumped  int64  // controls.jump at the start of the session

	pace    float64       // of the timestamps; 0: 1
	stray   uint64        // every n-th frame is a stray one; 0: none
	backlog time.Duration // video buffered for the session

	clip    *clip
	next    int // index of the next frame in clip
	needKey bool
	credit  float64 // bytes of the budget that frames so far did not use
	filler  *filler
	stamp   []byte
	row     stamps.RowWriter
}

// run plays until stop is closed. Frames are due at fixed times counted from the first one, so
// that late wake-ups do not add up; a delayed player sends at once what is due.
func (p *player) run(stop <-chan struct{}) {
	p.filler = newFiller()
	p.clip = p.controls.current()

	begin := time.Now().Add(-p.backlog)
	slot := int64(0) // frame intervals since the start
	stalled := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		p.controls.mu.RLock()
		if p.controls.stalled {
			changed := p.controls.changed
			p.controls.mu.RUnlock()
			stalled = true
			select {
			case <-changed:
				continue
			case <-stop:
				return
			}
		}
		if stalled {
			// The camera's clock ran during the stall: frames continue at the next frame time.
			stalled = false
			slot = max(slot, int64(math.Ceil(time.Since(begin).Seconds()*p.fps)))
		}
		changed := p.controls.changed
		wait := time.Until(begin.Add(time.Duration(float64(slot) / p.fps * float64(time.Second))))
		if wait <= 0 {
			p.frame(slot)
			slot++
		}
		p.controls.mu.RUnlock()
		if to, ok := p.sink.(unitSink); ok && wait <= 0 {
			stalled = to.deliver()
		}
		if wait <= 0 {
			select {
			case <-stop:
				return
			default:
				continue
			}
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-stop:
			return
		}
	}
}

// frame queues the frame of one slot. It is called with controls.mu held for reading.
func (p *player) frame(slot int64) {
	if p.clip.frames[p.next].key && p.clip != p.controls.clip {
		p.clip, p.next = p.controls.clip, 0
	}
	f := &p.clip.frames[p.next]
	p.next = (p.next + 1) % len(p.clip.frames)

	packets, size := len(f.body), f.bodySize
	params := f.params
	if !p.inband {
		params = nil
	} else {
		size += f.paramsSize
	}
	packets += len(params)
	if p.stamped {
		p.restamp()
		packets++
		size += 4 + len(p.stamp)
	}
	var row []byte
	if p.clip.row != nil {
		row = p.row.Write(p.clip.row, f.row, uint16(p.counter), p.stamped)
		packets++
		size += 4 + len(row)
	}
	fill, credit := p.fill(size)
	packets += p.filler.count(fill)

	if p.needKey && !f.key || !p.sink.room(packets) {
		// After a gap only a keyframe can be decoded.
		p.needKey = true
		p.sink.skip()
		return
	}
	p.needKey = false
	p.credit = credit

	timestamp := p.timestamp(slot)
	if to, ok := p.sink.(unitSink); ok {
		to.picture(p.units(f, row, fill), f.body, f.key, timestamp)
		p.counter++
		return
	}
	p.write(f, params, row, fill, packets, timestamp)
	p.counter++
	p.sink.flush()
}

// write queues the packets of a frame.
func (p *player) write(f *frame, params [][]byte, row []byte, fill, packets int, timestamp uint32) {
	left := packets
	send := func(payload []byte) {
		left--
		p.sink.write(payload, timestamp, left == 0)
	}
	for _, payload := range params {
		send(payload)
	}
	if p.stamped {
		send(p.stamp)
	}
	if row != nil {
		send(row)
	}
	for _, payload := range f.body {
		send(payload)
	}
	p.filler.each(fill, send)
}

// units returns the NAL units of a frame in the order of sending; none for MJPEG.
func (p *player) units(f *frame, row []byte, fill int) (list [][]byte) {
	if f.bodyUnits == nil {
		return nil
	}
	if p.inband {
		list = append(list, f.paramUnits...)
	}
	if p.stamped {
		list = append(list, p.stamp)
	}
	if row != nil {
		list = append(list, row)
	}
	list = append(list, f.bodyUnits...)
	if fill >= minFiller {
		list = append(list, fillerUnit(fill))
	}
	return list
}

// restamp updates the stamp for the next frame.
func (p *player) restamp() {
	stamp := stamps.Stamp{Counter: p.counter, Sent: time.Now()}
	if p.h265 {
		p.stamp = stamp.AppendH265(p.stamp[:0])
	} else {
		p.stamp = stamp.Append(p.stamp[:0])
	}
}

// fill returns the number of bytes of filler for a frame of size bytes, and the rest of the budget.
func (p *player) fill(size int) (fill int, credit float64) {
	if p.budget <= 0 {
		return 0, p.credit
	}
	credit = p.credit + p.budget - float64(size)
	if fill = int(credit); fill < minFiller {
		fill = 0
	}
	return fill, credit - float64(fill)
}

// timestamp returns the RTP timestamp of a slot, in ticks.
func (p *player) timestamp(slot int64) uint32 {
	pace := p.pace
	if pace == 0 {
		pace = 1
	}
	ticks := int64(math.Round(float64(slot) * clockRate / p.fps * pace))
	if p.stray > 0 && p.counter%p.stray == p.stray-1 {
		ticks -= int64(strayBy.Seconds()) * clockRate
	}
	return p.origin + uint32(ticks+p.controls.jump-p.jumped)
}
