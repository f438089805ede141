package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/crcline"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// facts are what a user of a journal knows: the last ones of 20.
type facts struct {
	*Journal
	known  []string
	wholes int // how often all were asked for
}

func (f *facts) whole() (lines []byte) {
	f.wholes++
	for _, fact := range f.known {
		lines = crcline.Append(lines, []byte(fact))
	}
	return lines
}

func (f *facts) add(fact string) error {
	if f.known = append(f.known, fact); len(f.known) > 20 {
		f.known = f.known[1:]
	}
	return f.Note(crcline.Append(nil, []byte(fact)), f.whole)
}

// read is what another run finds, the last ones of 20.
func read(t *testing.T, path string) (found []string) {
	t.Helper()
	must(t, New(atomicfile.OS{}, path).Read(func(body []byte) { found = append(found, string(body)) }))
	return found[max(0, len(found)-20):]
}

// failing is a disk on which opening or writing fails while a test says so.
type failing struct {
	atomicfile.OS
	open, write *bool
}

var errFull = errors.New("no space left on device")

func (f failing) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	if *f.open {
		return nil, errFull
	}
	file, err := f.OS.OpenFile(name, flag, mode)
	return half{file, f.write}, err
}

// half writes half of each text, as on a disk that becomes full.
type half struct {
	atomicfile.File
	on *bool
}

func (h half) WriteAt(p []byte, at int64) (int, error) {
	if !*h.on {
		return h.File.WriteAt(p, at)
	}
	n, err := h.File.WriteAt(p[:len(p)/2], at)
	return n, errors.Join(err, errFull)
}

// TestWhatIsNotedIsReadWhateverHappensToTheFile: after each mishap the next fact is noted, with all before it.
func TestWhatIsNotedIsReadWhateverHappensToTheFile(t *testing.T) {
	t.Parallel()
	for name, mishap := range map[string]func(path string) error{
		"nothing":  func(string) error { return nil },
		"removed":  os.Remove,
		"emptied":  func(path string) error { return os.Truncate(path, 0) },
		"cut":      func(path string) error { return os.Truncate(path, 20) },
		"longer":   func(path string) error { return os.Truncate(path, 10_000) },
		"replaced": func(path string) error { return os.WriteFile(path, []byte("hello\n"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state", "facts")
			f := &facts{Journal: New(atomicfile.OS{}, path)}
			for i := range 5 {
				must(t, f.add(fmt.Sprint("before ", i)))
			}
			must(t, mishap(path))
			must(t, f.add("after"))
			if diff := cmp.Diff(f.known, read(t, path)); diff != "" {
				t.Error(diff)
			}
			if want := map[bool]int{true: 1, false: 2}[name == "nothing"]; f.wholes != want {
				t.Errorf("it was written as a whole %d times, want %d", f.wholes, want)
			}
		})
	}
}

// TestAFailedNoteIsMendedByTheNext, also when half a line was written, and after another start.
func TestAFailedNoteIsMendedByTheNext(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]bool{"the same run": false, "after a start": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "facts")
			open, write := false, false
			disk := failing{open: &open, write: &write}
			f := &facts{Journal: New(disk, path)}
			must(t, f.add("first"))
			for _, fault := range []*bool{&open, &write} {
				before := read(t, path)
				*fault = true
				if err := f.add("lost"); !errors.Is(err, errFull) {
					t.Errorf("a full disk reports %v", err)
				}
				*fault = false
				if diff := cmp.Diff(before, read(t, path)); diff != "" {
					t.Error(diff)
				}
				if start {
					f = &facts{Journal: New(disk, path)}
					must(t, f.Read(func(body []byte) { f.known = append(f.known, string(body)) }))
				}
				must(t, f.add("next"))
				if diff := cmp.Diff(f.known, read(t, path)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestAJournalStaysSmall: what is out of date goes, and each time the file is written again it has become much larger.
func TestAJournalStaysSmall(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "facts")
	f := &facts{Journal: New(unsynced{}, path)}
	largest := int64(0)
	for i := range 20_000 {
		must(t, f.add(fmt.Sprintf("%0100d", i)))
		largest = max(largest, f.Size())
	}
	if diff := cmp.Diff(f.known, read(t, path)); diff != "" || largest > RewriteAt || f.wholes > 12 {
		t.Errorf("up to %d bytes, written again %d times: %s", largest, f.wholes, diff)
	}
}

// unsynced is a disk whose syncs cost nothing.
type unsynced struct{ atomicfile.OS }

func (u unsynced) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	file, err := u.OS.OpenFile(name, flag, mode)
	return lazy{file}, err
}

type lazy struct{ atomicfile.File }

func (lazy) Sync() error { return nil }

// TestAnEmptyJournalIsNoFile: as long as there is nothing to note.
func TestAnEmptyJournalIsNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "facts")
	f := &facts{Journal: New(atomicfile.OS{}, path)}
	must(t, f.Note(nil, f.whole))
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a file")
	}
}

// TestADirectoryIsNoJournal: who opens it sets it aside.
func TestADirectoryIsNoJournal(t *testing.T) {
	t.Parallel()
	if err := New(atomicfile.OS{}, t.TempDir()).Read(func([]byte) {}); err == nil {
		t.Error("it is read")
	}
}

// FuzzLines: whatever a file has, each line that is read was complete, with the right sum.
func FuzzLines(f *testing.F) {
	f.Add([]byte("x\n\n00000000 {}\n"))
	f.Add(crcline.Append(crcline.Append(nil, []byte("a")), []byte("b")))
	f.Fuzz(func(t *testing.T, data []byte) {
		Lines(data, func(body []byte) {
			if line := crcline.Append(nil, body); !bytes.Contains(data, line) || slices.Contains(body, '\n') {
				t.Errorf("%q is read of %q", body, data)
			}
		})
	})
}
