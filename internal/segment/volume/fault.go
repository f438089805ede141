package volume

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// CodeDisk is the code of faults of the recording disk.
const CodeDisk = "disk"

// ErrGone means that the disk of the recording directory is gone: it was unplugged or unmounted.
var ErrGone = errors.New("another disk is mounted there, or none")

// Fault turns an error of the file system into a sentence. It returns a *health.Fault unchanged.
func Fault(dir string, err error) error {
	if err == nil {
		return nil
	}
	var already *health.Fault
	if errors.As(err, &already) {
		return err
	}
	fault := func(format string, args ...any) error { return health.SystemFault(CodeDisk, err, format, args...) }
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fault("The disk of %s is full: free some space, or lower MaxLocalMediaSizeInMB or EdgeRetentionInHours.", dir)
	case errors.Is(err, syscall.EDQUOT):
		return fault("The disk quota of %s is used up: raise it, or lower MaxLocalMediaSizeInMB.", dir)
	case errors.Is(err, syscall.EROFS):
		return fault("The disk of %s is read-only: it may be damaged; check it and mount it writable.", dir)
	case errors.Is(err, syscall.EIO):
		return fault("The disk of %s reports read or write errors: replace it.", dir)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return fault("A file in %s cannot be opened: close others.", dir) // the fault itself says what the hub lacks
	case errors.Is(err, syscall.ENOTDIR):
		return health.UserFault(CodeDisk, err, "%s cannot be a directory, as a file is in its way: name another place, or move the file away.",
			dir)
	case errors.Is(err, fs.ErrPermission):
		return health.UserFault(CodeDisk, err, "The agent may not write to %s: make it writable for the agent's user.", dir)
	case errors.Is(err, fs.ErrNotExist):
		return fault("The recording directory %s is gone: mount its disk.", dir)
	default:
		return fault("The disk of %s failed: %v.", dir, err)
	}
}

// ReadFault turns an error of permissions into a sentence for a person who reads beside the agent.
func ReadFault(err error) error {
	var system *fs.PathError
	if errors.Is(err, fs.ErrPermission) && errors.As(err, &system) {
		return health.UserFault(CodeDisk, err,
			"You may not read %s: run this as root or as a member of the agent's group, kvs-edge-agent.", system.Path)
	}
	return err
}

// advice returns what to do about recordings that cannot be read.
func advice(causes []error) string {
	var advice []string
	general := "check the disk, and the rights of the agent's user"
	for _, cause := range causes {
		say := general
		if errors.Is(cause, ErrDangling) {
			say = strings.TrimSuffix(strings.TrimPrefix(health.FaultOf(cause, CodeDisk).Text, "The disk"), ".")
			say = "the disk" + say
		}
		advice = append(advice, say)
	}
	slices.Sort(advice)
	return strings.Join(slices.Compact(advice), "; ")
}
