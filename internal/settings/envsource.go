package settings

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/envfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// EnvSource is where the agent's variables come from: a file, if it has one, and the environment that
// the process began with. What the file sets counts, as systemd's EnvironmentFile= counts before
// its Environment=; a variable that is set empty there counts as not set.
type EnvSource struct {
	file        string // "" for none
	environment map[string]string
}

// NewEnvSource takes the path of the file, or "", and what os.Environ returns before the file's variables
// are put into the environment.
func NewEnvSource(file string, environ []string) EnvSource {
	s := EnvSource{file: file, environment: make(map[string]string, len(environ))}
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok {
			s.environment[name] = value
		}
	}
	return s
}

// HasFile reports whether there is a file, so that the settings can be read again.
func (s EnvSource) HasFile() bool { return s.file != "" }

// Read reads the file. An error is a *Error that names the lines.
func (s EnvSource) Read() (Reading, error) {
	r := Reading{source: s, assigned: make(map[string]envfile.Assignment)}
	if s.file == "" {
		return r, nil
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return r, &Error{Faults: []string{fmt.Sprintf("cannot read the settings in %s: %s", s.file, health.Reason(err))}}
	}
	list, faults := envfile.Parse(string(text))
	if len(faults) > 0 {
		wrong := &Error{}
		for _, f := range faults {
			wrong.Faults = append(wrong.Faults, s.file+", "+f.Error())
		}
		return r, wrong
	}
	for _, a := range list {
		r.assigned[a.Name] = a
	}
	return r, nil
}

// Reading is what a EnvSource held when it was read.
type Reading struct {
	source   EnvSource
	assigned map[string]envfile.Assignment // by the file
}

// Lookup returns a variable as os.LookupEnv does.
func (r Reading) Lookup(name string) (string, bool) {
	if a, ok := r.assigned[name]; ok {
		return a.Value, true
	}
	value, ok := r.source.environment[name]
	return value, ok
}

// Names are those of all variables that are set.
func (r Reading) Names() []string {
	names := slices.Collect(maps.Keys(r.source.environment))
	for name := range r.assigned {
		names = append(names, name)
	}
	return names
}

// Table lists the settings in effect as Settings.Table does, with where each is set.
func (r Reading) Table(s Settings) []localapi.Setting {
	list := s.Table(r.Lookup)
	for i := range list {
		list[i].Origin = r.origin(list[i].Name)
	}
	return list
}

// origin names where a variable is set: file, environment, or default where it is not.
func (r Reading) origin(name string) string {
	value, set := r.Lookup(name)
	_, filed := r.assigned[name]
	switch {
	case !set || strings.TrimSpace(value) == "":
		return "default"
	case filed:
		return "file"
	}
	return "environment"
}

// Export puts what the file sets into the process's environment, for those who read that: the AWS
// SDK, the proxies of net/http, the time zone.
func (r Reading) Export() error {
	for name, a := range r.assigned {
		if err := os.Setenv(name, a.Value); err != nil {
			return fmt.Errorf("%s, line %d: %w", r.source.file, a.Line, err)
		}
	}
	return nil
}

// Settings are what the variables say. An error is a *Error that names variables and lines.
func (r Reading) Settings() (Settings, error) {
	settings, err := FromEnv(r.Lookup)
	if wrong, ok := err.(*Error); ok {
		for i, fault := range wrong.Faults {
			wrong.Faults[i] = r.WithLocation(fault)
		}
	}
	return settings, err
}

// firstName finds the variable that a fault begins with.
var firstName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*`)

// WithLocation puts the line of its variable before a fault.
func (r Reading) WithLocation(fault string) string {
	if a, ok := r.assigned[firstName.FindString(fault)]; ok {
		return fmt.Sprintf("%s, line %d: %s", r.source.file, a.Line, fault)
	}
	return fault
}
