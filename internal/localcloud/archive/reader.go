package archive

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// ErrEnough is returned when the caller of Blocks has had enough.
var ErrEnough = errors.New("the caller has had enough")

// Reader reads stored fragments, keeping the last file open.
type Reader struct {
	dir    string
	name   string
	f      *os.File
	header *strictmkv.Header
}

// Close closes the file.
func (m *Reader) Close() {
	if m.f != nil {
		_ = m.f.Close() // only read from
	}
}

// Open makes the fragment's file the current one.
func (m *Reader) Open(f Fragment) error {
	if m.name == f.File {
		return nil
	}
	m.Close()
	m.name, m.f = "", nil
	file, err := os.Open(filepath.Join(m.dir, f.File))
	if err != nil {
		return err
	}
	header, err := readHeader(file)
	if err != nil {
		file.Close()
		return err
	}
	m.name, m.f, m.header = f.File, file, header
	return nil
}

// Header is that of the current file.
func (m *Reader) Header() *strictmkv.Header { return m.header }

// cluster reads the bytes of a stored fragment.
func (m *Reader) cluster(f Fragment) *io.SectionReader {
	return io.NewSectionReader(m.f, f.Offset, f.Bytes)
}

// ClusterAsSent reads the Cluster behind ClusterHead, or all of it where that is empty.
func (m *Reader) ClusterAsSent(f Fragment) *io.SectionReader {
	skip := int64(0)
	if len(f.ClusterHead) > 0 {
		skip = clusterHeadSize
	}
	return io.NewSectionReader(m.f, f.Offset+skip, f.Bytes-skip)
}

// Blocks shows the blocks of a stored fragment until see returns false.
func (m *Reader) Blocks(f Fragment, see func(strictmkv.Event) bool) error {
	if err := m.Open(f); err != nil {
		return err
	}
	r := strictmkv.NewClusterReader(m.cluster(f), m.header, strictmkv.Options{AsStored: true, Payload: true})
	for {
		event, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if event.Kind == strictmkv.KindBlock && !see(event) {
			return ErrEnough
		}
	}
}

// ReaderOf reads the fragments of a directory that no Archive has open, or that one has.
func ReaderOf(dir string) *Reader { return &Reader{dir: dir} }
