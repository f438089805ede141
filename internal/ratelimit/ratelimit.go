// Package ratelimit counts what comes, and says when more of it came than may. It must not know what that is, nor what
// follows.
package ratelimit

import "time"

// Limit allows Most within each Interval, one after the other. One goroutine at a time uses it.
type Limit struct {
	Most     int64
	Interval time.Duration

	since time.Time // when the interval began
	count int64     // the sum that was counted in it
}

// Exceeds counts n, and reports whether more than Most came within the interval of now.
func (l *Limit) Exceeds(n int64, now time.Time) bool {
	if now.Sub(l.since) >= l.Interval {
		l.since, l.count = now, 0
	}
	l.count += n
	return l.count > l.Most
}
