package signal

import (
	"sync"
	"testing"
)

func received(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestASignalIsReceivedOnce(t *testing.T) {
	t.Parallel()
	s := New()
	if received(s.C()) {
		t.Error("it is set before anybody set it")
	}
	s.Set()
	s.Set()
	if !received(s.C()) || received(s.C()) {
		t.Error("two settings before it was received are not one")
	}
	s.Set()
	if !s.Clear() || s.Clear() || received(s.C()) {
		t.Error("it is still set after it was cleared")
	}
}

func TestTheZeroSignalIsNeverReceived(t *testing.T) {
	t.Parallel()
	var s Signal
	s.Set()
	if received(s.C()) || s.Clear() {
		t.Error("a signal that was never made was set")
	}
}

func TestWatchersAreNotifiedUntilTheyStop(t *testing.T) {
	t.Parallel()
	var w Watchers
	w.Notify() // nobody is there
	first, stopFirst := w.Watch()
	second, stopSecond := w.Watch()
	w.Notify()
	if !received(first) || !received(second) {
		t.Error("a watcher was not notified")
	}
	stopFirst()
	stopFirst() // again does no harm
	w.Notify()
	if received(first) {
		t.Error("a watcher that stopped was notified")
	}
	if !received(second) {
		t.Error("the other one no longer is")
	}
	stopSecond()
}

func TestWatchersFromManyGoroutines(t *testing.T) {
	t.Parallel()
	var (
		w     Watchers
		group sync.WaitGroup
	)
	for range 8 {
		group.Go(func() {
			for range 100 {
				changes, stop := w.Watch()
				w.Notify()
				<-changes
				stop()
			}
		})
	}
	group.Wait()
}
