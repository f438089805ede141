package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
)

// serviceSettings is what the systemd unit reads.
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
	for name, value := range parseEnvironmentFile(string(data)) {
		settings[name] = value
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

// parseEnvironmentFile reads NAME=value lines. Source: systemd.exec(5), EnvironmentFile=; of its
// quoting, a pair around the whole value.
func parseEnvironmentFile(text string) map[string]string {
	settings := make(map[string]string)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		settings[strings.TrimSpace(name)] = value
	}
	return settings
}
