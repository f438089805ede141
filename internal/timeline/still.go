package timeline

// constantUnits is how many access units in a row may have one timestamp before times follow their
// arrival: some cameras send all frames with the same.
const constantUnits = 10

// stillness notices timestamps that stand still.
type stillness struct {
	same     int  // access units in a row with the timestamp before them
	constant bool // same has reached constantUnits: times follow arrivals
}

// add takes the ticks since the access unit before, and reports whether timestamps do not advance, so that arrivals have
// to decide. constant stays until a new anchor is set.
func (s *stillness) add(ticks int64) bool {
	if ticks != 0 {
		s.same = 0
		return false
	}
	s.same++
	s.constant = s.constant || s.same >= constantUnits
	return s.constant
}
