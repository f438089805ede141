// Package simcam makes the frames of cameras as their clocks stamp them and networks bring them, without a socket: what a
// test of times needs, in no real time.
package simcam

import (
	"math/rand/v2"
	"time"
)

// Camera is one whose frames are due at even distances of true time. It stamps them by a clock of
// its own, and a network brings them late.
type Camera struct {
	FPS     float64                                                  // default 25
	Reorder bool                                                     // frames are sent as I P B B
	Factor  func(at time.Duration) float64                           // of the camera's clock, at a true time. Default 1
	Stamp   func(i int, media time.Duration) time.Duration           // changes a frame's stamp. Default none
	Late    func(i int, at time.Duration) time.Duration              // of the network. Default none
	Arrives func(i int, arrival, before time.Duration) time.Duration // changes an arrival. Default none
}

// Frame is a frame as it is sent, and its result.
type Frame struct {
	Sent, Arrival, Media time.Duration // since the start; Sent is when it is shown, had it been timely; Media is its stamp
	Odd                  bool          // its stamp was changed

	// The result, for tests to note.
	Producer time.Duration
	Jumped   bool
}

// Steady is a clock that always runs at one pace.
func Steady(factor float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return factor }
}

// Frames returns what the camera sends in so much true time.
func (c Camera) Frames(length time.Duration) []Frame {
	if c.FPS == 0 {
		c.FPS = 25
	}
	step := time.Duration(float64(time.Second) / c.FPS)
	order := []int{0, 0, 0, 0}
	if c.Reorder {
		order = []int{0, 2, -1, -1} // display position, from decode position
	}
	var frames []Frame
	media, before := time.Duration(0), time.Duration(0)
	for i := 0; time.Duration(i)*step < length; i++ {
		at := time.Duration(i) * step
		factor := 1.0
		if c.Factor != nil {
			factor = c.Factor(at)
		}
		if i > 0 {
			media += time.Duration(float64(step) * factor)
		}
		u := Frame{Sent: at + time.Duration(order[i%4]-order[1])*step, Arrival: at,
			Media: media + time.Duration(float64(order[i%4])*float64(step)*factor),
		}
		if c.Stamp != nil {
			changed := c.Stamp(i, u.Media)
			u.Odd, u.Media = changed != u.Media, changed
		}
		if c.Late != nil {
			u.Arrival += c.Late(i, at)
		}
		u.Arrival = max(u.Arrival, before) // TCP keeps the order
		if c.Arrives != nil {
			u.Arrival = max(c.Arrives(i, u.Arrival, before), before)
		}
		before = u.Arrival
		frames = append(frames, u)
	}
	return frames
}

// Jitter is even lateness up to most.
func Jitter(most time.Duration) func(int, time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(1, 2))
	return func(int, time.Duration) time.Duration { return time.Duration(random.Int64N(int64(most) + 1)) }
}

// EveryN makes every n-th frame a stray one.
func EveryN(n int, off time.Duration) func(int, time.Duration) time.Duration {
	return func(i int, media time.Duration) time.Duration {
		if i%n == n-1 {
			return media + off
		}
		return media
	}
}

// From is a clock whose pace changes once.
func From(at time.Duration, before, after float64) func(time.Duration) float64 {
	return func(now time.Duration) float64 {
		if now < at {
			return before
		}
		return after
	}
}

// BurstAt holds up what is sent from at on for so long, and then sends it at once.
func BurstAt(at, length time.Duration) func(int, time.Duration) time.Duration {
	return func(_ int, now time.Duration) time.Duration {
		if now < at {
			return 0
		}
		return max(at+length-now, 0)
	}
}

// StallsOf holds up what is sent for so long, every so often, and then sends it at once.
func StallsOf(length, every time.Duration) func(int, time.Duration) time.Duration {
	return func(_ int, now time.Duration) time.Duration { return max(length-now%every, 0) }
}

// Sum is two latenesses at once.
func Sum(a, b func(int, time.Duration) time.Duration) func(int, time.Duration) time.Duration {
	return func(i int, now time.Duration) time.Duration { return a(i, now) + b(i, now) }
}
