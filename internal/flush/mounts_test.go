package flush

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountsAreRead(t *testing.T) {
	t.Parallel()
	const text = `22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
36 22 8:17 / /mnt/my\040disk\134x rw shared:9 master:1 - xfs /dev/sdb1 rw
40 22 8:17 /rec\011tab /rec rw - xfs /dev/sdb1 rw
41 22 0:51 / /tank rw - zfs tank/door rw,xattr
a line of something else
42 22 8:x / /bad rw - ext4 /dev/sdc1 rw
43 22 8:33 / /short rw - ext4
44 22 8:49 / /odd\9\04 rw - ext4 \
`
	want := []Mount{
		{unix.Mkdev(8, 2), "/", "/", "ext4", "/dev/sda2"},
		{unix.Mkdev(8, 17), "/", `/mnt/my disk\x`, "xfs", "/dev/sdb1"},
		{unix.Mkdev(8, 17), "/rec\ttab", "/rec", "xfs", "/dev/sdb1"},
		{unix.Mkdev(0, 51), "/", "/tank", "zfs", "tank/door"},
		{unix.Mkdev(8, 49), "/", `/odd\9\04`, "ext4", `\`},
	}
	if got := parseMounts(text); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	mounts, err := Mounts()
	if err != nil || !slices.ContainsFunc(mounts, func(m Mount) bool { return m.Point == "/" }) {
		t.Errorf("of this process: %+v, %v", mounts, err)
	}
}

// Where a directory lies below the top of its file system, of all that may be mounted there.
func TestAFileSystemIsJudgedWhereAllOfItIsMounted(t *testing.T) {
	t.Parallel()
	const (
		root = "22 1 8:2 / / rw - ext4 /dev/sda2 rw\n"
		disk = "36 22 8:17 / /disk rw - ext4 /dev/sdb1 rw\n"
	)
	for _, tc := range []struct {
		name, mounts, dir string
		device            uint64
		want              []place
	}{
		{"a disk", root + disk, "/disk", unix.Mkdev(8, 17), []place{{"/disk", "/disk"}}},
		{"a directory of a disk", root + disk, "/disk/hub/rec", unix.Mkdev(8, 17), []place{{"/disk/hub/rec", "/disk"}}},
		{"a directory with almost that name", root + disk, "/disks/rec", unix.Mkdev(8, 2), []place{{"/disks/rec", "/"}}},
		{"a directory mounted elsewhere", root + disk + "40 22 8:17 /rec /rec rw - ext4 /dev/sdb1 rw\n", "/rec/x", unix.Mkdev(8, 17),
			[]place{{"/disk/rec/x", "/disk"}}},
		{"a directory mounted on itself, as systemd does", root + disk + "40 36 8:17 /rec /disk/rec rw - ext4 /dev/sdb1 rw\n", "/disk/rec",
			unix.Mkdev(8, 17), []place{{"/disk/rec", "/disk"}}},
		{"a directory of a disk that is not mounted here", root + "40 22 8:17 /rec /rec rw - ext4 /dev/sdb1 rw\n", "/rec",
			unix.Mkdev(8, 17), nil},
		{"a disk mounted twice", root + disk + "40 22 8:17 / /rec rw - ext4 /dev/sdb1 rw\n", "/rec", unix.Mkdev(8, 17),
			[]place{{"/disk", "/disk"}, {"/rec", "/rec"}}},
		{"a disk hidden by another one", root + disk + "40 22 8:33 / /disk rw - ext4 /dev/sdc1 rw\n", "/disk", unix.Mkdev(8, 33),
			[]place{{"/disk", "/disk"}}},
		{"another device than the mount's, as of a btrfs", root + disk, "/disk", unix.Mkdev(0, 41), nil},
		{"a btrfs", root + "40 22 0:41 / /disk rw - btrfs /dev/sdb1 rw\n", "/disk", unix.Mkdev(0, 41), nil},
		{"a ZFS", root + "40 22 0:41 / /disk rw - zfs tank rw\n", "/disk", unix.Mkdev(0, 41), nil},
		{"an overlay", "40 1 0:41 / / rw - overlay overlay rw\n", "/rec", unix.Mkdev(0, 41), nil},
		{"a server", root + "40 22 0:41 / /disk rw - nfs4 nas:/rec rw\n", "/disk", unix.Mkdev(0, 41), nil},
		{"a FUSE", root + "40 22 8:17 / /disk rw - fuseblk /dev/sdb1 rw\n", "/disk", unix.Mkdev(8, 17), nil},
		{"nothing is known", "", "/disk", unix.Mkdev(8, 17), nil},
	} {
		if got := places(parseMounts(tc.mounts), tc.dir, tc.device); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func FuzzMounts(f *testing.F) {
	f.Add("22 1 8:2 / / rw shared:1 - ext4 /dev/sda2 rw\n", "/mnt/rec")
	f.Add(`36 22 8:17 /a\040b /mnt/my\134disk rw - xfs /dev/sdb1 rw`, `/mnt/my\disk`)
	f.Fuzz(func(t *testing.T, text, dir string) {
		mounts := parseMounts(text)
		if lines := strings.Count(text, "\n") + 1; len(mounts) > lines {
			t.Errorf("%d mounts in %d lines", len(mounts), lines)
		}
		dir = filepath.Clean("/" + dir)
		for _, m := range mounts {
			if m.Root == "" || m.Point == "" || m.Type == "" || m.Source == "" {
				t.Errorf("incomplete: %+v", m)
			}
			for _, p := range places(mounts, dir, m.Device) {
				if !below(p.dir, filepath.Clean(p.top)) {
					t.Errorf("%s is not below %s", p.dir, p.top)
				}
			}
		}
	})
}
