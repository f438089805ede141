package segment

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// progress is which fragments of a segment need not be sent again. Its file is appended to with
// every acknowledgement, a line each: what a killed process wrote stays, and a torn last line of a
// power cut is as if it had not been written.
//
//	persisted 4000 81234 7960    start and size of the fragment, and its last frame; ms since the segment's start
//	refused 8000 80112 11960 4006 INVALID_MKV_DATA
type progress struct {
	file    file // nil until the first line of this process
	owed    bool // lines are to be written or synced, or the file to be written again
	ended   bool // nothing is written any more
	done    map[time.Duration]bool
	refused int
	bytes   int64  // of the fragments in done
	spans   []span // media of the fragments in done

	writing sync.Mutex // held to write to the file, and to end it; taken before the store's mu
	notes   notes
}

const (
	linePersisted = "persisted"
	lineRefused   = "refused"
)

func newProgress() *progress { return &progress{done: make(map[time.Duration]bool)} }

func (p *progress) note(f mkv.Fragment, refused bool) {
	if p.done[f.Start] {
		return
	}
	p.done[f.Start] = true
	p.bytes += f.Size
	p.spans = cover(p.spans, span{f.Start.Milliseconds(), f.Last.Milliseconds()})
	if refused {
		p.refused++
	}
}

