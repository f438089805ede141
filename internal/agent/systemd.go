package agent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// watchdog notifies systemd that the agent is ready, and then, when it has a watchdog, that it lives:
// a lock that is never released stops the snapshot, and thereby the notifications.
// Source: sd_notify(3).
func (a *Agent) watchdog(ctx context.Context) error {
	a.sdNotify(daemon.SdNotifyReady)
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.log.Warn("cannot read systemd's watchdog interval", zap.Error(err))
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
			_ = a.collector.Snapshot()
			a.sdNotify(daemon.SdNotifyWatchdog)
		}
	}
}

// notifyReloading tells systemd that READY=1 comes again when the settings are applied. It wants the
// time with Type=notify-reload, which is of version 253.
func (a *Agent) notifyReloading() {
	state := daemon.SdNotifyReloading
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
		state += fmt.Sprintf("\nMONOTONIC_USEC=%d", now.Nano()/1000)
	}
	a.sdNotify(state)
}

// notifyReloaded ends that; fault is what systemctl status shows, or "".
func (a *Agent) notifyReloaded(fault string) {
	a.sdNotify(daemon.SdNotifyReady + "\nSTATUS=" + strings.ReplaceAll(fault, "\n", " "))
}

func (a *Agent) notifyStopping() { a.sdNotify(daemon.SdNotifyStopping) }

func (a *Agent) sdNotify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("cannot notify systemd", zap.Error(err))
	}
}
