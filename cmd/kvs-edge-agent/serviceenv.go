package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/envfile"
)

// What deploy/systemd/kvs-edge-agent.service says of the service.
const (
	serviceSettings = "/etc/kvs-edge-agent/agent.env"
	serviceUser     = "kvs-edge-agent"
)

// takeRightsOf gives up root for the rights of the service's user: root may read and write what the agent may not. It
// does nothing where somebody else runs the command.
func takeRightsOf(name string) error {
	if os.Geteuid() != 0 || name == "" || name == "root" {
		return nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		return nil // a unit of somebody's own runs the agent as another user
	}
	groups, err := account.GroupIds()
	if err != nil {
		return fmt.Errorf("cannot look up the groups of the user %s: %w", name, err)
	}
	var ids []int
	for _, text := range append([]string{account.Uid, account.Gid}, groups...) {
		id, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("the user %s has the id %q: %w", name, text, err)
		}
		ids = append(ids, id)
	}
	err = errors.Join(os.Setenv("HOME", account.HomeDir), syscall.Setgroups(ids[1:]), syscall.Setgid(ids[1]), syscall.Setuid(ids[0]))
	if err != nil {
		return fmt.Errorf("cannot take the rights of the user %s: %w", name, err)
	}
	return nil
}

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
		wrong := new(agent.SettingsError)
		for _, f := range faults {
			wrong.Faults = append(wrong.Faults, path+", "+f.Error())
		}
		return false, wrong
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
