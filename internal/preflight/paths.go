package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// unwritable says why a directory cannot be written to, or made.
func unwritable(dir string) string {
	at, missing := existing(dir)
	info, err := os.Stat(at)
	switch {
	case err != nil:
		return fmt.Sprintf("%s cannot be examined: %s.", at, health.Reason(err))
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

// existing returns the directory, or the nearest one above it that exists.
func existing(dir string) (at string, missing bool) {
	at = filepath.Clean(dir)
	for {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return at, missing
		}
		at, missing = filepath.Dir(at), true
	}
}
