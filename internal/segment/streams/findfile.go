package streams

import (
	"path/filepath"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// globEscape keeps a directory's own name from being interpreted as a pattern.
var globEscape = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)

// FindFile searches the stream's directory for the file of a segment, in any state.
func (st *Stream) FindFile(k layout.ID) (e catalog.Entry, found bool) {
	names, _ := filepath.Glob(filepath.Join(globEscape.Replace(st.Dir), k.String()+"*.mkv"))
	for _, path := range names {
		p, ok := layout.ParseName(filepath.Base(path))
		info, err := st.Files.Stat(path)
		if ok && p.ID == k && p.Suffix != layout.GarbageSuffix && err == nil {
			return catalog.Entry{ID: k, Bytes: info.Size(), Length: uint32(p.Length), State: p.State, Refused: p.Refused}, true
		}
	}
	return e, false
}
