package edgeconfig

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Epoch is a time as the KVS API writes it: seconds since 1970 with a fraction, a JSON number.
type Epoch struct{ time.Time }

// latest is the end of the times that are accepted. Milliseconds that were sent by mistake are far beyond, and would
// win over every later configuration.
var latest = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// ErrNotEpoch is the error of a member that is not a time.
var ErrNotEpoch = errors.New("must be a time in seconds since 1970, a number")

// MarshalJSON implements json.Marshaler. The zero time is 0.
func (e Epoch) MarshalJSON() ([]byte, error) {
	if e.IsZero() {
		return []byte("0"), nil
	}
	text := strconv.FormatInt(e.Unix(), 10)
	if ns := e.Nanosecond(); ns != 0 {
		fraction := strconv.Itoa(1_000_000_000 + ns)[1:]
		text += "." + strings.TrimRight(fraction, "0")
	}
	return []byte(text), nil
}

// UnmarshalJSON implements json.Unmarshaler. Plain decimals are exact to the nanosecond, since
// what comes in is sent back for comparison; numbers with an exponent are rounded to milliseconds.
func (e *Epoch) UnmarshalJSON(data []byte) error {
	text := string(data)
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || value <= 0 || value >= float64(latest.Unix()) {
		return ErrNotEpoch
	}
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.ContainsAny(fraction, "eE") {
		e.Time = time.UnixMilli(int64(math.Round(value * 1000))).UTC()
		return nil
	}
	ns, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return ErrNotEpoch
	}
	e.Time = time.Unix(seconds, ns).UTC()
	return nil
}

// sameInstant is how far two renderings of one time may differ: the AWS SDK cuts to milliseconds
// through a floating point number.
const sameInstant = 2 * time.Millisecond

// Newer reports whether a is later than b by more than the rendering may differ.
func Newer(a, b time.Time) bool { return a.Sub(b) > sameInstant }
