package volume

import (
	"os"
	"path/filepath"
	"syscall"
)

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// mounted reports whether a disk is mounted there. A mount point may also vanish with its disk.
func mounted(dir string) bool { return Device(dir) != 0 && mountPoint(dir) == dir }

// mountPoint returns the uppermost directory above dir, or dir itself, that lies on the same disk.
func mountPoint(dir string) string {
	for {
		above := filepath.Dir(dir)
		if above == dir || Device(above) != Device(dir) {
			return dir
		}
		dir = above
	}
}

// Device returns the number of the disk that a directory lies on.
func Device(dir string) uint64 {
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			return uint64(st.Dev)
		}
	}
	return 0
}

// nearestDevice is the device of a directory, or of the nearest above it that is there.
func nearestDevice(dir string) uint64 {
	for dir = absolute(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil || dir == filepath.Dir(dir) {
			return Device(dir)
		}
	}
}
