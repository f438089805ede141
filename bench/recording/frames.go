package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// countFrames reads the recordings under dir, a directory for each camera, and counts their frames
// and those missing: the cameras number theirs.
func countFrames(dir string) (frames, missing int64, err error) {
	cameras, err := filepath.Glob(filepath.Join(dir, "*", "*.mkv"))
	if err != nil {
		return 0, 0, err
	}
	last := make(map[string]uint64) // by directory
	slices.Sort(cameras)            // names begin with the time
	for _, path := range cameras {
		camera := filepath.Dir(path)
		for block, err := range strictmkv.ReadFile(path) {
			if err != nil {
				return 0, 0, fmt.Errorf("%s: %w", path, err)
			}
			stamp, ok := stamps.OfAccessUnit(block.Data)
			if !ok {
				return 0, 0, fmt.Errorf("%s holds a frame without a number", path)
			}
			if before, ok := last[camera]; ok {
				missing += int64(stamp.Counter - before - 1)
			}
			last[camera] = stamp.Counter
			frames++
		}
	}
	return frames, missing, nil
}
