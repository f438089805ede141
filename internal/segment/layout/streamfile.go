package layout

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// StreamFile is the content of the file that marks a directory as a stream's.
type StreamFile struct {
	Stream string `json:"stream"`
	// LastEnd in Unix ms is the newest producer time of the epoch ever, when its media is deleted.
	LastEnd *int64 `json:"lastEnd,omitempty"`
	Epoch   uint32 `json:"epoch,omitempty"`
}

// WriteStreamFile writes the file of a stream's directory, durably, with the newest producer time of an epoch that must
// outlive its media; math.MinInt64 when there is none.
func WriteStreamFile(files atomicfile.FileSystem, dir, stream string, epoch uint32, highest int64) error {
	m := StreamFile{Stream: stream, Epoch: epoch}
	if highest != math.MinInt64 {
		m.LastEnd = &highest
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return atomicfile.Replace(files, filepath.Join(dir, StreamFileName), append(data, '\n'), FileMode)
}

// ReadStreamFile returns which stream a directory belongs to. The error is fs.ErrNotExist where there is no such file, a
// *fs.PathError of another kind where it cannot be read, and otherwise that of its content.
func ReadStreamFile(files atomicfile.FileSystem, dir string) (StreamFile, error) {
	var m StreamFile
	data, err := files.ReadFile(filepath.Join(dir, StreamFileName))
	if errors.Is(err, syscall.EISDIR) {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}
