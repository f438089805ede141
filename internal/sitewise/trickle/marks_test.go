package trickle

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

var begin = time.Date(2026, 3, 29, 0, 59, 0, 0, time.UTC)

func at(second int) time.Time { return begin.Add(time.Duration(second) * time.Second) }

// markOf is that of a fragment of 10 s.
func markOf(second int) Mark {
	return Mark{At: at(second).UnixMilli(), End: at(second+10).UnixMilli() - 40}
}

func opened(t interface {
	Helper()
	Fatal(...any)
}, dir string) *Marks {
	t.Helper()
	m, err := Open(dir, fast{}, func() time.Time { return begin.Add(time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMarksInAnyOrder: whatever is marked and asked for, and however often the agent is killed, also in the middle of a write, exactly the
// fragments have a mark that were sent and that nobody asked for since.
func TestMarksInAnyOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		m := opened(t, dir)
		want := map[string]map[int]bool{"door": {}, "yard": {}}
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			stream := rapid.SampledFrom([]string{"door", "yard"}).Draw(t, "stream")
			slot := rapid.IntRange(0, 20).Draw(t, fmt.Sprint("slot ", step))
			switch rapid.SampledFrom([]string{"add", "add", "lift", "kill", "tear"}).Draw(t, fmt.Sprint("step ", step)) {
			case "add":
				if err := m.Add(stream, markOf(60*slot)); err != nil {
					t.Fatal(err)
				}
				want[stream][slot] = true
			case "lift":
				from := rapid.IntRange(-30, 1300).Draw(t, "from")
				to := from + rapid.IntRange(-5, 300).Draw(t, "length") // a wrong one lifts nothing
				if err := m.Lift(stream, at(from), at(to)); err != nil {
					t.Fatal(err)
				}
				for one := range want[stream] {
					if first := 60 * one; from < first+10 && to > first && to > from {
						delete(want[stream], one)
					}
				}
			case "tear": // the power went while a line was written
				if f, err := os.OpenFile(filepath.Join(dir, File), os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
					_, _ = f.WriteString(`0badc0de {"n":"door","t":17`)
					_ = f.Close()
				}
				fallthrough
			case "kill":
				m = opened(t, dir)
			}
		}
		for _, reopened := range []bool{false, true} {
			if reopened {
				m = opened(t, dir)
			}
			for stream, slots := range want {
				for slot := range 21 {
					for _, second := range []int{0, 4, 9} { // parts of it too
						if got := m.Has(stream, at(60*slot+second)); got != slots[slot] {
							t.Fatalf("reopened %v: fragment %d of %s has a mark: %v", reopened, slot, stream, got)
						}
					}
					if m.Has(stream, at(60*slot+10)) || m.Has(stream, at(60*slot-1)) {
						t.Fatalf("what is beside fragment %d has a mark", slot)
					}
				}
			}
		}
	})
}

// TestALiftIsByWhenItWasRecorded, as a request is, and a mark by what was sent.
func TestALiftIsByWhenItWasRecorded(t *testing.T) {
	t.Parallel()
	m := opened(t, t.TempDir())
	k := markOf(0)
	k.Shift = -time.Hour.Milliseconds()
	if err := m.Add("door", k); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		from, to int
		has      bool
	}{{0, 10, true}, {-3600 + 10, -3000, true}, {-3700, -3600, true}, {-3599, -3598, false}} {
		if err := m.Lift("door", at(row.from), at(row.to)); err != nil {
			t.Fatal(err)
		}
		if got := m.Has("door", at(5)); got != row.has {
			t.Errorf("after a request from %d to %d it has a mark: %v", row.from, row.to, got)
		}
	}
}

// TestTheJournalOfMarks stays small, keeps no mark for longer than it matters, and survives wrong bits.
func TestTheJournalOfMarks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := begin
	m, err := Open(dir, fast{}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	largest := int64(0)
	for minute := range 12 * 24 * 60 {
		now = begin.Add(time.Duration(minute) * time.Minute)
		if err := m.Add("door", markOf(60*minute)); err != nil {
			t.Fatal(err)
		}
		largest = max(largest, m.journal.Size())
	}
	if n := len(m.streams["door"]); n > maxMarks || n < 10*24*60 {
		t.Errorf("%d marks are kept", n)
	}
	if largest > 4<<20 {
		t.Errorf("the journal has up to %d bytes", largest)
	}
	data, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("12 days of a stream: at most %d bytes, %d a mark", largest, len(data)/bytes.Count(data, []byte("\n")))
	data = data[:bytes.LastIndexByte(data[:1000], '\n')+1]
	for i := range data {
		wrong := bytes.Clone(data)
		wrong[i] ^= 1
		if err := os.WriteFile(filepath.Join(dir, File), wrong, 0o600); err != nil {
			t.Fatal(err)
		}
		again := opened(t, dir)
		all := bytes.Count(data, []byte("\n"))
		if n := len(again.streams["door"]); n > all-1 || n < all-2 {
			t.Fatalf("with a wrong bit at byte %d %d marks of %d are read", i, n, all)
		}
	}
}

// fast is a disk whose syncs cost nothing.
type fast struct{ atomicfile.OS }

func (f fast) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	file, err := f.OS.OpenFile(name, flag, mode)
	return unsynced{file}, err
}

func (fast) SyncDir(string) error { return nil }

type unsynced struct{ atomicfile.File }

func (unsynced) Sync() error { return nil }

// A journal that cannot be read is set aside, and another one is written.
func TestAJournalThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, File), 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := Open(dir, atomicfile.OS{}, func() time.Time { return begin })
	if err == nil || !strings.Contains(err.Error(), File) {
		t.Errorf("it is opened with %v", err)
	}
	if err := m.Add("door", markOf(0)); err != nil {
		t.Fatal(err)
	}
	if !opened(t, dir).Has("door", at(1)) {
		t.Error("the mark is lost")
	}
}
