package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// diskText describes the file system of each directory, as df and mount do.
func diskText(setting, dir string) ([]byte, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s\n  directory   %s\n", setting, dir)
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return text.Bytes(), err
	}
	if real, err = filepath.Abs(real); err != nil {
		return text.Bytes(), err
	}
	info, err := os.Stat(real)
	if err != nil {
		return text.Bytes(), err
	}
	fmt.Fprintf(&text, "  is          %s, %s\n", real, info.Mode())
	var fs unix.Statfs_t
	if err := unix.Statfs(real, &fs); err != nil {
		return text.Bytes(), fmt.Errorf("the file system of %s cannot be queried: %w", real, err)
	}
	size := func(blocks uint64) string { return humanize.Bytes(int64(blocks) * int64(fs.Bsize)) }
	fmt.Fprintf(&text, "  size        %s, %s free, %s of it for the agent\n  files       %d, %d more may be made\n",
		size(fs.Blocks), size(fs.Bfree), size(fs.Bavail), fs.Files-fs.Ffree, fs.Ffree)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return text.Bytes(), err
	}
	fmt.Fprintf(&text, "  mount       %s\n", mountOf(string(mounts), real))
	return text.Bytes(), nil
}

// mountOf is the line of /proc/self/mountinfo of the file system that a path is on: of two at one point the later.
func mountOf(mounts, path string) (line string) {
	longest := -1
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for l := range strings.Lines(mounts) {
		fields := strings.Fields(l)
		if len(fields) < 5 {
			continue
		}
		point := strings.TrimSuffix(unescape.Replace(fields[4]), "/")
		if (path == point || strings.HasPrefix(path, point+"/")) && len(point) >= longest {
			line, longest = strings.TrimSpace(l), len(point)
		}
	}
	return line
}

// storeList lists the recordings.
func storeList(ctx context.Context, dir string) ([]byte, error) {
	var list bytes.Buffer
	lines := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return fmt.Errorf("the list ends early, as it took longer than %s", bundleDiskTime)
		}
		if err != nil {
			fmt.Fprintf(&list, "%s: %s\n", path, err)
			return nil
		}
		if lines++; lines > bundleStoreLines {
			fmt.Fprintln(&list, "and more")
			return fs.SkipAll
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&list, "%s\t%d\t%s\n", name, info.Size(), info.ModTime().UTC().Format(time.RFC3339))
		}
		return nil
	})
	return list.Bytes(), err
}
