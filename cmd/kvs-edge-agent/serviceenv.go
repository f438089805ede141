package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/envfile"
)

// serviceSettings is what the service reads.
const serviceSettings = "/etc/kvs-edge-agent/agent.env"

// useServiceSettings gives a command in a shell the settings that the service would have, unless
// the shell has settings of its own. It reports whether it did.
func useServiceSettings(path string) (bool, error) {
	if os.Getenv(agent.EnvThingName) != "" {
		return false, nil
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, fs.ErrPermission):
		return false, fmt.Errorf("may not read %s: run as root or as a member of the agent's group", path)
	case err != nil:
		return false, fmt.Errorf("cannot read the service's settings: %w", err)
	}
	// What the unit itself sets comes first: the file may change it.
	settings := map[string]string{
		agent.EnvRecordingDirectory: "/var/lib/kvs-edge-agent/recordings",
		agent.EnvLogOutputDirectory: "/var/log/kvs-edge-agent",
		"STATE_DIRECTORY":           "/var/lib/kvs-edge-agent",
		"RUNTIME_DIRECTORY":         "/run/kvs-edge-agent",
	}
	list, faults := envfile.Parse(string(data))
	if len(faults) > 0 {
		return false, fmt.Errorf("%s, %w", path, faults[0])
	}
	for _, a := range list {
		settings[a.Name] = a.Value
	}
	for name, value := range settings {
		if _, set := os.LookupEnv(name); !set {
			if err := os.Setenv(name, value); err != nil {
				return false, fmt.Errorf("%s: %s=: %w", path, name, err)
			}
		}
	}
	return true, nil
}
