package awsapi

import (
	"fmt"
	"strconv"
	"time"
)

// Epoch is a time as AWS's JSON has it: seconds since 1970, to the millisecond, a number.
type Epoch struct{ time.Time }

// EpochOf returns a time as an Epoch.
func EpochOf(t time.Time) Epoch { return Epoch{t} }

// MarshalJSON implements json.Marshaler.
func (e Epoch) MarshalJSON() ([]byte, error) {
	ms := e.UnixMilli()
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// UnmarshalJSON implements json.Unmarshaler. 0 means no time.
func (e *Epoch) UnmarshalJSON(data []byte) error {
	seconds, err := strconv.ParseFloat(string(data), 64)
	if err != nil || seconds < 0 || seconds > 1e11 {
		return fmt.Errorf("%.40s is not a time in seconds since 1970", data)
	}
	if e.Time = time.UnixMilli(int64(seconds*1000 + 0.5)).UTC(); seconds == 0 {
		e.Time = time.Time{}
	}
	return nil
}
