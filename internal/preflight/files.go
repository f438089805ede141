package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// certificateReserve is how long a device certificate must still be good: who installs a hub will
// not be back sooner.
const certificateReserve = 30 * 24 * time.Hour

// notPrivate are the rights that nobody may have on the key and the state. The group may read: it
// is the agent's own when root has installed them.
const notPrivate = 0o027

func (c *checker) checkSettings() bool {
	found, err := settings.FromEnv(c.o.Getenv)
	if err == nil {
		c.device, err = found.IoT.TLS()
	}
	var wrong *settings.Error
	switch {
	case errors.As(err, &wrong):
		for _, fault := range wrong.Faults {
			c.bad("settings", fault+".")
		}
		return false
	case err != nil:
		c.bad("settings", sentence(err))
		return false
	}
	c.settings = found
	if err := c.connect(); err != nil {
		c.bad("settings", sentence(err))
		return false
	}
	text := "the private key matches the certificate"
	if c.device == nil {
		text = "Greengrass gives the credentials"
	}
	c.good("settings", fmt.Sprintf("Thing %s in %s; %s.", found.IoT.ThingName, found.Region, text))
	return true
}

// checkFiles looks at who may read the key and the state, and whether recordings can be written.
func (c *checker) checkFiles() {
	all := true
	private := func(path, what string) {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&notPrivate != 0 {
			all = false
			c.bad("files", fmt.Sprintf("%s %s is open to others (mode %04o): chmod o=,g-w %s.", what, path, info.Mode().Perm(), path))
		}
	}
	closed := "The state is"
	if c.device != nil {
		closed = "The private key and the state are"
		private(c.settings.IoT.PrivateKey, "The private key")
	}
	if err := iotconfig.CheckStateDir(c.settings.StateDirectory); err != nil {
		all = false
		c.bad("files", fmt.Sprintf("%s: %s", settings.EnvStateDirectory, sentence(err)))
	} else {
		private(c.settings.StateDirectory, "The state directory")
	}
	for _, dir := range []struct{ variable, path string }{
		{settings.EnvRecordingDirectory, c.settings.RecordingDirectory}, {settings.EnvStateDirectory, c.settings.StateDirectory}, {settings.EnvLogOutputDirectory, c.settings.Log.Directory},
	} {
		if text := unwritable(dir.path); text != "" {
			all = false
			c.bad("files", fmt.Sprintf("%s: %s", dir.variable, text))
		}
	}
	if all {
		c.good("files", closed+" closed to others, and this user can write recordings, state and logs.")
	}
}

// unwritable says why a directory cannot be written to, or made.
func unwritable(dir string) string {
	at, missing := existing(dir)
	info, err := os.Stat(at)
	switch {
	case err != nil:
		return fmt.Sprintf("%s cannot be looked at: %s.", at, reason(err))
	case !info.IsDir():
		return fmt.Sprintf("%s is not a directory: name one.", at)
	case unix.Access(at, unix.W_OK|unix.X_OK) == nil:
		return ""
	case missing:
		return fmt.Sprintf("%s cannot be made, as %s is not writable for this user: make it and give it to the agent's user.", dir, at)
	default:
		return fmt.Sprintf("%s is not writable for this user: give it to the agent's user (chown).", at)
	}
}

// existing gives the directory, or the nearest one above it that is there.
func existing(dir string) (at string, missing bool) {
	at = filepath.Clean(dir)
	for {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return at, missing
		}
		at, missing = filepath.Dir(at), true
	}
}

func (c *checker) checkCertificate() {
	if c.device == nil {
		c.good("certificate", fmt.Sprintf("The device certificate is not used (%s).", c.settings.IoT.NoCertificate))
		return
	}
	leaf := c.device.Certificates[0].Leaf
	now := c.o.Now()
	until := leaf.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case now.Before(leaf.NotBefore):
		c.bad("certificate", fmt.Sprintf("The device certificate is valid from %s only, and the hub's clock says %s: set the clock (NTP).",
			humanize.Time(leaf.NotBefore.UTC()), humanize.Time(now.UTC())))
	case now.After(leaf.NotAfter):
		c.bad("certificate", fmt.Sprintf("The device certificate was valid until %s: make a new one in AWS IoT and attach it to thing %s.", until, c.settings.IoT.ThingName))
	case leaf.NotAfter.Sub(now) < certificateReserve:
		c.bad("certificate", fmt.Sprintf("The device certificate ends soon, on %s: make a new one in AWS IoT and attach it to thing %s.", until, c.settings.IoT.ThingName))
	default:
		c.good("certificate", "The device certificate is valid until "+until+".")
	}
}
