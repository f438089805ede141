package mpegts

// times are those of access units: not all have one of their own.
type times struct {
	known    bool
	pts, dts int64 // of the last access unit
	frame    int64 // how long one lasts; 0: it is not known
	since    int64 // access units since one had a time of its own
	from     int64 // when that was to be decoded
}

// next returns when an access unit with a stamp is shown; timed is false when the stream has had no times at all.
func (t *times) next(s stamp) (at int64, timed bool) {
	t.since++
	if !s.timed {
		frame := t.frame
		if frame == 0 {
			frame = usualFrame
		}
		t.pts, t.dts = t.pts+frame, t.dts+frame
		return t.pts, t.known
	}
	if frame := TimeStep(t.from, s.dts) / t.since; t.known && frame > 0 && frame <= longestFrame {
		t.frame = frame
	}
	t.known, t.since, t.from = true, 0, s.dts
	t.pts, t.dts = s.pts, s.dts
	return t.pts, true
}
