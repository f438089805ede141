package writeback

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/journal"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/rows"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// TestAnyTornJournalIsRead: whatever is left of a journal, each complete line counts, and the agent continues.
func TestAnyTornJournalIsRead(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.record(20 * time.Minute)
	h.persist(begin, h.now)
	h.pass(2 * time.Minute)
	h.w.close()
	data, err := os.ReadFile(filepath.Join(h.dir, File))
	if err != nil || len(data) < 300 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	points := func(data []byte) (n int) {
		Scan(data, func(string, string, int64, *int64, bool) { n++ })
		return n
	}
	all := points(data)
	for size := range data {
		whole := 0
		for _, b := range data[:size] {
			if b == '\n' {
				whole++
			}
		}
		if n := points(data[:size]); n != whole {
			t.Fatalf("of %d bytes %d points are read, want %d", size, n, whole)
		}
	}
	for at := range data {
		wrong := slices.Clone(data)
		wrong[at] ^= 1
		if n := points(wrong); n > all-1 || n < all-2 {
			t.Fatalf("with a wrong bit at byte %d %d points of %d are read", at, n, all)
		}
	}
	want := h.rows("cached")
	if err := os.WriteFile(filepath.Join(h.dir, File), data[:len(data)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.pass(2 * time.Minute)
	if diff := cmp.Diff(want, h.rows("cached")); diff != "" {
		t.Error(diff)
	}
}

// TestTheJournalStaysSmall: what was superseded goes.
func TestTheJournalStaysSmall(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	for range 300 {
		at := h.now
		h.record(15 * time.Minute)
		h.now = at.Add(15*time.Minute - passEvery)
		h.pass(passEvery)
		if n := len(h.segments); n > 8 { // two hours are kept, or less
			h.segments = h.segments[n-8:]
		}
	}
	info, err := os.Stat(filepath.Join(h.dir, File))
	if err != nil || info.Size() > journal.RewriteAt {
		t.Errorf("%v, %v", info.Size(), err)
	}
	for key, s := range h.w.all {
		if len(s.points) > 40 {
			t.Errorf("%s has %d points", key, len(s.points))
		}
	}
}

// full is a disk that is full while a test says so.
type full struct {
	atomicfile.OS
	on *bool
}

var errFull = errors.New("no space left on device")

func (f full) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	if *f.on {
		return nil, errFull
	}
	return f.OS.OpenFile(name, flag, mode)
}

// TestAFullDisk: no point is sent that is not noted, and afterwards all is as it should be.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	on := true
	h.files = full{on: &on}
	h.start()
	h.recordAndSend(time.Hour)
	if got := h.conditions(); !slices.Equal(got, []string{CodeState}) {
		t.Errorf("conditions %v", got)
	}
	if n := len(h.rows("uploaded")) + len(h.rows("cached")); n > 0 {
		t.Errorf("%d points are in SiteWise that the agent would forget", n)
	}
	on = false
	h.pass(3 * time.Minute)
	if got := h.conditions(); got != nil {
		t.Errorf("afterwards the conditions are %v", got)
	}
	h.check(begin, h.now)
}

// TestAnUnreadableJournalIsSetAside: the agent continues without it, and says so until it has another.
func TestAnUnreadableJournalIsSetAside(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	if err := os.Mkdir(filepath.Join(h.dir, File), 0o700); err != nil {
		t.Fatal(err)
	}
	h.record(10 * time.Minute)
	h.w.pass(context.Background())
	h.pass(2 * time.Minute)
	if _, err := os.Stat(filepath.Join(h.dir, File+statefile.CorruptSuffix)); err != nil {
		t.Error(err)
	}
	if got := h.conditions(); got != nil {
		t.Errorf("conditions %v", got)
	}
	h.check(begin, h.now)
}

// FuzzScan: whatever a journal has, reading it ends, and what is written again reads the same.
func FuzzScan(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendLine(appendLine(nil, id{"a", "p"}, 1772366400, 1772366500123, false), id{"a", "p"}, 1772366400, unsent, true))
	f.Add([]byte("00000000 {\"a\":\"x\",\"p\":\"y\",\"s\":-5}\n\n\nx"))
	f.Add(appendLine(nil, id{"a", "p"}, 1<<62, 1<<62, false))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := map[id]*series{}
		var lines []byte
		Scan(data, func(asset, property string, start int64, sent *int64, gone bool) {
			key := id{asset, property}
			if all[key] == nil {
				all[key] = &series{id: key}
			}
			end := int64(unsent)
			if sent != nil {
				end = *sent
			}
			lines = appendLine(lines, key, start, end, gone)
			if gone {
				all[key].forget(start)
				return
			}
			all[key].restore(start, end)
		})
		again := 0
		Scan(lines, func(string, string, int64, *int64, bool) { again++ })
		if n := slices.Index(lines, '\n'); n >= 0 && again == 0 {
			t.Error("what was read and written cannot be read")
		}
		for _, s := range all {
			if !slices.IsSortedFunc(s.points, func(a, b point) int { return int(a.Start - b.Start) }) {
				t.Error("the points are not sorted")
			}
			rows.Desired(s.starts(), nil, limitsOf(cached, 0))
		}
	})
}
