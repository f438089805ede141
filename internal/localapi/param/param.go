// Package param reads the values of parameters: times and numbers. It must not know which parameters there are.
package param

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// latest is a time after all others that can be written as RFC 3339, in Unix ms.
const latest = 253402300799999

// Time reads RFC 3339, or milliseconds since 1970.
func Time(text string) (time.Time, error) {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		var t time.Time
		if t, err = time.Parse(time.RFC3339, text); err == nil {
			ms = t.UnixMilli()
			if ms > 0 && ms <= latest {
				return t.UTC(), nil
			}
		}
	}
	if err != nil || ms <= 0 || ms > latest {
		return time.Time{}, errors.New("must be a time after 1970 as RFC 3339 has it, such as 2026-11-21T04:20:00Z, or in milliseconds " +
			"since 1970")
	}
	return time.UnixMilli(ms).UTC(), nil
}

// Number reads a number of a range.
func Number(text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("must be a number from %d to %d", least, most)
	}
	return n, nil
}
