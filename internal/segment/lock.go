package segment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const lockName = ".kvs-edge-agent.lock"

// codeLocked is that of a directory that another agent has.
const codeLocked = "store-locked"

// lock takes the recording directory for this process. The lock ends with the process, however it ends.
func lock(dir string) (*os.File, error) {
	// Not open for writing, so that nothing but a recording keeps the disk from being remounted.
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDONLY, fileMode)
	if err != nil {
		return nil, diskFault(dir, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(f.Name())
		_ = f.Close()
		return nil, health.UserFault(codeLocked, err,
			"Another agent (process %s) records to %s: stop it, or set AWS_KVS_EDGE_RECORDING_DIRECTORY to another directory.",
			strings.TrimSpace(string(holder)), dir)
	}
	if err == nil {
		// For people only: on a full or read-only disk the lock holds without it.
		_ = os.WriteFile(f.Name(), fmt.Appendln(nil, os.Getpid()), fileMode)
	}
	if err != nil {
		_ = f.Close()
		return nil, diskFault(dir, err)
	}
	return f, nil
}
