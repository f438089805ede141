package segment

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
)

// marker is the file that makes a directory a stream's.
type marker struct {
	Stream string `json:"stream"`
	// LastEnd in Unix ms is the newest producer time ever, when the media that had it is deleted.
	LastEnd *int64 `json:"lastEnd,omitempty"`
}

// writeMarker writes the marker with the newest producer time that must outlive its media;
// math.MinInt64 when there is none.
func (st *stream) writeMarker(highest int64) error {
	m := marker{Stream: st.name}
	if highest != math.MinInt64 {
		m.LastEnd = &highest
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return writeDurably(st.files, filepath.Join(st.dir, markerName), append(data, '\n'))
}

// readMarker gives the stream that a directory belongs to.
func readMarker(dir string) (marker, error) {
	var m marker
	data, err := os.ReadFile(filepath.Join(dir, markerName))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// writeDurably replaces a small file as a whole.
func writeDurably(files fileSystem, path string, data []byte) error {
	temporary := path + ".new"
	f, err := files.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = files.Rename(temporary, path)
	}
	if err == nil {
		err = files.SyncDir(filepath.Dir(path))
	}
	return err
}
