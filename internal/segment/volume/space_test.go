package volume

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/flush"
)

// put sets a number whose size depends on the processor.
func put[T int32 | int64](to *T, n uint32) { *to = T(n) }

// Parts of one file system share its space, whatever their devices are; others do not.
func TestPartsOfOneFileSystemShareItsSpace(t *testing.T) {
	t.Parallel()
	of := func(kind uint32, file, part int32) unix.Statfs_t {
		st := unix.Statfs_t{Fsid: unix.Fsid{Val: [2]int32{file, part}}}
		put(&st.Type, kind)
		return st
	}
	for _, tc := range []struct {
		name string
		a, b unix.Statfs_t
		want bool
	}{
		{"subvolumes", of(unix.BTRFS_SUPER_MAGIC, 7, 256), of(unix.BTRFS_SUPER_MAGIC, 7, 257), true},
		{"two of btrfs", of(unix.BTRFS_SUPER_MAGIC, 7, 256), of(unix.BTRFS_SUPER_MAGIC, 8, 256), false},
		{"others", of(unix.EXT4_SUPER_MAGIC, 7, 1), of(unix.EXT4_SUPER_MAGIC, 7, 2), false},
	} {
		if got := sameBtrfs(tc.a, tc.b); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
	zfs := func(minor uint32, source string) flush.Mount {
		return flush.Mount{Device: unix.Mkdev(0, minor), Type: "zfs", Source: source}
	}
	mounts := []flush.Mount{
		{Device: unix.Mkdev(0, 50), Type: "ext4", Source: "tank"}, zfs(51, "tank"), zfs(52, "tank/cameras/door"), zfs(53, "tank2/door"),
	}
	for minor, want := range map[uint32]string{50: "", 51: "tank", 52: "tank", 53: "tank2", 54: ""} {
		if got := poolOf(mounts, unix.Mkdev(0, minor)); got != want {
			t.Errorf("device 0:%d is of %q, want %q", minor, got, want)
		}
	}
	room := func(blocks uint64) unix.Statfs_t { return unix.Statfs_t{Bsize: 4096, Bavail: blocks} }
	if !sameRoom(room(100_000), room(100_100)) || sameRoom(room(100_000), room(90_000)) {
		t.Error("a dataset with a quota is not told from one without")
	}
}
