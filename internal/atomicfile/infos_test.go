package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestInfosAreThoseOfTheirEntries(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, infosEach, infosEach + 1, 3 * infosEach * infosAtOnce / 2} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i := range n {
				name := fmt.Sprintf("%05d%s", i, []string{".mkv", ".txt"}[i%2])
				if err := os.WriteFile(filepath.Join(dir, name), make([]byte, i), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			entries, err := OS{}.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if n > 2 {
				if err := os.Remove(filepath.Join(dir, entries[2].Name())); err != nil {
					t.Fatal(err)
				}
			}
			list := WithInfo(entries, ".mkv")
			if len(list) != n {
				t.Fatalf("%d entries of %d", len(list), n)
			}
			if err := os.RemoveAll(dir); err != nil { // what is not read by now cannot be read
				t.Fatal(err)
			}
			for i, e := range list {
				info, err := e.Info()
				switch {
				case e.Name() != entries[i].Name():
					t.Errorf("%s is where %s was", e.Name(), entries[i].Name())
				case i == 2 || i%2 == 1:
					if !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s has Info (%v)", e.Name(), err)
					}
				case err != nil || info.Size() != int64(i):
					t.Errorf("%s has %v (%v)", e.Name(), info, err)
				}
			}
		})
	}
}
