// Package forecast owns the estimate of when a backlog is uploaded. It must not know what is sent, nor show anything.
package forecast

import (
	"sync"
	"time"
)

const (
	// behindBy is the backlog from which on a stream counts as behind.
	behindBy = 30 * time.Second
	// forecastEvery is the least time between two samples of the backlog, and forecastOver how long samples are kept.
	forecastEvery = 5 * time.Second
	forecastOver  = 2 * time.Minute
)

// Forecast estimates when the backlog will be uploaded, from how fast it shrank recently. The zero value has no samples. Safe for
// concurrent use.
type Forecast struct {
	mu      sync.Mutex
	samples []backlogSample // oldest first
	done    time.Time       // the last answer
}

type backlogSample struct {
	at      time.Time
	pending time.Duration // of media
}

// Note records the backlog and returns when it will be uploaded: the zero time while that is not known, when
// the backlog does not shrink, and when there is none.
func (f *Forecast) Note(now time.Time, pending time.Duration) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if pending < behindBy {
		f.samples, f.done = f.samples[:0], time.Time{}
		return time.Time{}
	}
	if n := len(f.samples); n > 0 && now.Sub(f.samples[n-1].at) < forecastEvery {
		return f.done
	}
	f.samples = append(f.samples, backlogSample{now, pending})
	for now.Sub(f.samples[0].at) > forecastOver {
		f.samples = f.samples[1:]
	}
	f.done = time.Time{}
	first := f.samples[0]
	if shrunk, took := first.pending-pending, now.Sub(first.at); shrunk > 0 && took > 0 {
		f.done = now.Add(time.Duration(float64(pending) / float64(shrunk) * float64(took)))
	}
	return f.done
}

// Forget drops the samples when the upload stops, as they say nothing about its speed later.
func (f *Forecast) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.samples, f.done = f.samples[:0], time.Time{}
}
