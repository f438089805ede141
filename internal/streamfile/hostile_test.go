package streamfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestWhatElseMayLieInTheDirectory has two streams that run, and puts things beside or in place of their files.
func TestWhatElseMayLieInTheDirectory(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(h *hub)
		want   string
		says   []string
	}{
		"a link to itself": {func(h *hub) { must(h.t, os.Symlink("loop.json", h.path("loop.json"))) }, before,
			[]string{"loop.json is wrong, and is not followed: The file cannot be read (too many levels of symbolic links)"}},
		"a link to itself in place of a file": {func(h *hub) {
			must(h.t, errors.Join(os.Remove(h.path("door.json")), os.Symlink("door.json", h.path("door.json"))))
		}, before, []string{"door.json is wrong, and what it held before stays in force for stream door"}},
		"a link to the directory": {func(h *hub) { must(h.t, os.Symlink(".", h.path("all.json"))) }, before,
			[]string{"all.json is wrong, and is not followed: The file must be a regular file"}},
		"a link to a device": {func(h *hub) { must(h.t, os.Symlink("/dev/zero", h.path("zero.json"))) }, before,
			[]string{"zero.json is wrong, and is not followed: The file must be a regular file"}},
		"a pipe in place of a file": {func(h *hub) {
			must(h.t, errors.Join(os.Remove(h.path("door.json")), syscall.Mkfifo(h.path("door.json"), 0o640)))
		}, before, []string{"door.json is wrong, and what it held before stays in force for stream door: The file must be a regular file"}},
		"a link that leads nowhere": {func(h *hub) { must(h.t, os.Symlink("nothing", h.path("gone.json"))) }, before, nil},
		"a link to a file": {func(h *hub) {
			h.write(".gate", documentOf("gate", 3))
			must(h.t, os.Symlink(".gate", h.path("gate.json")))
		}, "door 5h, gate 3h, yard 7h", nil},
		"a directory": {func(h *hub) { must(h.t, os.Mkdir(h.path("gate.json"), 0o750)) }, before, nil},
		"a sparse file of 1 TB": {func(h *hub) {
			h.write("door.json", "")
			must(h.t, os.Truncate(h.path("door.json"), 1<<40))
		}, before, []string{"The file has 1099511627776 bytes; at most 65536 are allowed"}},
		"a name that differs in capital letters": {func(h *hub) { h.write("DOOR.json", documentOf("Door", 3)) },
			"Door 3h, door 5h, yard 7h", nil},
		"a name that differs, of the same stream": {func(h *hub) { h.write("DOOR.json", documentOf("door", 3)) }, before,
			[]string{"DOOR.json is not followed"}},
		"a file of 1970": {func(h *hub) {
			h.write("door.json", documentOf("door", 9))
			must(h.t, os.Chtimes(h.path("door.json"), time.Unix(0, 0), time.Unix(0, 0)))
		}, "door 9h, yard 7h", nil},
		"a file of 2200": {func(h *hub) {
			h.write("door.json", documentOf("door", 9))
			must(h.t, os.Chtimes(h.path("door.json"), time.Now(), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)))
		}, "door 9h, yard 7h", nil},
		"an older one instead": {func(h *hub) {
			h.write("door.json", documentOf("door", 9))
			must(h.t, os.Chtimes(h.path("door.json"), time.Now(), time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)))
		}, "door 9h, yard 7h", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, saved{change: row.change, wait: vanished + readEvery, want: row.want, says: row.says}.test)
		})
	}
}

// TestTenThousandFilesCrowdNobodyOut puts files before and behind those that are followed, by name: wrong ones, and those of
// other streams.
func TestTenThousandFilesCrowdNobodyOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.write("m.json", documentOf("door", 5))
		h.start()
		defer h.stop()
		for i := range 5000 {
			must(t, os.WriteFile(h.path(fmt.Sprintf("a%04d.json", i)), []byte("{"), 0o640))
			must(t, os.WriteFile(h.path(fmt.Sprintf("z%04d.json", i)), []byte(documentOf(fmt.Sprint("z", i), 3)), 0o640))
		}
		h.elapse(vanishAfter + 3*readEvery)
		h.expect("beside 10,000 others", "door 5h")
		conditions := h.health.Component("", health.JobConfig).Snapshot().Conditions
		texts := fmt.Sprintf("%+v", conditions)
		if !strings.Contains(texts, "has more than 1000 stream files; 9001 files are not read") ||
			!strings.Contains(texts, "has 979 stream files more that are wrong") || len(conditions) != mostShown+2 {
			t.Errorf("%d conditions: %.2000s", len(conditions), texts)
		}
		h.knows("beside 10,000 others", "not all")
		h.write("m.json", documentOf("door", 9))
		h.elapse(3 * readEvery)
		h.expect("what is followed is still read", "door 9h")
		must(t, os.Rename(h.path("m.json"), h.path("m.off")))
		h.elapse(vanishAfter + 3*readEvery)
		h.expect("what is gone is gone", "")
		for i := range 5000 {
			must(t, errors.Join(os.Remove(h.path(fmt.Sprintf("a%04d.json", i))), os.Remove(h.path(fmt.Sprintf("z%04d.json", i)))))
		}
		h.write("m.json", documentOf("door", 5))
		h.elapse(vanishAfter + 3*readEvery)
		h.expect("without the others", "door 5h")
		h.says("without the others")
	})
}

// TestAFileThatIsWrittenAllTheTime is found in another state with each reading. One that never is right is reported all the
// same, and one that is only touched is not written to the disk each time.
func TestAFileThatIsWrittenAllTheTime(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		text   func(i int) string
		want   string
		says   []string
		writes int // of the state, at most
	}{
		"the same": {func(int) string { return documentOf("door", 5) }, "door 5h", nil, 0},
		"never right": {func(i int) string { return strings.Repeat("{", i+1) }, "door 5h",
			[]string{"door.json is wrong, and what it held before stays in force"}, 0},
		"right and wrong in turn": {func(i int) string {
			if i%2 == 0 {
				return "{"
			}
			return documentOf("door", 6)
		}, "door 6h", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.write("door.json", documentOf("door", 5))
				h.start()
				defer h.stop()
				state := filepath.Join(h.stateDir, stateFile)
				writes := 0
				last, err := os.Stat(state)
				must(t, err)
				for i := range 20 {
					h.write("door.json", row.text(i))
					must(t, os.Chtimes(h.path("door.json"), time.Now(), time.Now()))
					h.elapse(readEvery)
					now, err := os.Stat(state)
					if must(t, err); !os.SameFile(last, now) {
						writes++
					}
					last = now
				}
				h.expect("in the end", row.want)
				h.says("in the end", row.says...)
				if writes > row.writes {
					t.Errorf("the state is written %d times, want at most %d", writes, row.writes)
				}
			})
		})
	}
}
