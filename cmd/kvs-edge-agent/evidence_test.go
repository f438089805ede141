package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestThePageOnEvidence runs the commands of docs/evidence.md, on recordings of the stream front-door.
func TestThePageOnEvidence(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "openssl", "python3", "jq")
	recordings := shortDir(t)
	w := recordInto(t, openStore(t, recordings), 0, 10, "sps")
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(recordings, "door"), filepath.Join(recordings, "front-door")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key := testtools.DeviceFiles(t, dir, "hub")
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "docs"), filepath.Join(dir, "docs")); err != nil {
		t.Fatal(err)
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "kvs-edge-agent")); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, b := range docsBlocks(t) {
		if b.page != "docs/evidence.md" || b.lang != "sh" {
			continue
		}
		text := strings.ReplaceAll(b.text, "export --stream", "export --dir "+recordings+" --stream")
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", text)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), settings.EnvCoreCert+"="+cert, settings.EnvCorePrivateKey+"="+key)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", b, err, out)
		}
		ran++
		t.Logf("%s", out)
	}
	if ran != 2 {
		t.Errorf("%d blocks ran", ran)
	}
}
