package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// LockFileName is the file that is locked while an agent has the directory.
const LockFileName = ".kvs-edge-agent.lock"

// lockNotes follows the process id in the lock file of an agent that notes the gaps within its segments. Versions that do
// not note gaps leave it out.
const lockNotes = "gaps"

// gapsNoted reports whether the agent that uses a directory, or used it last, notes the gaps within its segments.
func gapsNoted(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, LockFileName))
	return err == nil && slices.Contains(strings.Fields(string(data)), lockNotes)
}

// codeLocked is for a directory that another agent uses.
const codeLocked = "store-locked"

// lock takes the recording directory for this process. The lock ends with the process in any case.
func lock(dir string) (*os.File, error) {
	// Not opened for writing, so that only a recording keeps the disk from being remounted.
	f, err := os.OpenFile(filepath.Join(dir, LockFileName), os.O_CREATE|os.O_RDONLY, layout.FileMode)
	if err != nil {
		return nil, Fault(dir, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		data, _ := os.ReadFile(f.Name())
		holder, _, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
		_ = f.Close()
		return nil, health.UserFault(codeLocked, err,
			"Another agent (process %s) records to %s: stop it, or set AWS_KVS_EDGE_RECORDING_DIRECTORY to another directory.",
			holder, dir)
	}
	if err == nil {
		// For people, and for gapsNoted: on a full or read-only disk the lock works without it.
		_ = os.WriteFile(f.Name(), fmt.Appendln(nil, os.Getpid(), lockNotes), layout.FileMode)
	}
	if err != nil {
		_ = f.Close()
		return nil, Fault(dir, err)
	}
	return f, nil
}

// unlock frees the recording directory. Closing the file would not suffice: a process that is just being started has it open, too,
// until it becomes another program.
func unlock(f *os.File) error { return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close()) }
