package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

func TestSizesAreThoseOfTheirEntries(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, sizesEach, sizesEach + 1, 3 * sizesEach * sizesAtOnce / 2} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i := range n {
				name := fmt.Sprintf("%05d%s", i, []string{".mkv", ".txt"}[i%2])
				if err := os.WriteFile(filepath.Join(dir, name), make([]byte, i+1), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			entries, err := atomicfile.OS{}.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if n > 2 {
				if err := os.Remove(filepath.Join(dir, entries[2].Name())); err != nil {
					t.Fatal(err)
				}
			}
			sizes := Sizes(entries, ".mkv")
			if len(sizes) != n {
				t.Fatalf("%d sizes of %d", len(sizes), n)
			}
			for i, s := range sizes {
				switch {
				case i == 2:
					if !errors.Is(s.Err, fs.ErrNotExist) {
						t.Errorf("a file that is gone has %+v", s)
					}
				case i%2 == 1:
					if s != (Size{}) {
						t.Errorf("%s has %+v, and was not asked for", entries[i].Name(), s)
					}
				case s != Size{Bytes: int64(i + 1)}:
					t.Errorf("%s has %+v", entries[i].Name(), s)
				}
			}
		})
	}
}
