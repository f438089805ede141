package logfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// A log whose file or directory somebody removed continues in a new one, with the modes of the old.
func TestTheLogComesBackByItself(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(dir, file string) error{
		"file removed":      func(_, file string) error { return os.Remove(file) },
		"directory removed": func(dir, _ string) error { return os.RemoveAll(dir) },
		"file moved":        func(_, file string) error { return os.Rename(file, file+".old") },
		"file replaced": func(_, file string) error {
			return errors.Join(os.Remove(file), os.WriteFile(file, []byte("x\n"), 0o640))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "log")
			file := filepath.Join(dir, fileName)
			f, err := Open(settings.Log{Directory: dir, MaxFileSizeMB: 1, RolloverCount: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			write := func(line string) {
				t.Helper()
				f.checked = time.Time{} // a second has passed
				if _, err := f.Write([]byte(line + "\n")); err != nil {
					t.Fatal(err)
				}
			}
			write("one")
			write("two")
			if err := harm(dir, file); err != nil {
				t.Fatal(err)
			}
			write("three")
			data, err := os.ReadFile(file)
			if want := "three\n"; err != nil || string(data[max(0, len(data)-len(want)):]) != want {
				t.Errorf("%q, %v", data, err)
			}
			if info, err := os.Stat(file); err != nil || info.Mode() != fileMode {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != directoryMode {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		})
	}
}
