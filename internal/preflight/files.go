package preflight

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// certExpiryWarning is how long a device certificate must still be valid: who installs a hub will
// not be back sooner.
const certExpiryWarning = 30 * 24 * time.Hour

// othersMask are the rights that others must not have on the key and the state. The group may read: it
// is the agent's own when root has installed them.
const othersMask = 0o027

func (c *checker) checkSettings() bool {
	found, err := settings.FromEnv(c.o.Getenv)
	if err == nil {
		c.device, err = found.IoT.TLS()
	}
	if err == nil {
		c.settings = found
		err = c.connect()
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
	if found.NoCloud {
		c.good("settings", fmt.Sprintf("%s is off: nothing at AWS is asked, and nothing is uploaded.", settings.EnvCloud))
		return true
	}
	text := "the private key matches the certificate"
	if c.device == nil {
		text = "Greengrass provides the credentials"
	}
	if found.IoT.NoThing != "" {
		c.good("settings", fmt.Sprintf("No thing, in %s: AWS IoT SiteWise configures the hub, and %s provides the credentials.", found.Region,
			settings.EnvTokenExchange))
		return true
	}
	c.good("settings", fmt.Sprintf("Thing %s in %s; %s.", found.IoT.ThingName, found.Region, text))
	return true
}

// checkFiles checks who may read the key and the state, and whether recordings can be written.
func (c *checker) checkFiles() {
	all := true
	private := func(path, what string) {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&othersMask != 0 {
			all = false
			c.bad("files", fmt.Sprintf("%s %s is open to others (mode %04o): chmod o=,g-w %s.", what, path, info.Mode().Perm(), path))
		}
	}
	closed := "The state is"
	if c.device != nil {
		closed = "The private key and the state are"
		private(c.settings.IoT.PrivateKey, "The private key")
	}
	if err := statefile.Check(c.settings.StateDirectory); err != nil {
		all = false
		c.bad("files", fmt.Sprintf("%s: %s", settings.EnvStateDirectory, sentence(err)))
	} else {
		private(c.settings.StateDirectory, "The state directory")
	}
	for _, dir := range []struct{ variable, path string }{
		{settings.EnvRecordingDirectory, c.settings.RecordingDirectory}, {settings.EnvStateDirectory, c.settings.StateDirectory},
		{settings.EnvLogOutputDirectory, c.settings.Log.Directory},
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
		c.bad("certificate", fmt.Sprintf("The device certificate was valid until %s: make a new one in AWS IoT and attach it to thing %s.",
			until, c.settings.IoT.ThingName))
	case leaf.NotAfter.Sub(now) < certExpiryWarning:
		c.bad("certificate", fmt.Sprintf("The device certificate ends soon, on %s: make a new one in AWS IoT and attach it to thing %s.", until,
			c.settings.IoT.ThingName))
	default:
		c.good("certificate", "The device certificate is valid until "+until+".")
	}
}
