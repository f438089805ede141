package layout

// State of a segment: writing → sealed → uploaded → garbage.
type State uint8

// The states that a query shows; garbage is never listed.
const (
	Writing State = iota
	Sealed
	Uploaded
)

// String returns the state as `segments` and logs show it.
func (s State) String() string {
	switch s {
	case Writing:
		return "writing"
	case Sealed:
		return "sealed"
	default:
		return "uploaded"
	}
}
