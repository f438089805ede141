package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryLinkedModuleHasALicenceText compares with what the linker noted in the program itself.
func TestEveryLinkedModuleHasALicenceText(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "kvs-edge-agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	for _, module := range info.Deps {
		if !strings.Contains(out.String(), "\n"+module.Path+" "+module.Version+", ") {
			t.Errorf("%s %s is linked and has no licence text", module.Path, module.Version)
		}
	}
	if len(info.Deps) < 10 || !strings.Contains(out.String(), "\nGo standard library and runtime, LICENSE\n") {
		t.Errorf("%d modules; the text begins %.200s", len(info.Deps), out.String())
	}
	var again bytes.Buffer
	if err := run(&again); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Errorf("a second run differs: %v", err)
	}
}

func TestAModuleWithoutALicenceTextIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	part := filepath.Join(dir, "part")
	if err := os.Mkdir(part, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(part, "LICENSE"), filepath.Join(dir, "license_test.go")} {
		if err := os.WriteFile(path, []byte("a text"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := &component{name: "example.org/module v1.0.0", root: dir, dirs: map[string]bool{dir: true, part: true}}
	if _, err := texts([]*component{c}); err == nil || !strings.Contains(err.Error(), "example.org/module v1.0.0 has no licence text") {
		t.Errorf("it says %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENSE.txt"), []byte("another text\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := texts([]*component{c})
	if err != nil || len(found) != 2 || found["another text"][0] != "example.org/module v1.0.0, LICENSE.txt" {
		t.Errorf("%q, %v", found, err)
	}
}
