package agent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// systemd notifies the service manager of the agent's state.
// Source: sd_notify(3).
type systemd struct {
	log *zap.Logger
	try func() // returns only while the agent is alive
}

// run notifies that the agent is ready, and then, when the service has a watchdog, that it is alive:
// a lock that is never released stops try, and thereby the notifications.
func (s systemd) run(ctx context.Context) error {
	s.notify(daemon.SdNotifyReady)
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		logevent.WatchdogUnreadable.Log(s.log, zap.Error(err))
	}
	if interval == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(interval / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.try()
			s.notify(daemon.SdNotifyWatchdog)
		}
	}
}

// reloading announces another READY=1 for when the settings are applied. systemd wants the
// time with Type=notify-reload, since version 253.
func (s systemd) reloading() {
	state := daemon.SdNotifyReloading
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
		state += fmt.Sprintf("\nMONOTONIC_USEC=%d", now.Nano()/1000)
	}
	s.notify(state)
}

// reloaded ends that; fault is what systemctl status shows, or "".
func (s systemd) reloaded(fault string) {
	s.notify(daemon.SdNotifyReady + "\nSTATUS=" + strings.ReplaceAll(fault, "\n", " "))
}

func (s systemd) stopping() { s.notify(daemon.SdNotifyStopping) }

func (s systemd) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logevent.SystemdNotNotified.Log(s.log, zap.Error(err))
	}
}
