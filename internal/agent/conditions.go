package agent

import (
	"context"
	"runtime"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/freeze"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// codeFrozen is raised when the hub did not run for a while.
const codeFrozen = "hub-frozen"

const scopeFrozen health.Scope = "frozen"

// frozenShown is how long a freeze is shown: it is over when it is noticed.
const frozenShown = time.Hour

// newFreezes watches whether the process runs. Media that was missed meanwhile is not the fault of a camera.
func newFreezes(component *health.Component, log *zap.Logger, now func() time.Duration) *freeze.Watch {
	return freeze.New(func(f freeze.Freeze) {
		until := time.Now()
		fault := health.SystemFault(codeFrozen, nil,
			"The hub did not run for %s until %s, so that only what connections had buffered was recorded meanwhile: if it recurs, look for "+
				"suspend, a paused virtual machine, too little memory or a disk that blocks.",
			humanize.Length(f.Length), humanize.Time(until.Local()))
		component.Note(scopeFrozen, health.Degraded, fault, frozenShown)
		logevent.Condition(log, fault, zap.Duration("length", f.Length), zap.Time("until", until.UTC()))
	}, now)
}

// newPressure watches whether the hub keeps up.
func (a *Agent) newPressure() *pressure.Watch {
	return pressure.New(pressure.Options{
		Read: pressure.NewReader("self", runtime.NumCPU()).Read, Component: a.health.Component("", health.JobAPI), Log: a.log,
		Lag: func() (l pressure.Lag) {
			l.Late, l.Moments = a.freezes.Late()
			l.Sync, l.Beat = a.store.SyncLag()
			return l
		},
	})
}

// codeClockOff is raised while the hub's clock is off those of AWS.
const codeClockOff = "clock-off"

const scopeClock health.Scope = "clock"

// clockCheck is how often the clock is checked: a condition ends soon after the clock was set.
const clockCheck = 5 * time.Second

// watchClock says how far the hub's clock is off, until ctx ends. ahead is hubclock.Clock.Ahead.
func watchClock(component *health.Component, log *zap.Logger, ahead func() time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		ticker := pulse.NewTicker(clockCheck)
		defer ticker.Stop()
		for {
			judgeClock(component, log, ahead())
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}
}

// judgeClock says that the clock is so much ahead of AWS's, behind when it is negative, or right with 0.
func judgeClock(component *health.Component, log *zap.Logger, ahead time.Duration) {
	if ahead == 0 {
		if component.OK(scopeClock) {
			logevent.ClockAgrees.Log(log)
		}
		return
	}
	off := ahead.Abs().Round(time.Second)
	if off >= 2*time.Minute {
		off = off.Round(time.Minute)
	}
	fault := health.UserFault(codeClockOff, nil,
		"The hub's clock is %s %s that of AWS: requests are dated by AWS's clock, so that uploading and "+
			"configuration continue, but recordings have the hub's times. Set the clock, and check its time synchronisation (NTP).",
		health.Varying(humanize.Span(off)), hubclock.Direction(ahead))
	if component.Report(scopeClock, health.Degraded, fault) {
		logevent.Condition(log, fault)
	}
}

// codeMisspelt is that of the condition that variables look like settings, but no setting has their name.
const codeMisspelt = "settings-misspelt"

// scopeNames is the names of the variables that are set.
const scopeNames health.Scope = "names"

// noteMisspelt logs the variables whose names are wrong, and shows them in status until a reload finds none.
func noteMisspelt(component *health.Component, log *zap.Logger, r settings.Reading) {
	list := r.Misspelt()
	if len(list) == 0 {
		component.OK(scopeNames)
		return
	}
	fault := health.UserFault(codeMisspelt, nil, "%s", settings.MisspeltText(list, r))
	for _, m := range list {
		logevent.Condition(log, fault, zap.String("name", m.Name), zap.String("meant", m.Meant))
	}
	component.Report(scopeNames, health.Info, fault)
}
