package volume

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/flush"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/room"
)

// Free returns the bytes that the agent may still use of the recording disk, with the room that its files have already, and its size.
func (v *Volume) Free() (free, total uint64, err error) {
	if err := v.Present(); err != nil {
		return 0, 0, err
	}
	before := v.room.Bytes()
	if free, total, err = FreeSpace(v.dir); err != nil {
		return 0, 0, fmt.Errorf("cannot ask for the free space: %w", Fault(v.dir, err))
	}
	return free + uint64(min(before, v.room.Bytes())), total, nil // room that was made meanwhile counts once
}

// RoomOf returns the total that the room of a file is part of: nil for one on another disk, which has none.
func (v *Volume) RoomOf(sameDisk bool) *room.Total {
	if sameDisk {
		return &v.room
	}
	return nil
}

// Commit makes the file system of the recordings complete what it has deferred, also the freeing of deleted files. Only the
// caller waits for the disk.
func (v *Volume) Commit() error {
	dir, err := os.Open(v.dir)
	if err != nil {
		return Fault(v.dir, err)
	}
	defer func() { _ = dir.Close() }()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return Fault(v.dir, err)
	}
	return nil
}

// FreeSpace returns the bytes that the agent may still use of the disk that dir is on, and its size.
func FreeSpace(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	block := uint64(st.Bsize)
	return st.Bavail * block, st.Blocks * block, nil
}

// magicZFS is the type that statfs returns for ZFS, which is not part of Linux.
const magicZFS = 0x2fc12fc1

// SharesSpace reports whether deleting files in one directory frees space in the other, though their devices differ, as
// those of a btrfs file system's subvolumes and of a ZFS pool's datasets do.
func SharesSpace(a, b string) bool {
	var first, second unix.Statfs_t
	if unix.Statfs(a, &first) != nil || unix.Statfs(b, &second) != nil {
		return false
	}
	switch {
	case sameBtrfs(first, second):
		return true
	case uint32(first.Type) != magicZFS || uint32(second.Type) != magicZFS:
		return false
	}
	mounts, err := flush.Mounts()
	if err != nil {
		return false
	}
	pool := poolOf(mounts, Device(a))
	return pool != "" && pool == poolOf(mounts, Device(b)) && sameRoom(first, second)
}

// sameBtrfs reports whether both are on one btrfs file system: the first half of the number is that of the file system, and
// only the other one depends on the subvolume. Source: Linux, fs/btrfs/super.c, btrfs_statfs.
func sameBtrfs(a, b unix.Statfs_t) bool {
	return uint32(a.Type) == unix.BTRFS_SUPER_MAGIC && a.Type == b.Type && a.Fsid.Val[0] == b.Fsid.Val[0]
}

// sameRoom reports whether both have the same free space, except for data that is written just now: deletions in one dataset
// do not help another that has a quota.
func sameRoom(a, b unix.Statfs_t) bool {
	first, second := a.Bavail*uint64(a.Bsize), b.Bavail*uint64(b.Bsize)
	return max(first, second)-min(first, second) <= max(first, second)/64
}

// poolOf returns the ZFS pool of a device, "" when it is not on ZFS.
func poolOf(mounts []flush.Mount, device uint64) string {
	for _, m := range mounts {
		if m.Device == device && m.Type == "zfs" {
			pool, _, _ := strings.Cut(m.Source, "/")
			return pool
		}
	}
	return ""
}
