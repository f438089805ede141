package scheduler

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// clockSet waits for the wall clock to be set, and for the end of a suspension: the kernel ends a
// timer's wait for either. Source: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.
type clockSet struct {
	timer *os.File
}

func watchClock() (*clockSet, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("no timer of the kernel: %w", err)
	}
	w := &clockSet{os.NewFile(uintptr(fd), "clock")}
	var never unix.ItimerSpec // no expiry
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("the kernel does not report when the clock is set: %w", err), w.close())
	}
	return w, nil
}

// await returns true when the clock was set; false when close was called, or the kernel reports nothing any more.
func (w *clockSet) await() bool {
	var ticks [8]byte
	_, err := w.timer.Read(ticks[:])
	return errors.Is(err, unix.ECANCELED)
}

func (w *clockSet) close() error {
	if err := w.timer.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
