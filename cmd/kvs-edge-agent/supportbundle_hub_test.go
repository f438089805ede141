package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestTheEndOfAnOutputStartsWithALine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		most, lines int
		want        string
	}{
		"all of it":            {most: 100, lines: 3, want: "line 0\nline 1\nline 2\n"},
		"a little too much":    {most: 15, lines: 3, want: "line 1\nline 2\n"},
		"far too much":         {most: 15, lines: 9, want: "line 7\nline 8\n"},
		"nothing":              {most: 15, want: ""},
		"one line is too long": {most: 3, lines: 1, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &ending{most: c.most}
			for i := range c.lines {
				fmt.Fprintf(e, "line %d\n", i)
			}
			if got := string(e.text()); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestAProgramOfTheBundleIsStoppedInTime(t *testing.T) {
	t.Parallel()
	tool := filepath.Join(t.TempDir(), "tool")
	const script = "#!/bin/sh\ntrap 'echo the first part; exit 0' INT\necho started\nwhile :; do /bin/sleep 0.01; done\n"
	testtools.WriteProgram(t, tool, []byte(script), 0o700)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	text, err := outputOf(ctx, nil, tool)
	if string(text) != "started\nthe first part\n" || err == nil || err.Error() != "tool was stopped, as it took too long" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestTheMountOfADirectoryIsFound(t *testing.T) {
	t.Parallel()
	const mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n" +
		"2 1 8:2 / /mnt rw - ext4 /dev/sdb1 rw\n" +
		"3 1 8:3 / /mnt/my\\040disk rw - ext4 /dev/sdc1 rw\n" +
		"4 1 8:4 / /mnt rw - ext4 /dev/sdd1 rw\nshort\n"
	for path, want := range map[string]string{
		"/": "/dev/sda1", "/var/lib": "/dev/sda1", "/mntx": "/dev/sda1", "/mnt": "/dev/sdd1", "/mnt/x": "/dev/sdd1",
		"/mnt/my disk/x": "/dev/sdc1",
	} {
		if got := mountOf(mounts, path); !strings.Contains(got, want) {
			t.Errorf("%s is on %q, want %s", path, got, want)
		}
	}
}

func TestTheDisksOfTheBundle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	text, err := diskText("RECORDINGS", link)
	for _, want := range []string{"RECORDINGS\n", "directory   " + link, "drwx", " free, ", " - "} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("it lacks %q: %v\n%s", want, err, text)
		}
	}
	if text, err = diskText("STATE", filepath.Join(dir, "none")); err == nil || !strings.Contains(string(text), "none") {
		t.Errorf("without the directory: %v\n%s", err, text)
	}
}
