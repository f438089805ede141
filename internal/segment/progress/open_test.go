package progress_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
)

// counted is a file system that counts how many files are open, and how often a directory was synced.
type counted struct {
	atomicfile.OS
	open, dirs int
}

type countedFile struct {
	atomicfile.File
	all *counted
}

func (c *counted) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	f, err := c.OS.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	c.open++
	return countedFile{f, c}, nil
}

func (f countedFile) Close() error {
	f.all.open--
	return f.File.Close()
}

func (c *counted) SyncDir(name string) error {
	c.dirs++
	return c.OS.SyncDir(name)
}

// A stream that is uploaded on request has many segments of which a part is uploaded: none of them keeps a file open.
func TestASideFileIsOpenOnlyUntilItIsDurable(t *testing.T) {
	t.Parallel()
	dir, files := t.TempDir(), new(counted)
	all := make([]*progress.Progress, 100)
	note := func(p *progress.Progress, second int) {
		t.Helper()
		p.Add(fragment(second))
		if err := p.WritePersisted(fragment(second)); err != nil {
			t.Fatal(err)
		}
	}
	sync := func(p *progress.Progress) {
		t.Helper()
		if err := p.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	id := func(i int) layout.ID { return layout.ID{Start: key.Start + int64(i)*time.Minute.Milliseconds()} }
	for i := range all {
		all[i] = progress.New(files, dir, id(i))
		note(all[i], 0)
		sync(all[i])
	}
	if files.open != 0 || files.dirs != len(all) {
		t.Fatalf("%d files are open, and directories were synced %d times", files.open, files.dirs)
	}
	p, path := all[7], filepath.Join(dir, layout.ProgressName(id(7)))
	note(p, 1)
	if files.open != 1 {
		t.Errorf("%d files are open while a line is not durable", files.open)
	}
	sync(p)
	if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), "\n") != 2 {
		t.Errorf("the side file has %q, %v", text, err)
	}
	if files.open != 0 || files.dirs != len(all) {
		t.Errorf("%d files are open, and directories were synced %d times", files.open, files.dirs)
	}
	// Somebody removes the file: it is there again with the next line, and its name is made durable again.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	note(p, 2)
	sync(p)
	if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), "\n") != 1 || files.dirs != len(all)+1 {
		t.Errorf("the side file has %q, %v; directories were synced %d times", text, err, files.dirs)
	}
	if err := p.End(); err != nil || files.open != 0 {
		t.Errorf("%d files are open at the end: %v", files.open, err)
	}
}
