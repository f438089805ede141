package hubclock

import "time"

// MaxSkew is what AWS's request signatures tolerate, on either side.
// Source: AWS General Reference, Signature Version 4, "Eliminating skew": 5 min.
const MaxSkew = 5 * time.Minute

// Direction returns the words of a sentence for a clock that is ahead of another one, or behind it when ahead is
// negative: "The hub's clock is 3 min", "ahead of", "that of AWS".
func Direction(ahead time.Duration) string {
	if ahead < 0 {
		return "behind"
	}
	return "ahead of"
}
