package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// root is the project's directory.
const root = "../.."

// build builds the harness, with files in place of others: new paths by old ones.
func build(t *testing.T, replaced map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	overlay, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "counts")
	data, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", overlay, "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// TestASlowdownFails plants one: each checksum is computed twice. The program without it passes against its own figure.
func TestASlowdownFails(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "valgrind")
	const before, after = "return crc32.Update(", "_ = crc32.ChecksumIEEE(data); return crc32.Update("
	path, err := filepath.Abs(filepath.Join(root, "internal/mkv/checksum.go"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	slow := strings.Replace(string(source), before, after, 1)
	if slow == string(source) {
		t.Fatalf("%s does not say %q any more", path, before)
	}
	planted := filepath.Join(t.TempDir(), "checksum.go")
	if err := os.WriteFile(planted, []byte(slow), 0o600); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "counts.txt")
	o := options{film: filepath.Join(root, "internal/fakecam/clip.h264"), kept: kept, runs: 1, rounds: 16, only: "record",
		harness: build(t, nil), keep: true}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	o.keep = false
	if err := run(o); err != nil {
		t.Errorf("the same program: %v", err)
	}
	o.harness = build(t, map[string]string{path: planted})
	err = run(o)
	if err == nil || !strings.Contains(err.Error(), "record takes") || !strings.Contains(err.Error(), "% more than") {
		t.Errorf("with the slowdown: %v", err)
	}
}

func TestWhatIsHeldAgainstTheKeptFigure(t *testing.T) {
	t.Parallel()
	s := subject{name: "record"}
	for _, c := range []struct {
		counted counted
		want    string // "": it passes
	}{
		{counted{value: 4}, ""},
		{counted{value: 4.11}, ""},
		{counted{value: 4.13}, "3.2 % more than the 4.0000"},
		{counted{value: 3.89}, ""},
		{counted{value: 3.87}, "3.2 % less than the 4.0000"},
		{counted{value: 4, spread: 0.005}, ""},
		{counted{value: 4, spread: 0.006}, "differ by 0.60 %"},
	} {
		switch err := c.counted.against(s, 4); {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v, want %q", c.counted, err, c.want)
		}
	}
}

// TestFiguresAreKeptByVersion writes the figures of one version of Go beside those of another.
func TestFiguresAreKeptByVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "counts.txt")
	for i, version := range []string{"go1.26.8 amd64", "go1.27.0 amd64", "go1.26.8 arm64"} {
		k, err := readKept(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, known := k.of(version, "record"); known || k.complete {
			t.Errorf("%s is known", version)
		}
		k.set(version, "record", float64(i)+1)
		if err := k.write(path); err != nil {
			t.Fatal(err)
		}
	}
	k, err := readKept(path)
	if err != nil {
		t.Fatal(err)
	}
	if v, known := k.of("go1.27.0 amd64", "record"); v != 2 || !known || !k.complete {
		t.Errorf("%v %v", v, known)
	}
	for _, wrong := range []string{"go1.26.8 amd64 record\n", "go1.26.8 amd64 record fast\n", "go1.26.8 amd64 record -1\n"} {
		if err := os.WriteFile(path, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readKept(path); err == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}
