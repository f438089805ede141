package timeline

// constantUnits is how many consecutive access units may have the same timestamp before times follow their
// arrival: some cameras send the same timestamp with all frames.
const constantUnits = 10

// stillness detects timestamps that do not advance.
type stillness struct {
	same     int  // consecutive access units with the previous timestamp
	constant bool // same has reached constantUnits: times follow arrivals
}

// add adds the ticks since the previous access unit, and reports whether timestamps do not advance, so that arrivals
// decide. constant stays until a new anchor is set.
func (s *stillness) add(ticks int64) bool {
	if ticks != 0 {
		s.same = 0
		return false
	}
	s.same++
	s.constant = s.constant || s.same >= constantUnits
	return s.constant
}
