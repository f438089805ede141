package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/envfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/preflight"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

const (
	serviceUnit = "kvs-edge-agent.service"
	// systemdRuns is a directory that exists while systemd is the init of this machine: sd_booted(3).
	systemdRuns = "/run/systemd/system"
	// unitTimeout bounds the question to systemd.
	unitTimeout = 5 * time.Second
)

// unitFiles are where the package, or somebody, puts the unit.
var unitFiles = []string{"/etc/systemd/system/" + serviceUnit, "/usr/lib/systemd/system/" + serviceUnit,
	"/lib/systemd/system/" + serviceUnit}

// findUnit asks systemd for the service's unit. Where systemd does not run, an installed unit is the shipped one.
// It returns nil where there is no unit.
func findUnit(ctx context.Context) *preflight.Unit {
	if _, err := os.Stat(systemdRuns); err == nil {
		ctx, cancel := context.WithTimeout(ctx, unitTimeout)
		defer cancel()
		arguments := []string{"show", serviceUnit}
		for _, property := range preflight.UnitProperties {
			arguments = append(arguments, "-p", property)
		}
		show := exec.CommandContext(ctx, "systemctl", arguments...)
		show.Env = append(os.Environ(), "LC_ALL=C")
		if output, err := show.Output(); err == nil {
			if unit, known := preflight.UnitOf(string(output)); known {
				return &unit
			}
			return nil
		}
	}
	for _, path := range unitFiles {
		if _, err := os.Stat(path); err == nil {
			unit := preflight.ShippedUnit()
			return &unit
		}
	}
	return nil
}

// serviceView is what a check takes from the service.
type serviceView struct {
	file  string          // with the variables; "" when only the shell's are there
	asIs  bool            // the file is that of the service, and not somebody's own
	unit  *preflight.Unit // nil when no unit starts the agent with the file
	notes []string        // how the shell differs from the service
}

// viewService reads the variables as the agent does that runs with the file: own is that of --env-file, "" for the
// service's, which is the default where the unit does not name another.
func viewService(unit *preflight.Unit, own, byDefault string) (v serviceView, file map[string]string, err error) {
	path := byDefault
	if unit != nil && unit.EnvFile != "" {
		path = unit.EnvFile
	}
	v = serviceView{file: path, asIs: own == "" || own == path, unit: unit}
	if own != "" {
		v.file = own
	}
	if !v.asIs {
		v.unit = nil
	}
	data, err := os.ReadFile(v.file)
	switch {
	case err == nil:
	case own != "":
		return v, nil, fmt.Errorf("cannot read the settings in %s: %w", v.file, reasonOf(err))
	case errors.Is(err, fs.ErrNotExist):
		return serviceView{}, nil, nil
	case errors.Is(err, fs.ErrPermission) && shellHasHub():
		const note = "The settings are those of this shell, as %s may not be read: run this as root to check those of the service."
		return serviceView{notes: []string{fmt.Sprintf(note, path)}}, nil, nil
	case errors.Is(err, fs.ErrPermission):
		return v, nil, fmt.Errorf("may not read %s: run as root or as a member of the agent's group", v.file)
	default:
		return v, nil, fmt.Errorf("cannot read the service's settings: %w", err)
	}
	list, faults := envfile.Parse(string(data))
	if len(faults) > 0 {
		wrong := new(settings.Error)
		for _, f := range faults {
			wrong.Faults = append(wrong.Faults, v.file+", "+f.Error())
		}
		return v, nil, wrong
	}
	file = make(map[string]string, len(list))
	for _, a := range list {
		file[a.Name] = a.Value
	}
	return v, file, nil
}

// shellHasHub reports whether the variables are those of a hub: without a thing it has the asset of AWS IoT SiteWise, or no cloud.
func shellHasHub() bool {
	return os.Getenv(settings.EnvThingName) != "" || os.Getenv(settings.EnvSiteWiseHub) != "" ||
		os.Getenv(settings.EnvCloud) == "off"
}

func reasonOf(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// asService puts the variables of the file, and of the unit, into the process's environment: they take precedence
// over the shell's, as for the service. Any other variable of the shell is not visible to the service.
func asService(unit *preflight.Unit, own, byDefault string) (serviceView, error) {
	v, file, err := viewService(unit, own, byDefault)
	if err != nil || v.file == "" {
		return v, err
	}
	wanted := maps.Clone(file)
	if v.asIs {
		base := preflight.ShippedUnit().Environment
		if v.unit != nil {
			base = v.unit.Environment
		}
		for name, value := range base {
			_, inFile := file[name]
			if _, set := os.LookupEnv(name); !inFile && (v.unit != nil || !set) {
				wanted[name] = value
			}
		}
	}
	v.compare(file, wanted)
	for name, value := range wanted {
		if err := os.Setenv(name, value); err != nil {
			return v, fmt.Errorf("%s: %s=: %w", v.file, name, err)
		}
	}
	return v, nil
}

// compare notes where the shell differs from what the agent has, and takes away what only the shell has.
func (v *serviceView) compare(file, wanted map[string]string) {
	var fromFile, fromUnit, alone []string
	for _, assignment := range os.Environ() {
		name, value, _ := strings.Cut(assignment, "=")
		will, set := wanted[name]
		_, inFile := file[name]
		switch {
		case inFile && will != value:
			fromFile = append(fromFile, name)
		case set && will != value:
			fromUnit = append(fromUnit, name)
		case !set && v.unit != nil && isSetting(name):
			alone = append(alone, name)
			_ = os.Unsetenv(name) // a name of the environment is valid
		}
	}
	note := func(names []string, format string, where string) {
		if len(names) > 0 {
			slices.Sort(names)
			v.notes = append(v.notes, fmt.Sprintf(format, humanize.List(names), where))
		}
	}
	const differs = "This shell has another value of %s than %s, whose value is used here as by the agent."
	note(fromFile, differs, v.file)
	note(fromUnit, differs, "the service's unit")
	note(alone, "The service does not see what this shell sets of %s: put it into %s if the service needs it.", v.file)
}

// isSetting reports whether the agent reads a variable, or something that it uses.
func isSetting(name string) bool {
	if strings.HasPrefix(name, "AWS_") {
		return true
	}
	for _, group := range settings.Variables() {
		for _, known := range group.Variables {
			if strings.EqualFold(known.Name, name) { // proxies are read in both spellings
				return true
			}
		}
	}
	return false
}
