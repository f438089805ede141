package signal

import "sync/atomic"

// Turn is a lock for what may wait for a disk: goroutines that wait for it wait as for a channel, and can be seen to do so by tests in a
// bubble of synctest.
type Turn struct {
	state atomic.Int32 // 0: nobody has it; 1: somebody; 2: somebody, and others may wait
	woken chan struct{}
}

// NewTurn returns a Turn that nobody has.
func NewTurn() *Turn { return &Turn{woken: make(chan struct{}, 1)} }

// Lock waits for the turn.
func (t *Turn) Lock() {
	if t.state.CompareAndSwap(0, 1) {
		return
	}
	for t.state.Swap(2) != 0 {
		<-t.woken
	}
}

// TryLock takes the turn unless somebody has it.
func (t *Turn) TryLock() bool { return t.state.CompareAndSwap(0, 1) }

// Unlock ends the turn.
func (t *Turn) Unlock() {
	if t.state.Swap(0) == 2 {
		select {
		case t.woken <- struct{}{}:
		default:
		}
	}
}
