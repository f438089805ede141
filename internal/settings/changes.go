package settings

import (
	"maps"
	"path/filepath"
	"slices"
)

// Reloadable returns next as a running agent can take it over: what needs a restart stays as in s.
func (s Settings) Reloadable(next Settings) Settings {
	wanted := next.StateDirectory
	next.Region, next.IoT, next.AccountID, next.CABundle, next.CertFile = s.Region, s.IoT, s.AccountID, s.CABundle, s.CertFile
	next.Endpoints = s.Endpoints
	if next.NoCloud != s.NoCloud {
		next.CloudWatch = s.CloudWatch // that, too, begins or ends with the restart
	}
	next.NoCloud, next.StreamsDirectory, next.SiteWise = s.NoCloud, s.StreamsDirectory, s.SiteWise
	next.Web = s.Web
	next.RecordingDirectory, next.StateDirectory, next.Socket = s.RecordingDirectory, s.StateDirectory, s.Socket
	if next.MediaDirectory == filepath.Join(wanted, mediaName) {
		next.MediaDirectory = filepath.Join(s.StateDirectory, mediaName)
	}
	if s.Camera.Roots.Equal(next.Camera.Roots) {
		next.Camera.Roots = s.Camera.Roots // compared as a pointer from here on
	}
	return next
}

// Changed lists the variables that take effect at a reload and whose values differ.
func Changed(before, next Settings) (names []string) {
	for _, v := range allVariables() {
		if v.Effect == AfterRestart || v.value == nil {
			continue
		}
		if v.value(before) != v.value(next) || v.Name == EnvRTSPSCACert && before.Camera.Roots != next.Camera.Roots {
			names = append(names, v.Name)
		}
	}
	return names
}

// PendingRestart lists the variables that differ from what the agent was started with and need a restart. r is what
// it was started with, now what was read last; current are the settings in effect, wanted those of now.
func (r Reading) PendingRestart(now Reading, current, wanted Settings) (names []string) {
	known := make(map[string]bool)
	for _, v := range allVariables() {
		known[v.Name] = true
		if v.Effect != AfterRestart {
			continue
		}
		differs := r.differs(now, v.Name)
		if v.value != nil {
			differs = v.value(current) != v.value(wanted)
		}
		if differs {
			names = append(names, v.Name)
		}
	}
	// The rest of the file is for the process: the SDK's other variables, TZ, proxies by other names.
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
