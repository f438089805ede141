// Package volume owns the recording directory as a whole: its disk and whether that is mounted, its lock, its format, and
// where in it a stream has its directory. It must not know segments.
package volume

import (
	"os"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/room"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Options are the settings of a Volume. All but the optional ones are required.
type Options struct {
	Dir    string
	Log    *zap.Logger
	Health *health.Component
	Files  atomicfile.FileSystem
	// Memory is a file on another disk than Dir. It records that Dir is a mount point. Optional.
	Memory string
	// Version is that of the program, for messages. Optional.
	Version string
	// Reserved are files and directories that no stream may use. Optional.
	Reserved []string
}

// Volume is the recording directory. Safe for concurrent use.
type Volume struct {
	// Unread has the directories of streams that could not be read.
	Unread *Unread
	// Results are the last results of syncs and repairs.
	Results *Results
	// Watch ends the conditions of directories when their cause is gone.
	Watch *Watch

	dir      string
	log      *zap.Logger
	health   *health.Component
	files    atomicfile.FileSystem
	memory   string
	version  string
	reserved []string

	lock      atomic.Pointer[os.File] // nil when read-only
	mark      string                  // of the disk; "" when read-only
	device    uint64                  // of dir when it was opened: its number for as long as it is open
	replugged atomic.Uint64           // the device of dir since its disk came back as another one; 0: it did not
	gapsNoted bool                    // the agent that used the directory before notes gaps
	format    atomic.Int32            // of the stored files
	forming   *signal.Turn            // held to change format
	proving   chan struct{}           // held while files of the recording directory are created again

	room room.Total // of the files that are being written

	mu      sync.Mutex
	placing map[string]chan struct{} // by the lower case of names that get their directory now; closed then; guarded by mu
}

// New returns a volume that is not open yet.
func New(o Options) *Volume {
	return &Volume{
		Unread: newUnread(o.Dir, o.Log, o.Health), Results: newResults(o.Log, o.Health), Watch: newWatch(o.Files, o.Health),
		dir: o.Dir, log: o.Log, health: o.Health, files: o.Files, memory: o.Memory, version: o.Version, reserved: o.Reserved,
		forming: signal.NewTurn(), proving: make(chan struct{}, 1), placing: make(map[string]chan struct{}),
	}
}

// Open takes the directory for this process; it is created when it is missing. It fails with a *health.Fault when another
// agent uses it, when its disk is not mounted or fails, or when a newer version has written the recordings.
func (v *Volume) Open() error {
	if err := v.expectMark(); err != nil {
		return err
	}
	if err := v.expectFormat(); err != nil {
		return err
	}
	if !v.exists(v.dir) {
		if err := v.files.MkdirAll(v.dir, layout.DirectoryMode); err != nil {
			return Fault(v.dir, err)
		}
	}
	v.gapsNoted = gapsNoted(v.dir) // before the lock file states it for this process
	held, err := lock(v.dir)
	if err != nil {
		return err
	}
	v.lock.Store(held)
	if err := v.claim(); err != nil {
		_ = unlock(held)
		return err
	}
	v.device = Device(v.dir)
	return nil
}

// OpenReadOnly opens the directory for reading, with or without a running agent. Nothing is changed in it.
func (v *Volume) OpenReadOnly() error {
	v.gapsNoted, v.device = gapsNoted(v.dir), Device(v.dir)
	return v.expectFormat()
}

// Close releases the directory.
func (v *Volume) Close() error {
	if held := v.lock.Load(); held != nil {
		return unlock(held)
	}
	return nil
}

// GapsNoted reports whether the agent that used the directory before notes the gaps within its segments.
func (v *Volume) GapsNoted() bool { return v.gapsNoted }

// SameDisk reports whether deleting in a directory on that device frees space in the recording directory. shared is the
// result of SharesSpace for the two, and device that of Number.
func (v *Volume) SameDisk(device uint64, shared bool) bool { return device == v.device || shared }

func (v *Volume) exists(path string) bool {
	_, err := v.files.Stat(path)
	return err == nil
}
