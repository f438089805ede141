package hold

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// DefaultPercent is which part of the disk the holds may have together, unless a setting says otherwise.
const DefaultPercent = 25

// maxPercent leaves some space for what is not held: recording continues.
const maxPercent = 90

// Max is how much all holds may have together. The zero value means DefaultPercent.
type Max struct {
	Bytes   int64
	Percent float64 // of the disk, when Bytes is 0
}

// ParseMax parses a size with its unit, "500MB" or "2 GiB", or a part of the disk, "25%".
func ParseMax(text string) (Max, error) {
	text = strings.TrimSpace(text)
	if number, ok := strings.CutSuffix(text, "%"); ok {
		percent, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(percent > 0 && percent <= maxPercent) {
			return Max{}, fmt.Errorf("%q is not a part of the disk from above 0%% to %d%%", text, maxPercent)
		}
		return Max{Percent: percent}, nil
	}
	if n, ok := humanize.ParseBytes(text); ok && n > 0 {
		return Max{Bytes: n}, nil
	}
	return Max{}, fmt.Errorf("%q is neither a size such as 500MB or 20GiB nor a part of the disk such as %d%%", text, DefaultPercent)
}

// Of returns the most on a disk of that size, in bytes: also of a larger size no more than the part that a part of the disk may be.
func (m Max) Of(total uint64) int64 {
	switch {
	case m.Bytes > 0:
		return min(m.Bytes, int64(total/100*maxPercent))
	case m.Percent > 0:
		return int64(float64(total) * m.Percent / 100)
	default:
		return int64(total / 100 * DefaultPercent)
	}
}

// String returns the most in the form that ParseMax reads.
func (m Max) String() string {
	switch {
	case m.Bytes > 0:
		return fmt.Sprintf("%dB", m.Bytes)
	case m.Percent > 0:
		return fmt.Sprintf("%g%%", m.Percent)
	default:
		return fmt.Sprintf("%d%%", DefaultPercent)
	}
}
