package segment

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// marker is the file that makes a directory a stream's.
type marker struct {
	Stream string `json:"stream"`
	// LastEnd in Unix ms is the newest producer time of the epoch ever, when the media that had it is deleted.
	LastEnd *int64 `json:"lastEnd,omitempty"`
	Epoch   uint32 `json:"epoch,omitempty"`
}

// writeMarker writes the marker with the newest producer time of an epoch that must outlive its media;
// math.MinInt64 when there is none.
func (st *stream) writeMarker(epoch uint32, highest int64) error {
	m := marker{Stream: st.name, Epoch: epoch}
	if highest != math.MinInt64 {
		m.LastEnd = &highest
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return atomicfile.Replace(st.files, filepath.Join(st.dir, markerName), append(data, '\n'), fileMode)
}

// readMarker gives the stream that a directory belongs to.
func (s *Store) readMarker(dir string) (marker, error) {
	var m marker
	data, err := s.files.ReadFile(filepath.Join(dir, markerName))
	if errors.Is(err, syscall.EISDIR) {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}
