package scheduler

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// moveClock sets the wall clock ahead by the least amount, which the kernel reports as any other step.
func moveClock(t *testing.T) {
	t.Helper()
	ahead := unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1}} // in ns, with that mode
	if _, err := unix.Adjtimex(&ahead); errors.Is(err, unix.EPERM) {
		t.Skip("only root may set the clock")
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestTheKernelTellsThatTheClockWasSet(t *testing.T) {
	t.Parallel()
	set, err := watchClock()
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan bool)
	go func() {
		for ok := true; ok; {
			ok = set.await()
			told <- ok
		}
	}()
	for range 2 {
		moveClock(t)
		if !<-told {
			t.Fatal("the wait ended, but not for the clock")
		}
	}
	if err := set.close(); err != nil {
		t.Fatal(err)
	}
	for <-told { // the other test sets it too
	}
}

// TestTheSystemsClockIsLookedAtWhenItIsSet sees the clock's goroutine look long before it would.
func TestTheSystemsClockIsLookedAtWhenItIsSet(t *testing.T) {
	t.Parallel()
	c := NewClock(ClockOptions{})
	defer c.Close()
	if c.slice != zoneEvery {
		t.Skip("the kernel does not tell")
	}
	looked := func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.wakeAt
	}
	for range 3 {
		before := looked()
		moveClock(t)
		testtools.Eventually(t, time.Minute, func() error {
			if !looked().After(before) {
				return errors.New("it is not checked")
			}
			return nil
		})
	}
}
