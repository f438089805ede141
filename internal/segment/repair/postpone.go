package repair

import (
	"os"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// MaxAtOpening is how many bytes of torn files are read while the store is opened: recording waits for it. The others are recovered beside
// the recording.
const MaxAtOpening = 64 << 20

// Opening counts the bytes of torn files that were found while the store is opened. For one goroutine.
type Opening int64

// Postpone reports whether a torn file is to be recovered later, as there were many before it, and the time of its last frame, in ms
// since its start. A file of which that cannot be read is not.
func (o *Opening) Postpone(path string) (length uint32, postponed bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	if *o += Opening(info.Size()); *o <= MaxAtOpening {
		return 0, false
	}
	return lastFrame(path)
}

// lastFrame returns the time of the last frame of a torn file, in ms since its start; ok is false when it cannot be read.
func lastFrame(path string) (length uint32, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, false
	}
	m, err := mkv.Open(f, info.Size())
	if err != nil {
		return 0, false
	}
	last, err := m.LastFrame()
	if err != nil {
		return 0, false
	}
	return uint32(min(last.Milliseconds(), layout.MaxLength)), true
}
