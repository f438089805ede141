package accessunit

import "time"

// Unit is an access unit of a source that cuts them itself, as the streams of a container do.
type Unit struct {
	NALUs     [][]byte // in decode order
	Timestamp uint32
	// Missing is how many packets are missing before it, of which each may have been an access unit.
	Missing int
	// Torn says that a part of it is missing.
	Torn bool
}

// Units hands on what comes as whole access units, as Feed does with those that it puts together: it counts those that are missing,
// leaves out what no decoder takes, and contains what panics on their way to the sink. One goroutine uses it at a time.
type Units struct {
	codec  Codec
	sink   Sink
	losses lossCounter
	nals   [][]byte // reused
	count  int64    // so far
	synced bool     // one has come, or is known to be missing: from here on all is accounted for

	reported bool      // the sink knows what became of the present one
	panicked bool      // and since then none is handed on
	until    time.Time // so long
}

// NewUnits makes a Units.
func NewUnits(c Codec, to Sink) *Units {
	return &Units{codec: c, sink: to, losses: lossCounter{report: to.Missed}}
}

// Push takes the next access unit.
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

// check gathers the NAL units that can be handed on, and returns why the access unit cannot be.
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

// recoverUnit must be deferred itself, as it recovers.
func (u *Units) recoverUnit() {
	if value := recover(); value != nil {
		lost := int64(1)
		if u.reported {
			lost = 0
		}
		u.panicked, u.until = true, u.sink.Panicked(lost, value)
	}
}

// Flush counts what is missing before the last one, when nothing more comes.
func (u *Units) Flush() {
	u.reported = true
	defer u.recoverUnit()
	u.losses.end()
}

// Progress returns how far the video has come, with so many bytes of the next access unit.
func (u *Units) Progress(pending int) Progress { return Progress{units: u.count, bytes: pending} }
