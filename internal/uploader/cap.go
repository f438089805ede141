package uploader

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Cap is the most that all streams of a hub together send. They take turns, a small piece each, so
// each that has something to send gets the same. Safe for concurrent use; nil and the zero value
// are no cap.
type Cap struct {
	now func() time.Time // default time.Now

	mu    sync.Mutex
	rates capRates  // guarded by mu
	next  time.Time // until then everything is given away; guarded by mu
}

// capRates are what a text that ParseCap reads says.
type capRates struct {
	text    string
	usual   float64 // bytes/s; 0 = unlimited
	windows []capWindow
}

// capWindow is a time of day with a rate of its own.
type capWindow struct {
	from, to time.Duration // since midnight; from > to goes over midnight
	rate     float64
}

const (
	// leastCap lets 16 streams move a piece each well within the stall timeout.
	leastCap = 64_000 // bit/s
	// capPieces a second a stream's share is cut into.
	capPieces     = 8
	leastCapPiece = 4 << 10
	mostCapPiece  = 128 << 10
	unlimited     = "unlimited"
)

// ParseCap reads a cap: a rate in bit/s with k, M or G for thousands, millions and milliards, or
// "unlimited"; then, for times of the day in the hub's time zone, other rates: "2M, 22:00-06:00=20M".
// Of windows that overlap the first holds. An empty text is no cap.
func ParseCap(text string) (*Cap, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	rates := capRates{text: strings.TrimSpace(text)}
	var err error
	if rates.usual, err = parseRate(parts[0]); err != nil {
		return nil, err
	}
	for _, part := range parts[1:] {
		span, rate, ok := strings.Cut(part, "=")
		from, to, isSpan := strings.Cut(span, "-")
		if !ok || !isSpan {
			return nil, fmt.Errorf("%q is not a time of day with a rate, such as 22:00-06:00=20M", strings.TrimSpace(part))
		}
		var w capWindow
		if w.from, err = parseClock(from); err != nil {
			return nil, err
		}
		if w.to, err = parseClock(to); err != nil {
			return nil, err
		}
		if w.rate, err = parseRate(rate); err != nil {
			return nil, err
		}
		rates.windows = append(rates.windows, w)
	}
	return &Cap{rates: rates}, nil
}

// Follow takes over the rates of other, nil for none, while c is in use.
func (c *Cap) Follow(other *Cap) {
	var rates capRates
	if other != nil {
		other.mu.Lock()
		rates = other.rates
		other.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rates, c.next = rates, time.Time{}
}

// String gives the text that was read, empty for no cap.
func (c *Cap) String() string {
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rates.text
}

func parseRate(text string) (bytesPerSecond float64, err error) {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, unlimited) {
		return 0, nil
	}
	number, factor := text, 1.0
	if n := len(text); n > 0 {
		if f, ok := map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'm': 1e6, 'G': 1e9, 'g': 1e9}[text[n-1]]; ok {
			number, factor = text[:n-1], f
		}
	}
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil || !(rate*factor >= leastCap && rate*factor <= 1e12) {
		return 0, fmt.Errorf("%q is not a rate in bit/s of at least 64k, such as 500k or 20M, or %q", text, unlimited)
	}
	return rate * factor / 8, nil
}

func parseClock(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is not a time of day such as 22:00", strings.TrimSpace(text))
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// at is what holds at that time, in bytes/s; 0 = unlimited.
func (r capRates) at(now time.Time) float64 {
	hour, minute, second := now.Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	for _, w := range r.windows {
		in := clock >= w.from && clock < w.to
		if w.from >= w.to {
			in = clock >= w.from || clock < w.to
		}
		if in {
			return w.rate
		}
	}
	return r.usual
}

// take takes that many bytes and says how long to wait for them.
func (c *Cap) take(n int) time.Duration {
	if c == nil {
		return 0
	}
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	rate := c.rates.at(now)
	if rate == 0 {
		return 0
	}
	// What was not used for a moment, as pieces are taken one after another, is not lost.
	if earliest := now.Add(-time.Second / capPieces); c.next.Before(earliest) {
		c.next = earliest
	}
	c.next = c.next.Add(time.Duration(float64(n) / rate * float64(time.Second)))
	return c.next.Sub(now)
}

// piece is how many bytes to take at once, so that turns are short.
func (c *Cap) piece() int {
	if c == nil {
		return mostCapPiece
	}
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	rate := c.rates.at(now)
	if rate == 0 {
		return mostCapPiece
	}
	return min(max(int(rate/capPieces), leastCapPiece), mostCapPiece)
}

func (c *Cap) clock() time.Time {
	if c.now == nil {
		return time.Now()
	}
	return c.now()
}
