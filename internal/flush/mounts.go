package flush

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is a mounted file system, or a directory of one that is mounted elsewhere. Source: proc_pid_mountinfo(5).
type Mount struct {
	Device uint64
	Root   string // the directory of the file system that is mounted; "/": all of it
	Point  string // where
	Type   string
	Source string
}

// Mounts returns what this process has mounted, in the order in which it was.
func Mounts() ([]Mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	return parseMounts(string(data)), err
}

// parseMounts leaves out lines that it does not understand.
func parseMounts(text string) (mounts []Mount) {
	for line := range strings.Lines(text) {
		mount, system, _ := strings.Cut(line, " - ")
		at, of := strings.Fields(mount), strings.Fields(system)
		if len(at) < 5 || len(of) < 2 {
			continue
		}
		first, second, _ := strings.Cut(at[2], ":")
		major, err := strconv.ParseUint(first, 10, 32)
		if err != nil {
			continue
		}
		minor, err := strconv.ParseUint(second, 10, 32)
		if err != nil {
			continue
		}
		mounts = append(mounts, Mount{
			Device: unix.Mkdev(uint32(major), uint32(minor)),
			Root:   unescape(at[3]), Point: unescape(at[4]), Type: unescape(of[0]), Source: unescape(of[1]),
		})
	}
	return mounts
}

// unescape replaces the octal numbers that stand for blanks, line breaks and backslashes.
func unescape(s string) string {
	var text strings.Builder
	for {
		before, after, ok := strings.Cut(s, `\`)
		text.WriteString(before)
		if !ok {
			return text.String()
		}
		s = after
		if len(s) >= 3 {
			if n, err := strconv.ParseUint(s[:3], 8, 8); err == nil {
				text.WriteByte(byte(n))
				s = s[3:]
				continue
			}
		}
		text.WriteByte('\\')
	}
}

// syncable are the file systems of one disk of which syncfs makes everything durable and has a device number that all files share.
// Parts of a btrfs or ZFS have numbers of their own and one disk together, and what a FUSE or a server keeps in memory is not known.
var syncable = map[string]bool{
	"ext2": true, "ext3": true, "ext4": true, "xfs": true, "f2fs": true, "vfat": true, "exfat": true, "ntfs3": true, "tmpfs": true,
}

// place is a directory as it is seen where all of its file system is mounted.
type place struct{ dir, top string }

// places returns where a directory lies below the top of its file system. There is none when only a part of that is mounted here, as in
// a container: nobody sees the rest.
func places(mounts []Mount, dir string, device uint64) (list []place) {
	var of *Mount // the one that dir is seen through: of two at one point the later
	for i, m := range mounts {
		if below(dir, m.Point) && (of == nil || len(m.Point) >= len(of.Point)) {
			of = &mounts[i]
		}
	}
	if of == nil || of.Device != device || !syncable[of.Type] {
		return nil
	}
	within := filepath.Join(of.Root, strings.TrimPrefix(dir, of.Point))
	for _, m := range mounts {
		if m.Device == device && m.Root == "/" {
			list = append(list, place{filepath.Join(m.Point, within), m.Point})
		}
	}
	return list
}

// below reports whether a path is that of a directory, or lies in it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
