package retention

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// Reserve is the space of the disk that must stay free. The zero value means DefaultMinFree.
type Reserve struct {
	Bytes   uint64
	Percent float64 // of the disk, when Bytes is 0
}

// maxReservePercent leaves some space for recordings.
const maxReservePercent = 90

// ParseReserve parses a size with its unit, "500MB" or "2 GiB", or a part of the disk, "5%".
func ParseReserve(text string) (Reserve, error) {
	text = strings.TrimSpace(text)
	if number, ok := strings.CutSuffix(text, "%"); ok {
		percent, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(percent > 0 && percent <= maxReservePercent) {
			return Reserve{}, fmt.Errorf("%q is not a part of the disk from above 0%% to %d%%", text, maxReservePercent)
		}
		return Reserve{Percent: percent}, nil
	}
	if n, ok := humanize.ParseBytes(text); ok {
		return Reserve{Bytes: uint64(n)}, nil
	}
	return Reserve{}, fmt.Errorf("%q is neither a size such as 500MB or 2GiB nor a part of the disk such as 5%%", text)
}

// Of returns the reserve in bytes on a disk of that size.
func (r Reserve) Of(total uint64) uint64 {
	switch {
	case r.Bytes > 0:
		return r.Bytes
	case r.Percent > 0:
		return uint64(float64(total) * r.Percent / 100)
	default:
		return DefaultMinFree(total)
	}
}

// String returns the reserve in the form that ParseReserve reads.
func (r Reserve) String() string {
	switch {
	case r.Bytes > 0:
		return fmt.Sprintf("%dB", r.Bytes)
	case r.Percent > 0:
		return fmt.Sprintf("%g%%", r.Percent)
	default:
		return "5% or 1GiB, the smaller"
	}
}

// DefaultMinFree is 5 % of the disk, or 1 GiB when that is less.
func DefaultMinFree(total uint64) uint64 { return min(total/20, 1<<30) }
