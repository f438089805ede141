package proc

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is TimerSlackNSec= of deploy/systemd/kvs-edge-agent.service.
const timerSlack = time.Millisecond

// StartAsService starts the agent as its unit does, as far as that changes what it takes: its timers may be late.
func StartAsService(cmd *exec.Cmd) (err error) {
	runtime.LockOSThread() // the slack is a thread's, and that of its children
	defer runtime.UnlockOSThread()
	before, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	if err := setTimerSlack(int64(timerSlack)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, setTimerSlack(int64(before))) }()
	return cmd.Start()
}

func setTimerSlack(nanoseconds int64) error {
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(nanoseconds), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	return nil
}
