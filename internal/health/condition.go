package health

import "time"

// Severity orders conditions by how much they matter.
type Severity int

// The severities, least first.
const (
	// Info is worth a line in status and no more.
	Info Severity = iota
	// Degraded means the component does its job, but not fully (frames lost, backlog kept back).
	Degraded
	// Failed means the component does not do its job now.
	Failed
)

// String returns the severity's name as JSON and status show it.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Degraded:
		return "degraded"
	default:
		return "failed"
	}
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; an unknown name reads as Failed.
func (s *Severity) UnmarshalText(text []byte) error {
	*s = Failed
	for _, known := range []Severity{Info, Degraded} {
		if known.String() == string(text) {
			*s = known
		}
	}
	return nil
}

// Condition is one thing that is out of the ordinary with a component.
type Condition struct {
	Code     string    `json:"code"`
	Class    Class     `json:"class"`
	Severity Severity  `json:"severity"`
	Text     string    `json:"text"`
	Since    time.Time `json:"since"`
	// Count is how often the condition was reported since Since.
	Count int64 `json:"count"`
}
