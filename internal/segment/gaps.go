package segment

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

const lineSince = "since"

const (
	// slowFactor is how much longer than its neighbours a distance of frames must be for a gap: some cameras
	// send a frame every few seconds.
	slowFactor = 3
	// maxGaps bounds what is noted of one segment.
	maxGaps = 256
)

// gapFinder finds gaps in the times of frames, as they come.
type gapFinder struct {
	began  bool
	last   time.Duration // the latest time
	before time.Duration // the distance before the pending one; 0: none
	gap    span          // the last distance, when it may be one
	found  []span
}

// frame takes in a frame.
func (g *gapFinder) frame(t time.Duration) {
	if !g.began {
		g.began, g.last = true, t
		return
	}
	distance := t - g.last
	if distance <= 0 { // shown before the one before
		return
	}
	g.decide(distance)
	if distance > GapAfter {
		g.gap = span{g.last.Milliseconds(), t.Milliseconds()}
	} else {
		g.before = distance
	}
	g.last = t
}

// decide notes the last distance as a gap when the ones around it are much shorter; next is that after it, 0 when
// there is none yet.
func (g *gapFinder) decide(next time.Duration) {
	if g.gap == (span{}) {
		return
	}
	length := time.Duration(g.gap.to-g.gap.from) * time.Millisecond
	around := next
	if g.before > 0 && (next == 0 || g.before < next) {
		around = g.before
	}
	if length > slowFactor*around && len(g.found) < maxGaps {
		g.found = append(g.found, g.gap)
	}
	g.before, g.gap = length, span{}
}

// all lists the gaps so far.
func (g *gapFinder) all() []span {
	now := *g
	now.found = slices.Clone(g.found)
	now.decide(0)
	return now.found
}

// gapNotes are the gaps within a stream's segments. Guarded by the store's mu.
type gapNotes struct {
	noted bool // since is valid
	kept  bool // and in the side file
	owed  bool // the side file lacks something, and is to be written as a whole
	since layout.ID
	of    map[layout.ID][]span
}

// knows reports whether the gaps within a segment would be noted.
func (n *gapNotes) knows(k layout.ID) bool { return n.noted && k.Compare(n.since) >= 0 }

// within places the gaps of a segment in time.
func within(k Key, spans []span) []Gap {
	var gaps []Gap
	for _, s := range spans {
		at := func(ms int64) time.Time { return k.StartTime().Add(time.Duration(ms) * time.Millisecond) }
		gaps = append(gaps, Gap{From: at(s.from), To: at(s.to)})
	}
	return gaps
}

// readGaps reads the side file of a stream. A line that is torn says nothing.
func readGaps(files fileSystem, dir string) (n gapNotes, lines int) {
	n.of = make(map[layout.ID][]span)
	data, err := files.ReadFile(filepath.Join(dir, layout.GapsFileName))
	if err != nil {
		return n, 0
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
		gap := span{int64(from), int64(to)}
		if ok && fromErr == nil && toErr == nil && from < to && len(n.of[k]) < maxGaps && !slices.Contains(n.of[k], gap) {
			n.of[k] = append(n.of[k], gap)
		}
	}
	return n, lines
}

// loadGaps reads the side file and drops what is noted of segments that are gone, when that is most of it. Those
// that were being written are not in the index yet.
func (s *Store) loadGaps(st *stream, torn []layout.ID) {
	var lines int
	st.gaps, lines = readGaps(s.files, st.dir)
	kept, distrusted := 0, st.gaps.noted && !s.gapsNoted
	if distrusted { // an earlier version has recorded since: from which segment on all are noted has to be said again
		st.gaps.noted, st.gaps.kept = false, false
	}
	for k, spans := range st.gaps.of {
		if _, ok := st.catalog.Find(k); ok || slices.Contains(torn, k) {
			kept += len(spans)
			continue
		}
		delete(st.gaps.of, k)
	}
	if s.readOnly || !distrusted && (lines < maxGaps || kept > lines/2) {
		return
	}
	if err := atomicfile.Replace(st.files, filepath.Join(st.dir, layout.GapsFileName), st.gaps.text(), layout.FileMode); err != nil {
		st.gaps.owed = distrusted
		s.log.Warn("cannot write the notes of gaps again", zap.String("stream", st.name), zap.Error(err))
	}
}

