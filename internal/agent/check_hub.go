package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// certificateReserve is how long a device certificate must still be good: who installs a hub will
// not be back sooner.
const certificateReserve = 30 * 24 * time.Hour

// notPrivate are the rights that nobody may have on the key and the state. The group may read: it
// is the agent's own when root has installed them.
const notPrivate = 0o027

func (c *checker) checkSettings() bool {
	settings, err := SettingsFromEnv(c.o.Getenv)
	if err == nil {
		c.device, err = settings.IoT.TLS()
	}
	var wrong *SettingsError
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
	c.settings = settings
	if err := c.connect(); err != nil {
		c.bad("settings", sentence(err))
		return false
	}
	text := "the private key matches the certificate"
	if c.device == nil {
		text = "Greengrass gives the credentials"
	}
	c.good("settings", fmt.Sprintf("Thing %s in %s; %s.", settings.IoT.ThingName, settings.Region, text))
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
	private(c.settings.StateDirectory, "The state directory")
	for _, dir := range []struct{ variable, path string }{
		{EnvRecordingDirectory, c.settings.RecordingDirectory}, {EnvStateDirectory, c.settings.StateDirectory}, {EnvLogOutputDirectory, c.settings.Log.Directory},
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
			leaf.NotBefore.UTC().Format(time.DateTime), now.UTC().Format(time.DateTime)))
	case now.After(leaf.NotAfter):
		c.bad("certificate", fmt.Sprintf("The device certificate was valid until %s: make a new one in AWS IoT and attach it to thing %s.", until, c.settings.IoT.ThingName))
	case leaf.NotAfter.Sub(now) < certificateReserve:
		c.bad("certificate", fmt.Sprintf("The device certificate ends soon, on %s: make a new one in AWS IoT and attach it to thing %s.", until, c.settings.IoT.ThingName))
	default:
		c.good("certificate", "The device certificate is valid until "+until+".")
	}
}

// checkDisk compares what the streams may take, and what their cameras send, with the disk.
func (c *checker) checkDisk(streams []checkedStream) {
	const check = "disk"
	dir, missing := existing(c.settings.RecordingDirectory)
	free, total, err := c.o.diskFree(dir)
	if err != nil {
		c.bad(check, sentence(err))
		return
	}
	store := checkedStore{Store: noMedia{}, free: free, total: total}
	if !missing {
		if store.Store, err = segment.OpenReadOnly(segment.Options{Dir: dir}); err != nil {
			c.bad(check, sentence(err))
			return
		}
	}
	keeper := c.foresee(store, streams)
	room, _ := keeper.Room()
	forecast := keeper.DiskForecast()
	need := diskNeedOf(streams)
	text := fmt.Sprintf("There is room for %s of recordings in %s", bytesText(room), dir)
	if need.perDay > 0 {
		text += fmt.Sprintf(": %s of what the cameras send now (%s a day)", daysText(forecast.Days), bytesText(int64(need.perDay)))
	}
	next := ""
	if forecast.NextBytes > 0 {
		next = fmt.Sprintf(" The next pass deletes %s, of which %s are not uploaded.", bytesText(forecast.NextBytes), bytesText(forecast.NextNotUploaded))
	}
	switch {
	case need.limits > room:
		c.bad(check, fmt.Sprintf("%s, but the streams may take %s: lower MaxLocalMediaSizeInMB, or use a larger disk.%s", text, bytesText(need.limits), next))
	case need.perDay > 0 && forecast.Days < need.keepDays:
		c.bad(check, fmt.Sprintf("%s, but stream %s is to be kept for %s: lower EdgeRetentionInHours or the cameras' bitrates, or use a larger disk.%s", text, need.keeper, daysText(need.keepDays), next))
	case need.perDay > 0 && forecast.Days < 1:
		c.bad(check, text+", so an outage of a day loses media: lower the cameras' bitrates, or use a larger disk."+next)
	default:
		c.good(check, text+"."+next)
	}
}

// foresee gives a keeper that knows what the agent's own knows, and deletes nothing.
func (c *checker) foresee(store retention.Store, streams []checkedStream) *retention.Keeper {
	parts, orphans := health.NewRegistry(c.o.Now), retention.Policy{MaxAge: orphanAge}
	keeper := retention.New(retention.Options{
		Store: store, Default: orphans, MinFree: c.settings.MinFreeDisk.Of, Health: parts, Now: c.o.Now,
	})
	for _, s := range streams {
		policy := orphans
		if checkConfig(s.config) == nil { // or the agent does not follow it either
			policy = policyOf(s.config)
		}
		keeper.SetPolicy(s.name, policy)
		parts.Part(s.name, health.JobRecorder).Number(health.BitrateBPS).Set(int64(float64(s.bitrate) * s.share))
	}
	keeper.Look()
	return keeper
}

// checkedStore is what is on the disk, for looking only.
type checkedStore struct {
	retention.Store
	free, total uint64
}

// DiskFree implements retention.Store.
func (s checkedStore) DiskFree() (free, total uint64, err error) { return s.free, s.total, nil }

// noMedia is the store of a hub that has not recorded yet.
type noMedia struct{ retention.Store }

// Streams implements retention.Store.
func (noMedia) Streams() []string { return nil }

// Usage implements retention.Store.
func (noMedia) Usage(string) segment.Usage { return segment.Usage{} }

// SetLimit implements retention.Store.
func (noMedia) SetLimit(string, segment.Limit) {}

// Walk implements retention.Store.
func (noMedia) Walk(string, segment.Kinds) iter.Seq[segment.Info] {
	return func(func(segment.Info) bool) {}
}

// diskNeed is what the streams ask of the disk together.
type diskNeed struct {
	limits   int64   // bytes, of the streams that have a limit
	perDay   float64 // bytes, of the streams whose bitrate is known
	keepDays float64 // the longest time for which media is kept whatever happens
	keeper   string  // the stream that does
}

func diskNeedOf(streams []checkedStream) diskNeed {
	var need diskNeed
	for _, s := range streams {
		limit, _ := s.config.LocalLimit()
		need.limits += limit
		need.perDay += float64(s.bitrate) / 8 * (24 * time.Hour).Seconds() * s.share
		// Only who names a time wants it: the default is just the longest there is.
		named := s.config.DeletionConfig != nil && s.config.DeletionConfig.EdgeRetentionInHours != nil
		if keep := s.config.Retention().Hours() / 24; named && limit == 0 && !s.config.DeleteAfterUpload() && keep > need.keepDays {
			need.keepDays, need.keeper = keep, s.name
		}
	}
	return need
}

func diskFree(dir string) (free, total uint64, err error) {
	if free, total, err = segment.FreeSpace(dir); err != nil {
		return 0, 0, fmt.Errorf("the free space of %s cannot be learnt: %w", dir, err)
	}
	return free, total, nil
}

func bytesText(n int64) string {
	switch {
	case n < 1e9:
		return fmt.Sprintf("%d MB", (n+1e6-1)/1e6)
	case n < 1e12:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	default:
		return fmt.Sprintf("%.1f TB", float64(n)/1e12)
	}
}

func daysText(days float64) string {
	switch {
	case days < 2:
		return fmt.Sprintf("%.1f hours", days*24)
	default:
		return fmt.Sprintf("%.1f days", days)
	}
}
