package accessunit

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/sequence"
)

// Feed accepts the RTP packets of a session's video, in order of their sequence numbers, and contains panics on
// their way to the sink. After one it only counts access units, by their RTP timestamps and without any earlier state,
// until the sink accepts access units again. One goroutine uses it at a time.
type Feed struct {
	codec     Codec
	sink      Sink
	maxBytes  int        // see MaxBytes
	assembler *assembler // nil: it panicked, and access units are only counted
	until     time.Time  // the end of that
	units     int64      // so far

	started  bool // there was a packet
	sequence uint16
	present  unitState // the access unit of the current packet
	before   unitState // that of the previous packet
}

// unitState is the state of an access unit, identified by its timestamp.
type unitState struct {
	timestamp uint32
	reported  bool // the sink was notified of its result
}

// NewFeed returns a Feed whose access units have at most maxBytes: MaxBytes, or less.
func NewFeed(c Codec, maxBytes int, to Sink) *Feed {
	f := &Feed{codec: c, maxBytes: maxBytes, sink: to}
	f.assembler = f.newAssembler()
	return f
}

func (f *Feed) newAssembler() *assembler {
	return newAssembler(f.codec, f.maxBytes, observedSink{f.sink, f})
}

// Push adds the next packet. An error ends the session.
func (f *Feed) Push(p Packet, now time.Time) error {
	f.beginPacket(p)
	defer f.recoverPacket()
	if f.assembler == nil && !f.resume(now) {
		return nil
	}
	return f.assembler.push(p, now)
}

// beginPacket starts a packet; recoverPacket, deferred, ends it.
func (f *Feed) beginPacket(p Packet) {
	reported := f.before.reported
	if f.started && p.Timestamp != f.present.timestamp {
		reported, f.present.reported = f.present.reported, false
	}
	f.before = unitState{f.present.timestamp, reported}
	f.present.timestamp, f.sequence = p.Timestamp, p.Sequence
}

// recoverPacket must be the deferred function itself, as it calls recover.
func (f *Feed) recoverPacket() {
	if value := recover(); value != nil {
		f.abandon(value)
	}
	f.started = true
}

// abandon discards the assembler with the access units of which it holds parts.
func (f *Feed) abandon(value any) {
	lost := int64(0)
	if f.started && f.before.timestamp != f.present.timestamp && !f.before.reported {
		lost++
	}
	if !f.present.reported {
		lost++
	}
	f.present.reported = true
	f.assembler = nil
	f.until = f.sink.Panicked(lost, value)
}

// resume counts an access unit, or starts assembling again when it is time.
func (f *Feed) resume(now time.Time) bool {
	if f.present.reported {
		return false
	}
	if now.Before(f.until) {
		f.present.reported = true
		f.units++
		f.sink.Damaged(1, nil)
		return false
	}
	f.assembler = f.assemblerFrom(f.sequence)
	return true
}

// Progress is how much video a session has received.
type Progress struct {
	units int64
	bytes int // of the next one
}

// After reports whether more has arrived than at last: another access unit, or more of the next one than of
// any since. A large one may take long, on a slow network or while this machine is busy; but data that
// never becomes an access unit is not video.
func (p Progress) After(last Progress) bool { return p.units != last.units || p.bytes > last.bytes }

// Progress returns how much video has arrived.
func (f *Feed) Progress() Progress {
	p := Progress{units: f.units}
	if f.assembler != nil {
		p.bytes = f.assembler.size()
	}
	return p
}

// Undefined returns why packets since the last access unit could not be read, if there were any.
func (f *Feed) Undefined() error {
	if f.assembler == nil {
		return nil
	}
	return f.assembler.undefined
}

// assemblerFrom returns an assembler that starts at a packet which starts an access unit.
func (f *Feed) assemblerFrom(sequence uint16) *assembler {
	a := f.newAssembler()
	a.synced, a.hole = true, false
	a.started, a.sequence = true, sequence-1
	return a
}

// ChangeSSRC switches to another SSRC, before its first packet is pushed: encoders that restart choose
// another SSRC (RFC 3550, section 8), and some do so for each GOP. It reports whether the new SSRC has other sequence numbers;
// then the last access unit is complete or lost.
func (f *Feed) ChangeSSRC(number uint16) (restarts bool) {
	if ahead := number - f.sequence - 1; !f.started || ahead < sequence.Window {
		return false
	}
	if f.assembler != nil {
		f.Flush()
	}
	if known := f.assembler; known != nil { // it did not panic
		f.assembler = f.assemblerFrom(number)
		f.assembler.habits, f.assembler.form = known.habits, known.form
	}
	return true
}

