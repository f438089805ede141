package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// File is the Matroska file that a stream's fragments are appended to. One goroutine at a time uses it.
type File struct {
	Name string // in the directory
	// Spare is a buffer of the fragment before, for the next one.
	Spare []byte

	f      *os.File
	header *strictmkv.Header
	end    int64 // of the last stored fragment; what lies behind it is not committed
}

// Takes reports whether fragments with that header can be appended.
func (m *File) Takes(h *strictmkv.Header) bool { return m.header.SameMedia(h) }

// End is where the next fragment begins.
func (m *File) End() int64 { return m.end }

// WriteBehind writes at an offset from the end of the last stored fragment.
func (m *File) WriteBehind(p []byte, offset int64) error {
	_, err := m.f.WriteAt(p, m.end+offset)
	return err
}

// Commit makes the next bytes a stored fragment.
func (m *File) Commit(bytes int64) { m.end += bytes }

// Discard cuts off what was written of a fragment that is not stored.
func (m *File) Discard() error { return m.f.Truncate(m.end) }

// Close closes the file.
func (m *File) Close() error { return m.f.Close() }

// Continue opens the file that an earlier run wrote last, and cuts off what it did not commit. It returns nil
// where the file is gone.
func (a *Archive) Continue(last Fragment) (*File, error) {
	path := filepath.Join(a.dir, last.File)
	f, err := os.OpenFile(path, os.O_RDWR, 0o644)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // taken away by the user; a further file begins
	}
	if err != nil {
		return nil, err
	}
	header, err := readHeader(f)
	end := last.Offset + last.Bytes
	if err == nil {
		err = f.Truncate(end)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot continue %s: %w", path, err)
	}
	return &File{Name: last.File, f: f, header: header, end: end}, nil
}

func readHeader(src io.Reader) (*strictmkv.Header, error) {
	r := strictmkv.NewReader(src, strictmkv.Options{AsStored: true, MaxTracks: 127})
	for {
		event, err := r.Next()
		if err != nil {
			return nil, err
		}
		if event.Kind == strictmkv.KindHeader {
			return r.Header(), nil
		}
	}
}

// maxBaseName keeps file names within the 255 bytes of file systems; stream names may have 256.
const maxBaseName = 200

// Create makes <stream>.mkv, or <stream>-2.mkv and so on when that name is taken.
func (a *Archive) Create(stream string, h *strictmkv.Header) (*File, error) {
	base := stream
	if len(base) > maxBaseName {
		base = base[:maxBaseName]
	}
	for n := 1; ; n++ {
		name := base + ".mkv"
		if n > 1 {
			name = fmt.Sprintf("%s-%d.mkv", base, n)
		}
		if !a.take(name) {
			continue
		}
		f, err := os.OpenFile(filepath.Join(a.dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		head := AppendHeader(nil, stream, h)
		if _, err := f.Write(head); err != nil {
			f.Close()
			return nil, err
		}
		header := *h
		return &File{Name: name, f: f, header: &header, end: int64(len(head))}, nil
	}
}
