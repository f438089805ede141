package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

type testState struct{ Value string }

func openTestDir(t *testing.T) Dir {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "state"), atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStateFilesAreForTheAgentOnly(t *testing.T) {
	t.Parallel()
	d := openTestDir(t)
	if err := d.Write("a.json", testState{"x"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{d.path: 0o700 | fs.ModeDir, filepath.Join(d.path, "a.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

// A directory that others share is refused, and no directory that exists is ever changed.
func TestAStateDirectoryOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/var/lib", link); err != nil {
		t.Fatal(err)
	}
	made := func(mode uint32) string {
		dir := filepath.Join(t.TempDir(), "state")
		if err := errors.Join(os.Mkdir(dir, 0o700), syscall.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, tc := range []struct{ dir, says string }{
		{made(0o700), ""}, {made(0o750), ""}, {made(0o755), ""}, {made(0o770), ""},
		{made(0o777), "mode 0777"}, {made(0o1777), "mode 1777"}, {made(0o702), "chmod o-w"},
		{"/tmp", "belongs to the system"}, {"/var/lib", "belongs to the system"}, {link, "belongs to the system"}, {"/", "belongs to the system"},
	} {
		before, err := os.Stat(tc.dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(tc.dir, atomicfile.OS{})
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s of mode %v: %v", tc.dir, before.Mode(), err)
		}
		if after, err := os.Stat(tc.dir); err != nil || after.Mode() != before.Mode() {
			t.Errorf("%s had mode %v, now %v", tc.dir, before.Mode(), after.Mode())
		}
	}
}

func TestStateComesBackAndAMissingOneIsNoFault(t *testing.T) {
	t.Parallel()
	d := openTestDir(t)
	var got testState
	if err := d.Read("a.json", &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v", err)
	}
	for _, value := range []string{"one", "two"} {
		if err := d.Write("a.json", testState{value}); err != nil {
			t.Fatal(err)
		}
		if err := d.Read("a.json", &got); err != nil || got.Value != value {
			t.Errorf("got %q, %v; want %q", got.Value, err, value)
		}
	}
	entries, err := os.ReadDir(d.path)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
}

func TestDamagedStateIsSetAside(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"zeros":       func(b []byte) []byte { return make([]byte, len(b)) },
		"cut off":     func(b []byte) []byte { return b[:len(b)/2] },
		"one bit":     func(b []byte) []byte { return []byte(strings.Replace(string(b), `"value"`, `"valuf"`, 1)) },
		"another doc": func([]byte) []byte { return []byte(`{"SHA256":"","State":null}`) },
		"a list":      func([]byte) []byte { return []byte(`[1]`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openTestDir(t)
			if err := d.Write("a.json", testState{"value"}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(d.path, "a.json")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			var got testState
			if err := d.Read("a.json", &got); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v, %v; want ErrCorrupt", got, err)
			}
			if _, err := os.Stat(path + CorruptSuffix); err != nil {
				t.Errorf("not set aside: %v", err)
			}
			if err := d.Read("a.json", &got); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

func TestLeftoversOfAnInterruptedWriteAreSwept(t *testing.T) {
	t.Parallel()
	d := openTestDir(t)
	leftover := filepath.Join(d.path, "config.json.new-123")
	if err := os.WriteFile(leftover, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(leftover); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

// The sentence about a file that cannot be written is that of its cause.
func TestTheAdviceIsThatOfTheCause(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := At(dir, atomicfile.OS{})
	if err := os.MkdirAll(filepath.Join(dir, "a.json.new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := d.Write("a.json", testState{})
	if got := d.Advice("a.json", err); err == nil || !strings.Contains(got, "a.json.new, move it away") {
		t.Errorf("%v: %q", err, got)
	}
}

// TestLinesAreAppended to a file that begins again, for the agent only.
func TestLinesAreAppended(t *testing.T) {
	t.Parallel()
	d := openTestDir(t)
	const name = "a.log"
	read := func(want string) {
		t.Helper()
		if got, err := d.Lines(name); err != nil || string(got) != want {
			t.Errorf("it has %q, %v; want %q", got, err, want)
		}
	}
	read("")
	for _, step := range []struct {
		put  func(name string, lines []byte) error
		line string
		want string
	}{{d.Begin, "a\n", "a\n"}, {d.Append, "b\n", "a\nb\n"}, {d.Begin, "c\n", "c\n"}, {d.Append, "d\n", "c\nd\n"}} {
		if err := step.put(name, []byte(step.line)); err != nil {
			t.Fatal(err)
		}
		read(step.want)
	}
	path := filepath.Join(d.Path(), name)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lines(name); !errors.Is(err, ErrCorrupt) || d.Append(name, nil) == nil {
		t.Errorf("a directory that replaces it: %v", err)
	}
}
