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

// mounted reports whether a disk is mounted there. A mount point may also disappear with its disk.
func mounted(dir string) bool { return Device(dir) != 0 && mountPoint(dir) == dir }

// mountPoint returns the uppermost directory above dir, or dir itself, that is on the same disk.
func mountPoint(dir string) string {
	for {
		above := filepath.Dir(dir)
		if above == dir || Device(above) != Device(dir) {
			return dir
		}
		dir = above
	}
}

// Device returns the number of the disk that a directory is on.
func Device(dir string) uint64 {
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			return uint64(st.Dev)
		}
	}
	return 0
}

// Number returns a number for the disk that a directory is on: its device, but for the disk of the recordings, which keeps the number
// that it had first, also when it was unplugged and came back as another device.
func (v *Volume) Number(dir string) uint64 { return v.number(Device(dir)) }

func (v *Volume) number(device uint64) uint64 {
	now := v.replugged.Load()
	switch {
	case now == 0 || device == 0:
		return device
	case device == now:
		return v.device
	case device == v.device:
		return now // another disk has the number that the disk of the recordings had first
	}
	return device
}

// nearestDevice returns the device of a directory, or of its nearest parent that exists.
func nearestDevice(dir string) uint64 {
	for dir = absolute(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil || dir == filepath.Dir(dir) {
			return Device(dir)
		}
	}
}
