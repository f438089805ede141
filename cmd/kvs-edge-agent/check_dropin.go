package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/preflight"
)

// dropInDirectory is where systemd reads what is added to the unit.
const dropInDirectory = "/etc/systemd/system/" + serviceUnit + ".d"

// writeDropIn writes the lines beside those that the file in dir has already, and returns the file and its text.
func writeDropIn(dir string, lines []string) (path, text string, err error) {
	path = filepath.Join(dir, preflight.DropInName)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return path, "", err
	}
	text = "# Written by `kvs-edge-agent check --write-drop-in`: what the service may use beside its own directories.\n[Service]\n"
	written := make(map[string]bool)
	for _, line := range append(strings.Split(string(old), "\n"), lines...) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != '[' && !written[line] {
			written[line] = true
			text += line + "\n"
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return path, "", err
	}
	return path, text, os.WriteFile(path, []byte(text), 0o644)
}
