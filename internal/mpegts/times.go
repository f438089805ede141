package mpegts

// times are the times of access units: not all have one of their own.
type times struct {
	known    bool
	pts, dts int64 // of the last access unit
	frame    int64 // duration of an access unit; 0: unknown
	since    int64 // access units since one had a time of its own
	from     int64 // the decoding time of that one
}

// next returns the presentation time of an access unit with a stamp; timed is false when the stream has had no times at all.
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
