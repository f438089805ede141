package preflight

import (
	"cmp"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// checkDisk compares what the streams may take, and what their cameras send, with the disk.
func (c *checker) checkDisk(streams []checkedStream) {
	const check = "disk"
	dir, missing := existing(c.settings.RecordingDirectory)
	free, total, err := c.o.diskFree(dir)
	if err != nil {
		c.bad(check, sentence(err))
		return
	}
	volatile, fault := fileSystemOf(dir)
	if fault != "" || volatile && c.o.Unit != nil {
		c.bad(check, cmp.Or(fault, fmt.Sprintf("%s: %s is in memory (tmpfs), so a restart of the hub loses the recordings: name another.",
			settings.EnvRecordingDirectory, dir)))
		return
	}
	store := checkedStore{Store: noMedia{}, free: free, total: total}
	if !missing {
		if store.Store, err = segment.OpenReadOnly(segment.Options{Dir: dir}); err != nil {
			c.bad(check, sentence(err))
			return
		}
	}
	keeper := c.previewDeletion(store, streams)
	if text := settings.ReserveTooLarge(c.settings.MinFreeDisk, c.settings.RecordingDirectory, total); text != "" {
		c.bad(check, text+".")
		return
	}
	room, _ := keeper.Room()
	forecast := keeper.DiskForecast()
	need := diskNeedOf(streams)
	text := fmt.Sprintf("There is room for %s of recordings in %s", humanize.Bytes(room), dir)
	if need.perDay > 0 {
		text += fmt.Sprintf(": %s of what the cameras send now (%s a day)", humanize.Days(forecast.Days), humanize.Bytes(int64(need.perDay)))
	}
	if volatile {
		text += ", which is in memory (tmpfs) and empty after a restart"
	}
	next := c.filledText(room, free, total)
	if forecast.NextBytes > 0 {
		next += fmt.Sprintf(" The next pass deletes %s, of which %s are not uploaded.", humanize.Bytes(forecast.NextBytes),
			humanize.Bytes(forecast.NextNotUploaded))
	}
	switch {
	case need.limits > room:
		c.bad(check, fmt.Sprintf("%s, but the streams may take %s: lower MaxLocalMediaSizeInMB, or use a larger disk.%s", text,
			humanize.Bytes(need.limits), next))
	case need.perDay > 0 && forecast.Days < need.keepDays:
		c.bad(check, fmt.Sprintf("%s, but stream %s is to be kept for %s: "+
			"lower EdgeRetentionInHours or the cameras' bitrates, or use a larger disk.%s", text, need.keeper, humanize.Days(need.keepDays), next))
	case need.perDay > 0 && forecast.Days < 1:
		c.bad(check, text+", so an outage of a day loses media: lower the cameras' bitrates, or use a larger disk."+next)
	default:
		c.good(check, text+"."+next)
	}
}

// previewDeletion returns a keeper that knows what the agent's own knows, and deletes nothing.
func (c *checker) previewDeletion(store retention.Store, streams []checkedStream) *retention.Keeper {
	parts, orphans := health.NewRegistry(c.o.Now), jobspec.Orphans()
	keeper := retention.New(retention.Options{
		Store: store, Default: orphans, MinFree: c.settings.MinFreeDisk.Of, Health: parts, Now: c.o.Now,
		Policies: c.settings.PoliciesFile(),
	})
	for _, s := range streams {
		policy := orphans
		if !s.invalid {
			policy = retention.Policy(s.wanted.Keep)
		}
		keeper.SetPolicy(s.name, policy)
		parts.Component(s.name, health.JobRecorder).Gauge(health.BitrateBPS).Set(int64(float64(s.bitrate) * s.share))
	}
	keeper.JudgeClock()
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

// Misdated implements retention.Store.
func (noMedia) Misdated(string) []segment.Misdated { return nil }

// NewestBefore implements retention.Store.
func (noMedia) NewestBefore(string, time.Time) time.Time { return time.Time{} }

// SameDisk implements retention.Store.
func (noMedia) SameDisk(string) bool { return true }

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
		keep := s.wanted.Keep
		need.limits += keep.MaxBytes
		need.perDay += float64(s.bitrate) / 8 * (24 * time.Hour).Seconds() * s.share
		// Only who names a time wants it: the default is just the longest there is.
		if days := keep.MaxAge.Hours() / 24; s.namesAge && keep.MaxBytes == 0 && !keep.DeleteAfterUpload && days > need.keepDays {
			need.keepDays, need.keeper = days, s.name
		}
	}
	return need
}

func diskFree(dir string) (free, total uint64, err error) {
	if free, total, err = segment.FreeSpace(dir); err != nil {
		return 0, 0, fmt.Errorf("the free space of %s cannot be read: %w", dir, err)
	}
	return free, total, nil
}

// filledText says that other files fill the disk so that its reserve cannot be kept free; "" when it can. The setting is
// not called wrong: it may be the one thing that is right.
func (c *checker) filledText(room int64, free, total uint64) string {
	if room > 0 || c.settings.MinFreeDisk == (retention.Reserve{}) {
		return ""
	}
	return fmt.Sprintf(" %s keeps %s free, but only %s of the disk are free apart from recordings: nothing that is not uploaded is "+
		"deleted for it; delete other files on the disk, or lower it.",
		settings.EnvMinFreeDisk, humanize.Bytes(int64(c.settings.MinFreeDisk.Of(total))),
		humanize.Bytes(int64(free)))
}

// noDisks are file systems that hold no files of users, by their number in statfs(2).
var noDisks = map[uint32]string{
	unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", unix.CGROUP_SUPER_MAGIC: "cgroup", unix.CGROUP2_SUPER_MAGIC: "cgroup2",
	unix.DEVPTS_SUPER_MAGIC: "devpts", unix.DEBUGFS_MAGIC: "debugfs", unix.TRACEFS_MAGIC: "tracefs", unix.SECURITYFS_MAGIC: "securityfs",
	unix.BPF_FS_MAGIC: "bpf", unix.SQUASHFS_MAGIC: "squashfs", unix.ISOFS_SUPER_MAGIC: "iso9660",
}

// fileSystemOf reports whether a directory is in memory only, and what is wrong with recording there.
func fileSystemOf(dir string) (volatile bool, fault string) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return false, fmt.Sprintf("%s: the file system of %s cannot be determined: %s.", settings.EnvRecordingDirectory, dir, err)
	}
	number := uint32(fs.Type)
	if name, found := noDisks[number]; found {
		return false, fmt.Sprintf("%s: %s is on a file system of the kind %s, on which nothing can be recorded: name a directory on a disk.",
			settings.EnvRecordingDirectory, dir, name)
	}
	return number == unix.TMPFS_MAGIC || number == unix.RAMFS_MAGIC, ""
}
