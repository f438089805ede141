package gaps

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// lineSince begins the line that names the segment from which on all gaps are noted.
const lineSince = "since"

// Notes are the gaps within a stream's segments, in memory and in the stream's side file. Safe for concurrent use.
type Notes struct {
	files atomicfile.FileSystem
	dir   string

	writing *signal.Turn // held to write the side file; taken before mu

	mu      sync.Mutex
	noted   bool // since is valid
	kept    bool // since is in the side file
	unsaved bool // the side file is incomplete, and is to be written again completely
	since   layout.ID
	of      map[layout.ID][]layout.Span
}

// New returns the notes of a stream without any.
func New(files atomicfile.FileSystem, dir string) *Notes {
	return &Notes{files: files, dir: dir, writing: signal.NewTurn(), of: make(map[layout.ID][]layout.Span)}
}

// LoadOptions describe the context of a side file.
type LoadOptions struct {
	// Noted is true when the agent that used the recordings before notes gaps.
	Noted bool
	// There reports whether a segment exists.
	There func(layout.ID) bool
	// ReadOnly leaves the file as it is.
	ReadOnly bool
}

// Load reads the side file and drops the notes of deleted segments when these are most of it. The notes are valid with an
// error as well: then the file could not be written again.
func Load(files atomicfile.FileSystem, dir string, o LoadOptions) (*Notes, error) {
	n := New(files, dir)
	lines := n.read()
	kept, distrusted := 0, n.noted && !o.Noted
	if distrusted { // an earlier version has recorded since: the line about where the notes begin has to be written again
		n.noted, n.kept = false, false
	}
	for k, spans := range n.of {
		if o.There(k) {
			kept += len(spans)
			continue
		}
		delete(n.of, k)
	}
	if o.ReadOnly || !distrusted && (lines < maxGaps || kept > lines/2) {
		return n, nil
	}
	if err := atomicfile.Replace(files, n.path(), n.text(), layout.FileMode); err != nil {
		n.unsaved = distrusted
		return n, err
	}
	return n, nil
}

func (n *Notes) path() string { return filepath.Join(n.dir, layout.GapsFileName) }

// read reads the side file. Torn lines are ignored.
func (n *Notes) read() (lines int) {
	data, err := n.files.ReadFile(n.path())
	if err != nil {
		return 0
	}
	for scan := bufio.NewScanner(bytes.NewReader(data)); scan.Scan(); lines++ {
		words := strings.Fields(scan.Text())
		if len(words) == 2 && words[0] == lineSince && !n.noted {
			n.since, n.noted = layout.ParseID(words[1])
			n.kept = n.noted
			continue
		}
		if len(words) != 3 {
			continue
		}
		k, ok := layout.ParseID(words[0])
		from, fromErr := strconv.ParseUint(words[1], 10, 32)
		to, toErr := strconv.ParseUint(words[2], 10, 32)
		gap := layout.Span{From: int64(from), To: int64(to)}
		if ok && fromErr == nil && toErr == nil && from < to && len(n.of[k]) < maxGaps && !slices.Contains(n.of[k], gap) {
			n.of[k] = append(n.of[k], gap)
		}
	}
	return lines
}

// Of returns the gaps noted for a segment.
func (n *Notes) Of(k layout.ID) []layout.Span {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[k]
}

// Covers reports whether the gaps within a segment would be noted.
func (n *Notes) Covers(k layout.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.noted && k.Compare(n.since) >= 0
}

// Forget drops the notes of a segment. The side file follows when it is written again.
func (n *Notes) Forget(k layout.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.of, k)
}

// Note notes the gaps within a segment that is finished, unless they are noted already. With an error they are in memory
// only, and Unsaved returns true until Write succeeds.
func (n *Notes) Note(k layout.ID, spans []layout.Span) error {
	n.mu.Lock()
	_, known := n.of[k]
	if len(spans) > 0 && !known {
		n.of[k] = spans
	}
	if !n.noted {
		n.noted, n.since = true, k
	}
	n.mu.Unlock()
	if len(spans) == 0 || known {
		return nil
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	err := n.append(linesOf(k, spans))
	if err != nil {
		n.mu.Lock()
		n.unsaved = true
		n.mu.Unlock()
	}
	return err
}

// Lost records that the side file is gone.
func (n *Notes) Lost() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept, n.unsaved = false, n.unsaved || len(n.of) > 0
}

// Unsaved reports whether the side file is incomplete.
func (n *Notes) Unsaved() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.unsaved || n.noted && !n.kept
}

// Write writes the complete side file.
func (n *Notes) Write() error {
	n.writing.Lock()
	defer n.writing.Unlock()
	n.mu.Lock()
	text := n.text()
	n.mu.Unlock()
	err := atomicfile.Replace(n.files, n.path(), text, layout.FileMode)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unsaved, n.kept = err != nil, n.kept || err == nil // otherwise it is tried again
	return err
}

// text returns the content of the side file.
func (n *Notes) text() []byte {
	var text []byte
	if n.noted {
		text = fmt.Appendf(nil, "%s %s\n", lineSince, n.since)
	}
	for k, spans := range n.of {
		text = append(text, linesOf(k, spans)...)
	}
	return text
}

func linesOf(k layout.ID, spans []layout.Span) (text []byte) {
	for _, s := range spans {
		text = fmt.Appendf(text, "%s %d %d\n", k, s.From, s.To)
	}
	return text
}

// append adds lines to the side file, durably. A line that a power cut tore must not swallow them.
func (n *Notes) append(lines []byte) error {
	f, err := n.files.OpenFile(n.path(), os.O_CREATE|os.O_APPEND|os.O_RDWR, layout.FileMode)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], info.Size()-1); err != nil || last[0] != '\n' {
			lines = append([]byte{'\n'}, lines...)
		}
	}
	if _, err := f.Write(lines); err != nil {
		return err
	}
	return f.Sync()
}
