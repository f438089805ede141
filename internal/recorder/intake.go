package recorder

import "time"

// intake takes the RTP packets of a session's video, and survives what panics on their way to the
// sink. Then it counts pictures by their RTP timestamps alone, which needs nothing of what broke,
// until the sink wants to see pictures again. One goroutine uses it at a time.
type intake struct {
	codec     codec
	sink      sink
	maxUnit   int        // bytes; see maxUnit
	assembler *assembler // nil: it panicked, and pictures are only counted
	until     time.Time  // so long
	pictures  int64      // so far

	sequence  uint16
	timestamp uint32 // of the present packet
	before    uint32 // of the packet before it
	started   bool   // there is one
	told      bool   // the sink knows what became of the picture at before
	toldThis  bool   // and of the one at timestamp
}

func newIntake(c codec, maxUnit int, to sink) *intake {
	in := &intake{codec: c, maxUnit: maxUnit, sink: to}
	in.assembler = in.newAssembler()
	return in
}

func (in *intake) newAssembler() *assembler {
	a := newAssembler(in.codec, watched{in.sink, in})
	a.maxUnit = in.maxUnit
	return a
}

// enter begins a packet; survive, deferred, ends it.
func (in *intake) enter(sequence uint16, timestamp uint32) {
	if in.started && timestamp != in.timestamp {
		in.told, in.toldThis = in.toldThis, false
	}
	in.before, in.timestamp, in.sequence = in.timestamp, timestamp, sequence
}

// survive must be deferred itself, as it recovers.
func (in *intake) survive() {
	if value := recover(); value != nil {
		in.abandon(value)
	}
	in.started = true
}

// abandon gives the assembler up with the pictures of which it holds parts.
func (in *intake) abandon(value any) {
	lost := int64(0)
	if in.started && in.before != in.timestamp && !in.told {
		lost++
	}
	if !in.toldThis {
		lost++
	}
	in.toldThis = true
	in.assembler = nil
	in.until = in.sink.panicked(lost, value)
}

// push takes the packet that was entered. An error ends the session.
func (in *intake) push(p packet, now time.Time) error {
	if in.assembler == nil && !in.resume(now) {
		return nil
	}
	return in.assembler.push(p, now)
}

// resume counts a picture, or begins to assemble anew when it is time.
func (in *intake) resume(now time.Time) bool {
	if in.toldThis {
		return false
	}
	if now.Before(in.until) {
		in.toldThis = true
		in.pictures++
		in.sink.damaged(1, nil)
		return false
	}
	in.assembler = in.atPicture(in.sequence)
	return true
}

// progressed is how far the video of a session has come.
type progressed struct {
	pictures int64
	bytes    int // of the next one
}

// after tells whether more has come than at last: another picture, or more of one than there was of
// any since. A large picture may take long, on a slow network or while this machine is busy; but what
// never makes a picture is no video.
func (p progressed) after(last progressed) bool {
	return p.pictures != last.pictures || p.bytes > last.bytes
}

func (in *intake) progress() progressed {
	p := progressed{pictures: in.pictures}
	if in.assembler != nil {
		p.bytes = len(in.assembler.buffer)
	}
	return p
}

// atPicture is an assembler for what comes from a packet on with which a picture begins.
func (in *intake) atPicture(sequence uint16) *assembler {
	a := in.newAssembler()
	a.synced, a.hole = true, false
	a.started, a.sequence = true, sequence-1
	return a
}

// turn goes on to another source, before its first packet is entered: encoders that begin anew take
// another SSRC (RFC 3550, section 8), and some do for each GOP. It reports whether the source numbers its
// packets anew; then nothing of the last picture is still to come.
func (in *intake) turn(sequence uint16) (anew bool) {
	if ahead := sequence - in.sequence - 1; !in.started || ahead < reorderWindow {
		return false
	}
	if in.assembler != nil {
		in.flush()
	}
	if known := in.assembler; known != nil { // it did not panic
		in.assembler = in.atPicture(sequence)
		in.assembler.honest, in.assembler.lies, in.assembler.usual = known.honest, known.lies, known.usual
	}
	return true
}

// expect tells of the session's first packet; see assembler.expect.
func (in *intake) expect(sequence uint16, timestamp uint32) {
	if in.assembler != nil {
		in.assembler.expect(sequence, timestamp)
	}
}

// flush gives out the last picture when nothing more comes.
func (in *intake) flush() {
	if in.assembler == nil {
		return
	}
	in.before, in.told = in.timestamp, in.toldThis
	defer in.survive()
	in.assembler.flush()
}

// besides does whatever else a session does. A panic there is told as one that costs no frame.
func (in *intake) besides(do func()) {
	defer func() {
		if value := recover(); value != nil {
			in.sink.panicked(0, value)
		}
	}()
	do()
}

// watched notes what a sink is told.
type watched struct {
	sink
	in *intake
}

func (w watched) accessUnit(nalus [][]byte, rtpTime uint32, now time.Time) {
	w.in.pictures++
	if rtpTime == w.in.timestamp {
		w.in.toldThis = true
	} else {
		w.in.told = true
	}
	w.sink.accessUnit(nalus, rtpTime, now)
}

func (w watched) damaged(frames int64, err error) {
	if w.in.before == w.in.timestamp {
		w.in.toldThis = true
	} else {
		w.in.told = true
	}
	w.sink.damaged(frames, err)
}
