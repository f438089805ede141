package catalog

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// Misdated is media whose times are wrong.
type Misdated struct {
	From, To time.Time // of the media that exists, as its files have it
	// Offset is to be added, if Known; otherwise RecordedTo is the latest possible time of recording.
	Offset     time.Duration
	Known      bool
	RecordedTo time.Time
	Unset      bool // the hub's clock was not set; otherwise it was ahead
	Segments   int
}

// Dating is what is known about the clock by which a segment was recorded.
type Dating struct {
	From, To int64         // when it was recorded, Unix ms
	Unset    bool          // the hub's clock was not set yet
	Ahead    bool          // its times were ahead, which ended its epoch
	Offset   time.Duration // to be added to its times in either case, 0 when that is not known
}

// Dating returns what is known about the clock of a segment.
func (c *Catalog) Dating(e Entry) Dating {
	d := Dating{Unset: hubclock.Unset(time.UnixMilli(e.Start).UTC())}
	d.From, d.To = c.times.span(e)
	for _, p := range c.times.after(e.Epoch, e.Start) {
		if p.from > e.End() {
			break
		}
		d.Unset = d.Unset || !p.note.Ahead
		d.Ahead = d.Ahead || p.note.Ahead
		if p.note.Known() {
			d.Offset = time.Duration(p.note.AddMS) * time.Millisecond
		}
	}
	return d
}

// Offsets returns what has to be added to a time t of an epoch's files, in Unix ms, to obtain the producer timestamp, and
// the time of recording. Both are 0 unless the time is wrong.
func (c *Catalog) Offsets(epoch uint32, t int64) (wire, recorded time.Duration) {
	if p, ok := c.times.correction(epoch, t); ok {
		wire = time.Duration(p.note.AddMS) * time.Millisecond
	}
	return wire, time.Duration(c.times.recorded(epoch, t)-t) * time.Millisecond
}

// Recorded returns when a frame that an epoch's files date t was recorded; both in Unix ms.
func (c *Catalog) Recorded(epoch uint32, t int64) int64 { return c.times.recorded(epoch, t) }

// Misdated returns the spans of times that are wrong, in order, as long as there is media in them. O(log n) for each, and
// for each epoch.
func (c *Catalog) Misdated() (list []Misdated) {
	if len(c.times.corrections) == 0 {
		return nil
	}
	x := &c.Index
	for r := range x.epochs {
		for _, p := range c.times.corrections[x.Entries[r.From].Epoch] {
			in := Range{x.endingFrom(r, p.from), r.search(func(i int) bool { return x.Entries[i].Start > p.until })}
			if in.From >= in.To {
				continue
			}
			list = append(list, c.misdatedSpan(p, x.Entries[in.From:in.To]))
		}
	}
	return list
}

func (c *Catalog) misdatedSpan(p correction, entries []Entry) Misdated {
	last := entries[len(entries)-1]
	from, to := max(p.from, entries[0].Start), min(p.until, last.End())
	return Misdated{
		From: time.UnixMilli(from).UTC(), To: time.UnixMilli(to).UTC(),
		Offset: time.Duration(p.note.AddMS) * time.Millisecond, Known: p.note.Known(),
		RecordedTo: time.UnixMilli(c.times.recorded(last.Epoch, to)).UTC(), Unset: !p.note.Ahead, Segments: len(entries),
	}
}
