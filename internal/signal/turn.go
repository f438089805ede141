package signal

// Turn is a lock for what may wait for a disk: goroutines that wait for it wait as for a channel, and can be seen to do so by tests in a
// bubble of synctest.
type Turn chan struct{}

// NewTurn returns a Turn that nobody has.
func NewTurn() Turn { return make(Turn, 1) }

// Lock waits for the turn.
func (t Turn) Lock() { t <- struct{}{} }

// TryLock takes the turn unless somebody has it.
func (t Turn) TryLock() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// Unlock ends the turn.
func (t Turn) Unlock() { <-t }