// text is the content of a side file.
func (n *gapNotes) text() []byte {
	var text []byte
	if n.noted {
		text = fmt.Appendf(nil, "%s %s\n", lineSince, n.since)
	}
	for k, spans := range n.of {
		text = append(text, gapLines(k, spans)...)
	}
	return text
}

func gapLines(k layout.ID, spans []span) (text []byte) {
	for _, s := range spans {
		text = fmt.Appendf(text, "%s %d %d\n", k, s.from, s.to)
	}
	return text
}

// keepGaps writes from which segments on gaps are noted, once a stream, and what the disk did not take before.
// Nobody who records waits for it.
func (s *Store) keepGaps() {
	s.mu.Lock()
	var owing []*stream
	for _, st := range s.streams {
		if g := &st.gaps; (g.owed || g.noted && !g.kept) && !st.deleting && st.device != 0 {
			owing = append(owing, st)
		}
	}
	s.mu.Unlock()
	for _, st := range owing {
		s.writeGaps(st)
	}
}

// writeGaps writes the side file as a whole.
func (s *Store) writeGaps(st *stream) {
	st.gapping.Lock()
	defer st.gapping.Unlock()
	s.mu.Lock()
	text := st.gaps.text()
	s.mu.Unlock()
	err := atomicfile.Replace(st.files, filepath.Join(st.dir, layout.GapsFileName), text, layout.FileMode)
	s.mu.Lock()
	defer s.mu.Unlock()
	st.gaps.owed, st.gaps.kept = err != nil, st.gaps.kept || err == nil // otherwise it is tried again
}

// noteGaps notes the gaps within a segment that is finished, unless they are noted already. What the disk does not
// take is written by keepGaps.
func (s *Store) noteGaps(st *stream, k layout.ID, spans []span) {
	s.mu.Lock()
	if st.gaps.of == nil {
		st.gaps.of = make(map[layout.ID][]span)
	}
	_, known := st.gaps.of[k]
	if len(spans) > 0 && !known {
		st.gaps.of[k] = spans
	}
	if !st.gaps.noted {
		st.gaps.noted, st.gaps.since = true, k
	}
	s.mu.Unlock()
	if len(spans) == 0 || known {
		return
	}
	st.gapping.Lock()
	defer st.gapping.Unlock()
	if err := st.appendGaps(gapLines(k, spans)); err != nil {
		s.mu.Lock()
		st.gaps.owed = true
		s.mu.Unlock()
		s.log.Warn("cannot note yet where nothing was recorded", zap.String("stream", st.name), zap.Error(err))
	}
}

// appendGaps adds lines to the side file, durably. A line that a power cut tore must not swallow them.
func (st *stream) appendGaps(lines []byte) error {
	f, err := st.files.OpenFile(filepath.Join(st.dir, layout.GapsFileName), os.O_CREATE|os.O_APPEND|os.O_RDWR, layout.FileMode)
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

// recoverGaps notes the gaps within a segment that was recovered.
func (s *Store) recoverGaps(st *stream, k layout.ID, f file, size int64) {
	m, err := mkv.Open(f, size)
	if err != nil {
		return
	}
	if list, err := m.Fragments(); err == nil {
		spans, _ := pauses(m, list)
		s.noteGaps(st, k, spans)
	}
}

// Gaps reads where nothing was recorded within the segment, by the heads of all its frames: for one of
// which Info does not say it.
func (r *Reader) Gaps() ([]Gap, error) {
	m, err := r.container()
	if err != nil {
		return nil, err
	}
	list, _, err := r.Fragments()
	if err != nil {
		return nil, err
	}
	spans, err := pauses(m, list)
	return within(r.key, spans), err
}

func pauses(m *mkv.Reader, list []mkv.Fragment) ([]span, error) {
	var g gapFinder
	for _, f := range list {
		for t, err := range m.Times(f) {
			if err != nil {
				return g.all(), err
			}
			g.frame(t)
		}
	}
	return g.all(), nil
}
