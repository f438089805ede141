package streamfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/streamfile"
)

// A check reports for each file its stream or its fault.
func ExampleCheck() {
	dir, err := os.MkdirTemp("", "streams")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, text := range map[string]string{
		"door.json": `{"StreamName": "door", "EdgeConfig": {"RecorderConfig": {"MediaSourceConfig": {"MediaURI": "rtsp://192.0.2.7/live"}}}}`,
		"yard.json": `{"StreamName": "yard", "EdgeConfig": {"RecorderConfig": {"MediaSourceConfig": {}}}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
	files, err := streamfile.Check(dir, "hub-1", true)
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		if field, _, wrong := strings.Cut(f.Wrong, ": "); wrong {
			fmt.Printf("%s: %s\n", filepath.Base(f.File), field)
			continue
		}
		fmt.Printf("%s: stream %s\n", filepath.Base(f.File), f.Stream.Name)
	}
	// Output:
	// door.json: stream door
	// yard.json: EdgeConfig.RecorderConfig.MediaSourceConfig is missing
}