// Expect sets the first packet that the camera announced, before the first Push.
func (f *Feed) Expect(sequence uint16, timestamp uint32) {
	if f.assembler != nil {
		f.assembler.expect(sequence, timestamp)
	}
}

// Flush emits the last access unit at the end of the session.
func (f *Feed) Flush() {
	if f.assembler == nil {
		return
	}
	f.before = f.present
	defer f.recoverPacket()
	f.assembler.flush()
}

// Contain calls do for any other step of a session. A panic there is reported as one that costs no frame.
func (f *Feed) Contain(do func()) {
	defer func() {
		if value := recover(); value != nil {
			f.sink.Panicked(0, value)
		}
	}()
	do()
}

// observedSink notes the calls of a sink.
type observedSink struct {
	Sink
	feed *Feed
}

func (o observedSink) AccessUnit(nalus [][]byte, rtpTime uint32, now time.Time) {
	o.feed.units++
	if rtpTime == o.feed.present.timestamp {
		o.feed.present.reported = true
	} else {
		o.feed.before.reported = true
	}
	o.Sink.AccessUnit(nalus, rtpTime, now)
}

func (o observedSink) Damaged(frames int64, err error) {
	if o.feed.before.timestamp == o.feed.present.timestamp {
		o.feed.present.reported = true
	} else {
		o.feed.before.reported = true
	}
	o.Sink.Damaged(frames, err)
}

// Unit is an access unit of a source that delimits them itself, such as the streams of a container.
type Unit struct {
	NALUs     [][]byte // in decode order
	Timestamp uint32
	// Missing is how many packets are missing before it; each may have been an access unit.
	Missing int
	// Torn: a part of it is missing.
	Torn bool
}

// Units passes on complete access units, as Feed does with those that it assembles: it counts missing ones,
// leaves out what decoders do not accept, and contains panics on their way to the sink. One goroutine uses it at a time.
type Units struct {
	codec  Codec
	sink   Sink
	losses lossCounter
	nals   [][]byte // reused
	count  int64    // passed on or missing
	synced bool     // one has arrived, or is known to be missing: from here on every access unit is counted

	reported bool      // the sink was notified of the current one
	panicked bool      // and none is passed on until the time below
	until    time.Time // the end of that
}

// NewUnits returns a Units that passes on access units to a sink.
func NewUnits(c Codec, to Sink) *Units {
	return &Units{codec: c, sink: to, losses: lossCounter{report: to.Missed}}
}

// Push adds the next access unit.
func (u *Units) Push(unit Unit, now time.Time) {
	u.reported = false
	defer u.recoverUnit()
	if u.panicked {
		if now.Before(u.until) {
			u.reported = true
			u.count++
			u.sink.Damaged(1, nil)
			return
		}
		u.panicked, u.losses = false, lossCounter{report: u.sink.Missed}
	}
	if unit.Missing > 0 {
		u.losses.hole(int64(unit.Missing))
		u.sink.Damaged(0, errHole)
		u.synced = true
	}
	err := u.check(unit)
	u.losses.frame(unit.Timestamp)
	u.reported = true
	switch {
	case err == nil && len(u.nals) > 0:
		u.count++
		u.sink.AccessUnit(u.nals, unit.Timestamp, now)
	case err != nil && (u.synced || unit.Torn):
		u.sink.Damaged(1, err)
	}
	u.synced = true
}

// check collects the NAL units that can be passed on, and returns why the access unit cannot be.
func (u *Units) check(unit Unit) (err error) {
	u.nals = u.nals[:0]
	if unit.Torn {
		err = errHole
	}
	for _, nal := range unit.NALUs {
		if kindOf(u.codec, nal) != nalMalformed {
			u.nals = append(u.nals, nal)
			continue
		}
		u.sink.Malformed(errMalformed)
		if len(nal) > 0 && nal[0]&nalForbidden != 0 {
			nal[0] &^= nalForbidden
			slice := kindOf(u.codec, nal).slice()
			if nal[0] |= nalForbidden; slice {
				err = errMalformed
			}
		}
	}
	return err
}

// recoverUnit must be the deferred function itself, as it calls recover.
func (u *Units) recoverUnit() {
	if value := recover(); value != nil {
		lost := int64(1)
		if u.reported {
			lost = 0
		}
		u.panicked, u.until = true, u.sink.Panicked(lost, value)
	}
}

// Flush counts what is missing before the last access unit, at the end of the session.
func (u *Units) Flush() {
	u.reported = true
	defer u.recoverUnit()
	u.losses.end()
}

// Progress returns how much video has arrived, given the number of bytes of the next access unit.
func (u *Units) Progress(pending int) Progress { return Progress{units: u.count, bytes: pending} }
