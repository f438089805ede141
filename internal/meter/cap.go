package meter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// DefaultOverhead is what a line carries for each byte of TCP payload: the headers of IP and TCP, acknowledgements, and some
// retransmissions. With segments of 1,448 bytes and an acknowledgement of every second one it is 3.6 % plus 1.8 %, of which
// only the first part shares the direction of the payload; tests of the cap compare payload alone.
const DefaultOverhead = 1.04

const (
	leastCap     = 1_000_000
	mostCap      = 1_000_000_000_000_000
	mostOverhead = 2
	lastDay      = 31
)

// unlimited is the word for no cap, as of the bandwidth.
const unlimited = "unlimited"

// Cap is how much the hub may send and receive within a period. The zero value allows everything.
type Cap struct {
	// Bytes on the line, which are those counted times Overhead.
	Bytes int64
	// Day of the month on which the period is reset, the last one where a month is shorter; 0 = each day.
	Day int
	// Overhead is what the line carries for a byte of TCP payload.
	Overhead float64

	text string
}

var errCap = errors.New("is not a size per day or month, such as 1GB/day or 30GB/month, with the day on which the month is reset as " +
	"in 30GB/month@15, and another overhead than 1.04 as in 30GB/month, overhead=1.06")

// Parse reads a cap, such as "30GB/month@15, overhead=1.06". An empty text, and "unlimited", allows everything.
func Parse(text string) (Cap, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.EqualFold(text, unlimited) {
		return Cap{}, nil
	}
	c, err := parse(text)
	if err != nil {
		return Cap{}, fmt.Errorf("%q %w", text, err)
	}
	return c, nil
}

func parse(text string) (Cap, error) {
	c := Cap{Overhead: DefaultOverhead, text: text}
	amount, option, hasOption := strings.Cut(text, ",")
	size, period, ok := strings.Cut(amount, "/")
	if !ok {
		return c, errCap
	}
	var known bool
	if c.Bytes, known = humanize.ParseBytes(size); !known {
		return c, errCap
	}
	if c.Bytes < leastCap || c.Bytes > mostCap {
		return c, errors.New("is not a cap from 1MB to 1000TB")
	}
	period, day, hasDay := strings.Cut(strings.ToLower(strings.TrimSpace(period)), "@")
	switch {
	case strings.TrimSpace(period) == "day" && !hasDay:
	case strings.TrimSpace(period) != "month":
		return c, errCap
	case !hasDay:
		c.Day = 1
	default:
		n, err := strconv.Atoi(strings.TrimSpace(day))
		if err != nil || n < 1 || n > lastDay {
			return c, fmt.Errorf("has the day %q, but the month is reset on a day from 1 to %d", strings.TrimSpace(day), lastDay)
		}
		c.Day = n
	}
	if !hasOption {
		return c, nil
	}
	name, value, _ := strings.Cut(option, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "overhead") {
		return c, errCap
	}
	factor, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !(factor >= 1 && factor <= mostOverhead) {
		return c, fmt.Errorf("has the overhead %q, which is not a factor from 1 to %d, such as 1.04", strings.TrimSpace(value), mostOverhead)
	}
	c.Overhead = factor
	return c, nil
}

// String returns the text that was read; it is empty without a cap.
func (c Cap) String() string { return c.text }

// IsNone reports whether there is no cap.
func (c Cap) IsNone() bool { return c.Bytes == 0 }

// onLine returns what the line carries for that much TCP payload.
func (c Cap) onLine(payload int64) int64 { return int64(float64(payload) * c.Overhead) }

// start returns the first day of the period that a day belongs to. Days are midnights of UTC.
func (c Cap) start(day time.Time) time.Time {
	if c.Day == 0 {
		return day
	}
	if reset := resetIn(day.Year(), day.Month(), c.Day); !day.Before(reset) {
		return reset
	}
	return resetIn(day.Year(), day.Month()-1, c.Day)
}

// end returns the first day of the next period.
func (c Cap) end(day time.Time) time.Time {
	if c.Day == 0 {
		return day.AddDate(0, 0, 1)
	}
	start := c.start(day)
	return resetIn(start.Year(), start.Month()+1, c.Day)
}

// resetIn returns the day of a month on which it is reset: the last one of a shorter month.
func resetIn(year int, month time.Month, day int) time.Time {
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return first.AddDate(0, 0, min(day, first.AddDate(0, 1, -1).Day())-1)
}

// dateOf returns the day of a time, in its zone.
func dateOf(t time.Time) time.Time {
	year, month, day := t.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// midnight returns when a day begins in a zone. Where the clock is set forward at midnight it is the first moment after.
func midnight(day time.Time, zone *time.Location) time.Time {
	t := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, zone)
	if t.Day() != day.AddDate(0, 0, -1).Day() {
		return t
	}
	_, after := t.ZoneBounds() // west of Greenwich time.Date answers with the hour before the gap
	return after
}
