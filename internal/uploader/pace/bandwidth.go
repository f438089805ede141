package pace

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bandwidth is the most that all streams of a hub together send. They alternate with small chunks, so that
// each stream that has something to send gets the same share. Safe for concurrent use; nil and the zero value
// are unlimited.
type Bandwidth struct {
	now func() time.Time // default time.Now

	mu    sync.Mutex
	rates bandwidthRates // guarded by mu
	next  time.Time      // until then the bandwidth is used up; guarded by mu
}

// bandwidthRates are the rates that ParseBandwidth read from a text.
type bandwidthRates struct {
	text      string
	otherwise float64 // bytes/s; 0 = unlimited
	periods   []dayPeriod
}

// dayPeriod is a time of day with a rate of its own.
type dayPeriod struct {
	from, to time.Duration // since midnight; from > to spans midnight
	rate     float64
}

const (
	// leastRate lets 16 streams send a chunk each well within the stall timeout.
	leastRate = 64_000 // bit/s
	// chunksPerSecond is into how many chunks a second of the whole rate is divided.
	chunksPerSecond = 8
	leastChunk      = 4 << 10
	mostChunk       = 128 << 10
	unlimited       = "unlimited"
)

// ParseBandwidth reads a rate in bit/s with k, M or G for 10³, 10⁶ and 10⁹, or
// "unlimited"; then, for times of the day in the hub's time zone, other rates: "2M, 22:00-06:00=20M".
// Where times overlap the first applies. For an empty text it returns nil.
func ParseBandwidth(text string) (*Bandwidth, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	rates := bandwidthRates{text: strings.TrimSpace(text)}
	var err error
	if rates.otherwise, err = parseRate(parts[0]); err != nil {
		return nil, err
	}
	for _, part := range parts[1:] {
		span, rate, ok := strings.Cut(part, "=")
		from, to, isSpan := strings.Cut(span, "-")
		if !ok || !isSpan {
			return nil, fmt.Errorf("%q is not a time of day with a rate, such as 22:00-06:00=20M", strings.TrimSpace(part))
		}
		var w dayPeriod
		if w.from, err = parseClock(from); err != nil {
			return nil, err
		}
		if w.to, err = parseClock(to); err != nil {
			return nil, err
		}
		if w.rate, err = parseRate(rate); err != nil {
			return nil, err
		}
		rates.periods = append(rates.periods, w)
	}
	return &Bandwidth{rates: rates}, nil
}

// Follow replaces the rates of b by those of other, nil for no limit, while b is in use.
func (b *Bandwidth) Follow(other *Bandwidth) {
	var rates bandwidthRates
	if other != nil {
		other.mu.Lock()
		rates = other.rates
		other.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rates, b.next = rates, time.Time{}
}

// String returns the text that was read; it is empty where there is no limit.
func (b *Bandwidth) String() string {
	if b == nil {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rates.text
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
	if err != nil || !(rate*factor >= leastRate && rate*factor <= 1e12) {
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

// at returns the rate at that time, in bytes/s; 0 = unlimited.
func (r bandwidthRates) at(now time.Time) float64 {
	hour, minute, second := now.Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	for _, w := range r.periods {
		in := clock >= w.from && clock < w.to
		if w.from >= w.to {
			in = clock >= w.from || clock < w.to
		}
		if in {
			return w.rate
		}
	}
	return r.otherwise
}

// take takes that many bytes and returns how long to wait for them.
func (b *Bandwidth) take(n int) time.Duration {
	if b == nil {
		return 0
	}
	now := b.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	rate := b.rates.at(now)
	if rate == 0 {
		return 0
	}
	// Bandwidth that is not used for a moment, as chunks are taken one after another, is not lost.
	if earliest := now.Add(-time.Second / chunksPerSecond); b.next.Before(earliest) {
		b.next = earliest
	}
	b.next = b.next.Add(time.Duration(float64(n) / rate * float64(time.Second)))
	return b.next.Sub(now)
}

// chunk returns how many bytes to take at once, so that no stream waits long.
func (b *Bandwidth) chunk() int {
	if b == nil {
		return mostChunk
	}
	now := b.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	rate := b.rates.at(now)
	if rate == 0 {
		return mostChunk
	}
	return min(max(int(rate/chunksPerSecond), leastChunk), mostChunk)
}

func (b *Bandwidth) clock() time.Time {
	if b.now == nil {
		return time.Now()
	}
	return b.now()
}
