// Package signal wakes goroutines. A signal says that there is something to do, not what or how often: a
// goroutine that is woken checks for all its work.
package signal

import (
	"slices"
	"sync"
)

// Signal is set by any number of goroutines and received by one. Setting never blocks, and what is set in quick
// succession may arrive as one. The zero value is never received.
type Signal struct{ ch chan struct{} }

// New returns a signal that is not set.
func New() Signal { return Signal{ch: make(chan struct{}, 1)} }

// Set wakes the receiver, now or as soon as it waits.
func (s Signal) Set() {
	select {
	case s.ch <- struct{}{}:
	default:
	}
}

// C returns the channel that receives once after the signal was set.
func (s Signal) C() <-chan struct{} { return s.ch }

// Clear takes the signal back, and reports whether it was set.
func (s Signal) Clear() bool {
	select {
	case <-s.ch:
		return true
	default:
		return false
	}
}

// Watchers are the signals of all who watch one thing. The zero value has none. It is safe for concurrent use.
type Watchers struct {
	mu      sync.Mutex
	signals []Signal // guarded by mu
}

// Watch returns a channel that receives after Notify (calls in quick succession may arrive as one), and a
// function that ends the watch.
func (w *Watchers) Watch() (changes <-chan struct{}, stop func()) {
	s := New()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signals = append(w.signals, s)
	return s.C(), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.signals = slices.DeleteFunc(w.signals, func(other Signal) bool { return other == s })
	}
}

// Notify wakes all who watch. It never blocks.
func (w *Watchers) Notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.signals {
		s.Set()
	}
}
