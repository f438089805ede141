package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/preflight"
)

// What deploy/systemd/kvs-edge-agent.service says of the service.
const (
	serviceSettings = "/etc/kvs-edge-agent/agent.env"
	serviceUser     = "kvs-edge-agent"
)

// takeRightsOf drops root for the rights of the service's user: root may read and write what the agent may not. It
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

// installedUnit is the unit of the service on this machine, asked for once.
var installedUnit = sync.OnceValue(func() *preflight.Unit { return findUnit(context.Background()) })

// useServiceSettings has every command see what the service sees, as check does: the variables of its file, which is
// usually at path, then those of its unit, then those of this shell. Times stay those of this shell. A path of a test
// has no unit. Its error says why the file cannot be used; the variables of this shell apply then.
func useServiceSettings(path string) error {
	var unit *preflight.Unit
	if path == serviceSettings {
		unit = installedUnit()
	}
	zone, zoned := os.LookupEnv("TZ")
	_, err := asService(unit, "", path)
	if zoned {
		return errors.Join(err, os.Setenv("TZ", zone))
	}
	return errors.Join(err, os.Unsetenv("TZ"))
}

// shellDiffers says that a command used another value than a variable had in this shell; "" if it used that one.
func shellDiffers(name, shell string) string {
	used := os.Getenv(name)
	if shell == "" || shell == used {
		return ""
	}
	return fmt.Sprintf("%s is %s for the service, which takes precedence over %s of this shell", name, used, shell)
}
