package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// The codes of the conditions that a reload raises.
const (
	codeRefused = "settings-refused" // the file is wrong, and changed nothing
	codeRestart = "settings-restart" // some of the file waits for a restart
)

// scopeRestart is the difference between the settings in the file and those that a restart would put in effect.
const scopeRestart health.Scope = "restart"

// Reload reads the file with the settings anew and applies what changed. Settings that are wrong in any way
// change nothing: the error is a *health.Fault, which status shows until the next reload that
// succeeds. What only a restart can change stays as it is, and status says so. Safe for concurrent
// use; one reload follows the other.
func (a *Agent) Reload() (status.Reloaded, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.launch == nil {
		return status.Reloaded{}, health.SystemFault(codeRefused, nil, "The agent starts or stops, and reads no settings now.")
	}
	a.config.cameras.ReadNow() // a person has changed something, perhaps a secret
	if a.o.Source.file == "" {
		return status.Reloaded{}, health.UserFault(codeRefused, nil,
			"The agent was started without --env-file: its settings are those of its environment, and change with a restart.")
	}
	a.notifyReloading()
	done, err := a.reload()
	part := a.health.Part("", health.JobSettings)
	if err != nil {
		fault := refused(err)
		part.Report(health.ScopeReload, health.Degraded, fault)
		a.log.Error("the new settings are refused", zap.Error(fault))
		a.notifyReloaded(fault.Text)
		return status.Reloaded{}, fault
	}
	part.OK(health.ScopeReload)
	if len(done.AfterRestart) > 0 {
		part.Report(scopeRestart, health.Info, restartNeeded(done.AfterRestart))
	} else {
		part.OK(scopeRestart)
	}
	a.log.Info("the settings were read anew", zap.Strings("changed", done.Changed), zap.Strings("restarted", done.Streams),
		zap.Strings("afterRestart", done.AfterRestart))
	a.notifyReloaded("")
	return done, nil
}

func refused(err error) *health.Fault {
	text := err.Error()
	if wrong := new(SettingsError); errors.As(err, &wrong) {
		text = strings.Join(wrong.Faults, "; ")
	}
	return health.UserFault(codeRefused, err, "The new settings are refused, and those from before stay in effect: %s.", strings.TrimSuffix(text, "."))
}

func restartNeeded(names []string) *health.Fault {
	return health.UserFault(codeRestart, nil, "The new %s: takes effect after `systemctl restart kvs-edge-agent`.", strings.Join(names, ", "))
}

// reload does it, or fails before it has changed anything.
func (a *Agent) reload() (done status.Reloaded, err error) {
	reading, err := a.o.Source.Read()
	if err != nil {
		return done, err
	}
	wanted, err := reading.Settings()
	if err != nil {
		return done, err
	}
	before := a.settings()
	next := before.applied(wanted)
	if _, total, err := a.store.DiskFree(); err == nil {
		if text := ReserveTooLarge(next.MinFreeDisk, next.RecordingDirectory, total); text != "" {
			return done, errors.New(reading.placed(text))
		}
	}
	if next.Log != before.Log && a.o.LogFile != nil {
		if err := tryLogDirectory(next.Log); err != nil {
			return done, errors.New(reading.placed(fmt.Sprintf("%s: cannot write the log: %s", EnvLogOutputDirectory, err)))
		}
	}
	if err := a.serveMetrics(next.MetricsAddress); err != nil {
		return done, errors.New(reading.placed(err.Error()))
	}
	// From here on nothing fails.
	a.inEffect.Store(&next)
	a.apply(before, next)
	a.config.retryRights()
	a.nudges.all(nudgeRights)
	done = changes(before, next)
	done.AfterRestart = a.o.Begun.waiting(reading, next, wanted)
	for _, m := range reading.misspelt() {
		done.Unknown = append(done.Unknown, m.Name)
	}
	a.noteMisspelt(reading)
	done.Streams, err = a.streams.reapply()
	if err != nil {
		a.log.Error("not all jobs run with the new settings", zap.Error(err)) // each says so in its status
	}
	return done, nil
}

// apply makes a running agent follow its settings, but for the streams' jobs.
func (a *Agent) apply(before, next Settings) {
	if a.o.LogLevel != nil && next.Log.Level != before.Log.Level {
		_ = a.o.LogLevel.Set(next.Log.Level) // was checked
	}
	if a.o.LogFile != nil && next.Log != before.Log {
		a.o.LogFile.follow(next.Log)
	}
	if next.UploadCap.String() != before.UploadCap.String() {
		a.uploadCap.Follow(next.UploadCap)
	}
	a.uploadMode.set(next.UploadMode)
	if next.FlushInterval != before.FlushInterval {
		a.store.SetFlushInterval(next.FlushInterval)
	}
	if next.MinFreeDisk != before.MinFreeDisk {
		a.retention.Wake()
	}
	if next.Audio.uploaded() == uploader.AudioAll {
		for _, name := range a.streams.names() {
			a.health.Part(name, health.JobUploader).OK(uploader.ScopeAudio)
		}
	}
	a.report(next.CloudWatch)
}

// changes lists what of the settings in effect is another.
func changes(before, next Settings) (done status.Reloaded) {
	for _, v := range allVariables() {
		if v.Effect == AfterRestart || v.value == nil {
			continue
		}
		if v.value(before) != v.value(next) || v.Name == EnvRTSPSCACert && before.Camera.Roots != next.Camera.Roots {
			done.Changed = append(done.Changed, v.Name)
		}
	}
	return done
}

// waiting lists the variables that are not what the agent began with and need a restart. r is what the agent began with.
func (r Reading) waiting(now Reading, inEffect, wanted Settings) (names []string) {
	known := make(map[string]bool)
	for _, v := range allVariables() {
		known[v.Name] = true
		if v.Effect != AfterRestart {
			continue
		}
		differs := r.differs(now, v.Name)
		if v.value != nil {
			differs = v.value(inEffect) != v.value(wanted)
		}
		if differs {
			names = append(names, v.Name)
		}
	}
	// What else is in the file is for the process: the SDK's other variables, TZ, proxies by other names.
	others := make(map[string]bool)
	for _, file := range []Reading{r, now} {
		for name := range file.assigned {
			others[name] = others[name] || !known[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if others[name] && !ignored(name) && !misspelt(name) && r.differs(now, name) {
			names = append(names, name)
		}
	}
	return names
}

func (r Reading) differs(now Reading, name string) bool {
	old, _ := r.Lookup(name)
	value, _ := now.Lookup(name)
	return old != value
}

// reloadOnRequest reloads whenever it is asked to, until ctx ends. Requests that come while one is
// under way are one more.
func (a *Agent) reloadOnRequest(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.o.ReloadRequests:
			_, _ = a.Reload() // log and status say how it went
		}
	}
}
