package testtools

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Mounted makes a file system of that kind on a loop device and mounts it, until the test ends. The test is skipped where the machine
// cannot do that.
func Mounted(t *testing.T, kind string, size int64) (dir string) {
	t.Helper()
	dir = t.TempDir()
	command := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Skipf("this machine cannot do %s: %s %v: %v, %s", kind, name, args, err, out)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a file system")
	}
	if kind == "tmpfs" {
		command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "none", dir)
	} else {
		image := filepath.Join(t.TempDir(), "disk")
		if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
			t.Fatal(err)
		}
		command("mkfs."+kind, "-q", image)
		command("mount", "-o", "loop", image, dir)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v, %s", err, out)
		}
	})
	return dir
}
