package recorder

import "time"

const (
	// floodWindow is over how long the rate of a camera is measured: keyframes and what was held up
	// come in bursts.
	floodWindow = 10 * time.Second
	// maxRate is what KVS takes of a stream, in bytes per second. Source: quotas, PutMedia, 12.5 MB/s.
	maxRate = 12_500_000
	// floodLimit is what may come within floodWindow, in bytes.
	floodLimit = maxRate * int64(floodWindow/time.Second)
)

// flood finds out when a camera sends more than can be recorded for KVS.
type flood struct {
	limit int64 // bytes in a window
	since time.Time
	bytes int64
}

func (f *flood) add(n int, now time.Time) error {
	if now.Sub(f.since) >= floodWindow {
		f.since, f.bytes = now, 0
	}
	if f.bytes += int64(n); f.bytes > f.limit {
		return errFlood
	}
	return nil
}
