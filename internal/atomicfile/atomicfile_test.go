package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// noted is the real file system, with a list of the steps and one step that fails.
type noted struct {
	OS
	fails string
	steps []string
}

var errPlanted = errors.New("planted")

func (n *noted) step(name string) error {
	n.steps = append(n.steps, name)
	if name == n.fails {
		return errPlanted
	}
	return nil
}

func (n *noted) OpenFile(name string, flag int, mode fs.FileMode) (File, error) {
	if err := n.step("open"); err != nil {
		return nil, err
	}
	f, err := n.OS.OpenFile(name, flag, mode)
	return notedFile{f, n}, err
}

func (n *noted) Rename(from, to string) error {
	return errors.Join(n.step("rename"), n.whenGood(func() error { return n.OS.Rename(from, to) }))
}

func (n *noted) SyncDir(dir string) error {
	return errors.Join(n.step("sync directory"), n.whenGood(func() error { return n.OS.SyncDir(dir) }))
}

func (n *noted) whenGood(do func() error) error {
	if n.steps[len(n.steps)-1] == n.fails {
		return nil
	}
	return do()
}

type notedFile struct {
	File
	n *noted
}

func (f notedFile) Write(p []byte) (int, error) {
	if err := f.n.step("write"); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f notedFile) Sync() error { return errors.Join(f.n.step("sync"), f.File.Sync()) }

func TestReplaceLeavesTheOldOrTheNew(t *testing.T) {
	t.Parallel()
	order := []string{"open", "write", "sync", "rename", "sync directory"}
	for _, fails := range append([]string{""}, order...) {
		t.Run("fails at "+fails, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			files := &noted{fails: fails}
			err := Replace(files, path, []byte("new"), 0o600)
			if (err != nil) != (fails != "") || (err != nil && !errors.Is(err, errPlanted)) {
				t.Errorf("it says %v", err)
			}
			want := "old"
			if fails == "" || fails == "sync directory" {
				want = "new"
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("the file holds %q (%v), want %q", got, err, want)
			}
			if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a torn file is left: %v", err)
			}
			if fails == "" && !slices.Equal(files.steps, order) {
				t.Errorf("the steps are %v, want %v", files.steps, order)
			}
		})
	}
}
