package layout

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ID identifies a segment of a stream. IDs are ordered by epoch, and within one by start.
type ID struct {
	Start int64 // Unix ms
	Epoch uint32
}

// First is before all segments.
var First = ID{Start: math.MinInt64}

// Compare is negative when k comes before other, and positive when it comes after.
func (k ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(k.Epoch, other.Epoch), cmp.Compare(k.Start, other.Start))
}

// Before reports whether k comes before other.
func (k ID) Before(other ID) bool { return k.Compare(other) < 0 }

// Next returns the least ID that comes after k.
func (k ID) Next() ID {
	if k.Start == math.MaxInt64 {
		return ID{Epoch: k.Epoch + 1, Start: math.MinInt64}
	}
	return ID{Epoch: k.Epoch, Start: k.Start + 1}
}

// ParseID parses the start of a file name. It accepts only the form that ID.String returns: two names of one segment would
// be two files of it.
func ParseID(s string) (k ID, ok bool) {
	stamp := s
	if rest, has := strings.CutPrefix(s, epochPrefix); has {
		number, time, _ := strings.Cut(rest, "-")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return k, false
		}
		k.Epoch, stamp = uint32(n), time
	}
	t, err := time.Parse(timeLayout, stamp)
	if err != nil {
		return k, false
	}
	k.Start = t.UnixMilli()
	return k, k.Epoch <= MaxEpoch && k.String() == s
}

// String returns the start of the names of a segment's files.
func (k ID) String() string {
	if k.Epoch == 0 {
		return Stamp(k.Start)
	}
	return fmt.Sprintf("%s%0*d-%s", epochPrefix, epochDigits, k.Epoch, Stamp(k.Start))
}

// Stamp formats a time in Unix ms as file names have it.
func Stamp(start int64) string { return time.UnixMilli(start).UTC().Format(timeLayout) }
