package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// keptHead is what the file of figures begins with.
const keptHead = `# Instructions per byte, by version of Go and architecture.
# "make bench-counts" compares with them, "make bench-counts-keep" writes them.
`

// keptFigures are the figures of a file.
type keptFigures struct {
	values   map[string]float64 // by toolchain and subject
	complete bool               // each figure that was asked for was there
}

func key(toolchain, subject string) string { return toolchain + " " + subject }

// readKept reads a file of figures: lines of Go's version, architecture, subject and instructions per byte. One that is missing is empty.
func readKept(path string) (*keptFigures, error) {
	k := &keptFigures{values: make(map[string]float64), complete: true}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var version, arch, subject string
		var value float64
		if _, err := fmt.Sscanf(line, "%s %s %s %f", &version, &arch, &subject, &value); err != nil || value <= 0 {
			return nil, fmt.Errorf("%s: the line %q is not a version of Go, an architecture, a subject and a figure", path, strings.TrimSpace(line))
		}
		k.values[key(version+" "+arch, subject)] = value
	}
	return k, nil
}

func (k *keptFigures) of(toolchain, subject string) (value float64, known bool) {
	value, known = k.values[key(toolchain, subject)]
	k.complete = k.complete && known
	return value, known
}

func (k *keptFigures) set(toolchain, subject string, value float64) {
	k.values[key(toolchain, subject)] = value
}

// write writes the file of figures, in order.
func (k *keptFigures) write(path string) error {
	lines := make([]string, 0, len(k.values))
	for name, value := range k.values {
		lines = append(lines, fmt.Sprintf("%s %.4f\n", name, value))
	}
	slices.Sort(lines)
	return os.WriteFile(path, []byte(keptHead+strings.Join(lines, "")), 0o644)
}
