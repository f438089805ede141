package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/logfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// The codes of the conditions that a reload raises.
const (
	codeRefused = "settings-refused" // the file is wrong, and changed nothing
	codeRestart = "settings-restart" // some of the file waits for a restart
)

// scopeRestart is the difference between the settings in the file and those that a restart would put in effect.
const scopeRestart health.Scope = "restart"

// Reload reads the file with the settings again and applies what changed. Settings that are wrong in any way
// change nothing: the error is a *health.Fault, which status shows until the next reload that
// succeeds. What only a restart can change stays as it is, and status says so. Safe for concurrent
// use; one reload follows the other.
func (a *Agent) Reload() (localapi.Reloaded, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if !a.running {
		return localapi.Reloaded{}, health.SystemFault(codeRefused, nil, "The settings cannot be reloaded while the agent is "+
			"starting or stopping.")
	}
	a.config.cameras.ReadNow() // a person has changed something, perhaps a secret
	if !a.o.Source.HasFile() {
		return localapi.Reloaded{}, health.UserFault(codeRefused, nil,
			"The agent was started without --env-file: its settings are those of its environment, and change with a restart.")
	}
	a.systemd.reloading()
	done, err := a.reload()
	component := a.health.Component("", health.JobSettings)
	if err != nil {
		fault := refused(err)
		component.Report(health.ScopeReload, health.Degraded, fault)
		logevent.Condition(a.log, fault)
		a.systemd.reloaded(fault.Text)
		return localapi.Reloaded{}, fault
	}
	component.OK(health.ScopeReload)
	if len(done.AfterRestart) > 0 {
		if fault := restartNeeded(done.AfterRestart); component.Report(scopeRestart, health.Info, fault) {
			logevent.Condition(a.log, fault)
		}
	} else {
		component.OK(scopeRestart)
	}
	logevent.SettingsReloaded.Log(a.log, zap.Strings("changed", done.Changed), zap.Strings("restarted", done.Streams),
		zap.Strings("afterRestart", done.AfterRestart))
	a.systemd.reloaded("")
	return done, nil
}

func refused(err error) *health.Fault {
	text := err.Error()
	if wrong := new(settings.Error); errors.As(err, &wrong) {
		text = strings.Join(wrong.Faults, "; ")
	}
	return health.UserFault(codeRefused, err, "The new settings are refused, and the previous ones stay in effect: %s.",
		strings.TrimSuffix(text, "."))
}

func restartNeeded(names []string) *health.Fault {
	return health.UserFault(codeRestart, nil, "The new %s: takes effect after `systemctl restart kvs-edge-agent`.", strings.Join(names, ", "))
}

// reload does it, or fails before it has changed anything.
func (a *Agent) reload() (done localapi.Reloaded, err error) {
	reading, err := a.o.Source.Read()
	if err != nil {
		return done, err
	}
	wanted, err := reading.Settings()
	if err != nil {
		return done, err
	}
	before := a.settings()
	next := before.Reloadable(wanted)
	if _, total, err := a.store.DiskFree(); err == nil {
		if text := settings.ReserveTooLarge(next.MinFreeDisk, next.RecordingDirectory, total); text != "" {
			return done, errors.New(reading.WithLocation(text))
		}
	}
	if a.o.LogFile != nil && next.Log != a.o.LogFile.Settings() {
		if err := logfile.Try(next.Log); err != nil {
			return done, errors.New(reading.WithLocation(fmt.Sprintf("%s: cannot write the log: %s", settings.EnvLogOutputDirectory, err)))
		}
	}
	if err := a.export.serve(next.MetricsAddress); err != nil {
		return done, errors.New(reading.WithLocation(err.Error()))
	}
	// From here on nothing fails.
	a.current.Store(&next)
	a.apply(before, next)
	a.config.retryRights()
	a.nudges.nudgeAll(nudgeRights)
	done.Changed = settings.Changed(before, next)
	done.AfterRestart = a.o.Initial.PendingRestart(reading, next, wanted)
	for _, m := range reading.Misspelt() {
		done.Unknown = append(done.Unknown, m.Name)
	}
	noteMisspelt(a.health.Component("", health.JobSettings), a.log, reading)
	done.Streams = a.streams.reapply() // with the policies, which depend on the upload mode
	return done, nil
}

// apply makes a running agent follow its settings, but for the streams' jobs.
func (a *Agent) apply(before, next settings.Settings) {
	if a.o.LogLevel != nil && next.Log.Level != before.Log.Level {
		_ = a.o.LogLevel.Set(next.Log.Level) // was checked
	}
	if a.o.LogFile != nil && next.Log != a.o.LogFile.Settings() {
		a.o.LogFile.Follow(next.Log)
	}
	if next.UploadCap.String() != before.UploadCap.String() {
		a.uploadCap.Follow(next.UploadCap)
	}
	if a.meter != nil && next.LineCap != before.LineCap {
		a.meter.Follow(next.LineCap)
	}
	a.uploadMode.set(next.UploadMode)
	if next.FlushInterval != before.FlushInterval {
		a.store.SetFlushInterval(next.FlushInterval)
	}
	if next.MinFreeDisk != before.MinFreeDisk || next.DeleteAfter != before.DeleteAfter {
		a.retention.Wake()
	}
	if next.Audio.Uploaded() == uploader.AudioAll {
		for _, name := range a.streams.names() {
			a.health.Component(name, health.JobUploader).OK(uploader.ScopeAudio)
		}
	}
	a.export.report(next.CloudWatch)
}

// reloadOnRequest reloads whenever it is asked to, until ctx ends. Requests that come while one is
// under way are one more.
func (a *Agent) reloadOnRequest(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.o.ReloadRequests:
			_, _ = a.Reload() // log and status show the result
		}
	}
}