// loadProgress reads a side file; a torn or foreign line is passed over.
func (s *Store) loadProgress(path string) (*progress, error) {
	data, err := s.files.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := newProgress()
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1) // what a power cut left may be one line
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || (fields[0] != linePersisted && fields[0] != lineRefused) {
			continue
		}
		var numbers [3]int64
		good := true
		for i := range numbers {
			n, err := strconv.ParseInt(fields[i+1], 10, 64)
			good = good && err == nil && n >= 0
			numbers[i] = n
		}
		if good {
			p.note(mkv.Fragment{
				Start: time.Duration(numbers[0]) * time.Millisecond,
				Size:  numbers[1],
				Last:  time.Duration(numbers[2]) * time.Millisecond,
			}, fields[0] == lineRefused)
		}
	}
	// A line that a power cut tore must not swallow the next one.
	if n := len(data); n > 0 && data[n-1] != '\n' {
		if s.readOnly {
			return p, nil
		}
		f, err := s.files.OpenFile(path, os.O_APPEND|os.O_WRONLY, fileMode)
		if err != nil {
			return nil, err
		}
		_, err = f.Write([]byte{'\n'})
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// MarkPersisted notes that the service acknowledged a fragment as persisted: it will not be sent
// again. The note survives the end of the process at once, and a power cut after the next sync.
func (s *Store) MarkPersisted(k Key, f mkv.Fragment) error {
	return s.note(k, f, linePersisted, "")
}

// MarkRefused notes that the service will never take a fragment, and why. The fragment counts as
// done for the upload, and its segment is kept when others are deleted after their upload.
func (s *Store) MarkRefused(k Key, f mkv.Fragment, reason string) error {
	return s.note(k, f, lineRefused, reason)
}

func (s *Store) note(k Key, f mkv.Fragment, kind, reason string) error {
	st, p, known, err := s.remember(k, f, kind)
	if err != nil || p == nil {
		return err
	}
	line := ""
	if !known {
		line = fmt.Sprintf("%s %d %d %d %s", kind, f.Start.Milliseconds(), f.Size, f.Last.Milliseconds(), oneLine(reason))
	}
	return diskFault(st.dir, errors.Join(s.write(st, p, k.id(), strings.TrimRight(line, " ")), s.writeOwed(st, p)))
}

// remember notes a fragment in memory: even when the disk fails it is not sent twice by this
// process. known says that it was noted already, and the progress is nil when the segment is uploaded.
func (s *Store) remember(k Key, f mkv.Fragment, kind string) (st *stream, p *progress, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st = s.streams[k.Stream]
	if st == nil {
		return nil, nil, false, notFound(k)
	}
	switch i, ok := st.index.find(k.id()); {
	case !ok && !slices.Contains(st.broken, k.id()):
		return nil, nil, false, notFound(k)
	case ok && st.index.entries[i].state == Uploaded:
		return nil, nil, true, nil
	}
	a := st.use(k.id())
	if a.progress == nil {
		a.progress = newProgress()
	}
	p = a.progress
	known = p.done[f.Start]
	p.note(f, kind == lineRefused)
	return st, p, known, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Done reports whether a fragment need not be sent: it is persisted, or refused for good.
func (s *Store) Done(k Key, fragmentStart time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return false
	}
	if i, ok := st.index.find(k.id()); ok && st.index.entries[i].state == Uploaded {
		return true
	}
	a := st.active[k.id()]
	return a != nil && a.progress != nil && a.progress.done[fragmentStart]
}

// MarkUploaded moves a sealed segment to uploaded. It fails with ErrIncomplete when a fragment is
// neither persisted nor refused.
func (s *Store) MarkUploaded(k Key) error {
	r, err := s.OpenSegment(k)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	fragments, finished, err := r.Fragments()
	if err != nil {
		return err
	}
	if !finished {
		return fmt.Errorf("segment %s of stream %s is still being written: %w", k.id(), k.Stream, ErrIncomplete)
	}
	for _, f := range fragments {
		if !s.Done(k, f.Start) {
			return fmt.Errorf("segment %s of stream %s: %w", k.id(), k.Stream, ErrIncomplete)
		}
	}
	done, err := s.uploaded(r.stream, k)
	if err != nil || (!done && !s.hasNotes(r.stream, k)) {
		return err
	}
	if err := r.stream.sync(); err != nil {
		return diskFault(r.stream.dir, err)
	}
	return s.endProgress(r.stream, k)
}

// hasNotes reports whether the side file of an uploaded segment is still there, because its name could not
// be made durable before.
func (s *Store) hasNotes(st *stream, k Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := st.active[k.id()]
	return a != nil && a.progress != nil
}

// uploaded renames the segment's file; done says that it was not so before. Call with a lease.
func (s *Store) uploaded(st *stream, k Key) (done bool, err error) {
	before, after, err := s.claimUploaded(st, k)
	if err != nil || before.state == Uploaded {
		return false, err
	}
	err = st.rename(before.name(), after.name())
	s.mu.Lock()
	defer s.mu.Unlock()
	st.active[k.id()].end()
	if err != nil {
		return false, diskFault(st.dir, err)
	}
	i, _ := st.index.find(k.id())
	st.index.replace(i, after)
	st.changed()
	return true, nil
}

// claimUploaded takes a segment for its way to uploaded. Somebody else who does the same is waited
// for, and then there is nothing left to do.
func (s *Store) claimUploaded(st *stream, k Key) (before, after entry, err error) {
	for {
		s.mu.Lock()
		i, ok := st.index.find(k.id())
		if !ok {
			s.mu.Unlock()
			return before, after, notFound(k)
		}
		before = st.index.entries[i]
		after = before
		a := st.active[k.id()] // there, for the lease
		if other := a.moving; other != nil {
			s.mu.Unlock()
			<-other.ended
			continue
		}
		if before.state != Uploaded {
			after.state = Uploaded
			after.refused = a.progress != nil && a.progress.refused > 0
			a.begin(after.name())
		}
		s.mu.Unlock()
		return before, after, nil
	}
}

// endProgress removes the side file of an uploaded segment. Its new name must be durable before:
// without both, all of it would be sent again.
func (s *Store) endProgress(st *stream, k Key) error {
	s.mu.Lock()
	var p *progress
	if a := st.active[k.id()]; a != nil {
		p, a.progress = a.progress, nil
		st.unuse(k.id())
	}
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	if p.refused > 0 {
		err := s.write(st, p, k.id(), "") // what is owed: the reasons stay for a person to read
		return diskFault(st.dir, errors.Join(err, s.endNotes(p)))
	}
	_ = s.endNotes(p)
	if err := st.files.Remove(filepath.Join(st.dir, progressName(k.id()))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskFault(st.dir, err)
	}
	return nil
}
