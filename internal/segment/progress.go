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
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// progress is which fragments of a segment need not be sent again. Its file is appended to with
// every acknowledgement, a line each: what a killed process wrote stays, and a torn last line of a
// power cut is as if it had not been written.
//
//	persisted 4000 81234 7960    start and size of the fragment, and its last frame; ms since the segment's start
//	refused 8000 80112 11960 4006 INVALID_MKV_DATA
//	tried 8000 1795233600000 0    when the fragment was refused, Unix ms, and which try that was: 0 is the first
//	again 8000 1795320000000 1    it is pending again, for that try
//
// Versions that do not know a kind of line pass over it.
type progress struct {
	file  file // nil until the first line of this process
	owed  bool // lines are to be written or synced, or the file to be written again
	ended bool // nothing is written any more
	done  map[time.Duration]bool
	again map[time.Duration]refusal // were refused, and are pending again
	bytes int64                     // of the fragments in done
	spans []span                    // media of the fragments in done

	writing sync.Mutex // held to write to the file, and to end it; taken before the store's mu
	notes   notes
}

const (
	linePersisted = "persisted"
	lineRefused   = "refused"
	lineTried     = "tried"
	lineAgain     = "again"
)

func newProgress() *progress { return &progress{done: make(map[time.Duration]bool)} }

func (p *progress) note(f mkv.Fragment) {
	if p.done[f.Start] {
		return
	}
	p.done[f.Start] = true
	delete(p.again, f.Start)
	p.bytes += f.Size
	p.spans = cover(p.spans, span{f.Start.Milliseconds(), f.Last.Milliseconds()})
}

// loadProgress reads a side file, and which fragments are refused by it; a torn or foreign line is passed
// over.
func (s *Store) loadProgress(path string) (*progress, []refusal, error) {
	data, err := s.files.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	p := newProgress()
	var refused refusals
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1) // what a power cut left may be one line
	for lines.Scan() {
		p.read(strings.Fields(lines.Text()), &refused)
	}
	for _, one := range slices.Clone(refused.of[layout.ID{}]) {
		if !byService(one.code) { // the line was to blame
			refused.take(layout.ID{}, one.start)
			p.undo(one)
		}
	}
	list := refused.of[layout.ID{}]
	// A line that a power cut tore must not swallow the next one.
	if n := len(data); n > 0 && data[n-1] != '\n' {
		if s.readOnly {
			return p, list, nil
		}
		f, err := s.files.OpenFile(path, os.O_APPEND|os.O_WRONLY, layout.FileMode)
		if err != nil {
			return nil, nil, err
		}
		_, err = f.Write([]byte{'\n'})
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, nil, err
		}
	}
	return p, list, nil
}

// read takes a line in.
func (p *progress) read(fields []string, refused *refusals) {
	if len(fields) < 4 {
		return
	}
	var numbers [3]int64
	for i := range numbers {
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil || n < 0 {
			return
		}
		numbers[i] = n
	}
	start := time.Duration(numbers[0]) * time.Millisecond
	one, isRefused := refused.take(layout.ID{}, start)
	switch fields[0] {
	case linePersisted, lineRefused:
		f := mkv.Fragment{Start: start, Size: numbers[1], Last: time.Duration(numbers[2]) * time.Millisecond}
		tries := p.again[start].tries
		p.note(f)
		if isRefused = fields[0] == lineRefused; isRefused {
			one = refusal{start: start, last: f.Last, size: f.Size, code: strings.Join(fields[4:], " "), tries: tries}
		}
	case lineTried:
		one.at, one.tries = numbers[1], int(numbers[2])
	case lineAgain:
		if isRefused {
			one.at, one.tries = numbers[1], int(numbers[2])
			p.undo(one)
		}
		return
	}
	if isRefused {
		refused.add(layout.ID{}, one)
	}
}

// MarkPersisted notes that the service acknowledged a fragment as persisted: it will not be sent
// again. The note survives the end of the process at once, and a power cut after the next sync.
func (s *Store) MarkPersisted(k Key, f mkv.Fragment) error {
	return s.note(k, f, linePersisted, "")
}

// MarkRefused notes that the service does not take a fragment, and why: reason begins with its code. The
// fragment counts as done for the upload until Requeue, and its segment is kept when others are deleted after
// their upload.
func (s *Store) MarkRefused(k Key, f mkv.Fragment, reason string) error {
	return s.note(k, f, lineRefused, reason)
}

func (s *Store) note(k Key, f mkv.Fragment, kind, reason string) error {
	one := refusal{start: f.Start, last: f.Last, size: f.Size, code: oneLine(reason), at: s.now().UnixMilli()}
	st, p, err := s.remember(k, f, kind, &one)
	if err != nil {
		return err
	}
	if p != nil {
		line := strings.TrimRight(fmt.Sprintf("%s %d %d %d %s", kind, f.Start.Milliseconds(), f.Size, f.Last.Milliseconds(), oneLine(reason)), " ")
		if kind == lineRefused {
			line += fmt.Sprintf("\n%s %d %d %d", lineTried, f.Start.Milliseconds(), one.at, one.tries)
		}
		err = diskFault(st.dir, s.write(st, p, k.id(), line))
	}
	return errors.Join(err, s.writeOwed(k.Stream, p))
}

// remember notes a fragment in memory: even when the disk fails it is not sent twice by this
// process. The progress is nil when that is known already. A refusal gets its number of tries.
func (s *Store) remember(k Key, f mkv.Fragment, kind string, one *refusal) (*stream, *progress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return nil, nil, notFound(k)
	}
	switch i, ok := st.catalog.Find(k.id()); {
	case !ok && !slices.Contains(st.catalog.Broken, k.id()):
		return nil, nil, notFound(k)
	case ok && st.catalog.Entries[i].State == Uploaded:
		return nil, nil, nil
	}
	a := st.use(k.id())
	if a.progress == nil {
		a.progress = newProgress()
	}
	p := a.progress
	if p.done[f.Start] {
		return nil, nil, nil
	}
	one.tries = p.again[f.Start].tries
	if p.note(f); kind == lineRefused {
		st.refused.add(k.id(), *one)
	}
	return st, p, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Done reports whether a fragment need not be sent: it is persisted, or refused.
func (s *Store) Done(k Key, fragmentStart time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return false
	}
	if i, ok := st.catalog.Find(k.id()); ok && st.catalog.Entries[i].State == Uploaded {
		return true
	}
	a := st.active[k.id()]
	return a != nil && a.progress != nil && a.progress.done[fragmentStart]
}

// MarkUploaded moves a sealed segment to uploaded. Where a part of it cannot be read, that counts as refused: the segment
// is uploaded but for it, and the error is ErrDamaged. It fails with ErrIncomplete when a fragment is
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
	damaged, err := s.noteDamaged(r)
	if err != nil {
		return err
	}
	done, err := s.uploaded(r.stream, k)
	if err != nil || (!done && !s.hasNotes(r.stream, k)) {
		return err
	}
	if err := r.stream.sync(); err != nil {
		return diskFault(r.stream.dir, err)
	}
	if err := s.endProgress(r.stream, k); err != nil || !damaged {
		return err
	}
	return fmt.Errorf("segment %s of stream %s: %w", k.id(), k.Stream, ErrDamaged)
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
	if err != nil || before.State == Uploaded {
		return false, err
	}
	err = st.rename(before.Name(), after.Name())
	s.mu.Lock()
	defer s.mu.Unlock()
	st.active[k.id()].end()
	if err != nil {
		return false, diskFault(st.dir, err)
	}
	i, _ := st.catalog.Find(k.id())
	st.catalog.Replace(i, after)
	st.changed()
	return true, nil
}

// claimUploaded takes a segment for its way to uploaded. Somebody else who does the same is waited
// for, and then there is nothing left to do.
func (s *Store) claimUploaded(st *stream, k Key) (before, after catalog.Entry, err error) {
	for {
		s.mu.Lock()
		i, ok := st.catalog.Find(k.id())
		if !ok {
			s.mu.Unlock()
			return before, after, notFound(k)
		}
		before = st.catalog.Entries[i]
		after = before
		a := st.active[k.id()] // there, for the lease
		if other := a.moving; other != nil {
			s.mu.Unlock()
			<-other.ended
			continue
		}
		if before.State != Uploaded {
			after.State = Uploaded
			after.Refused = len(st.refused.of[k.id()]) > 0
			a.begin(after.Name())
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
	refused := len(st.refused.of[k.id()]) > 0
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	err := s.write(st, p, k.id(), "") // what is owed
	_ = s.endNotes(p)
	if refused {
		return diskFault(st.dir, err) // the reasons stay
	}
	if err := st.files.Remove(filepath.Join(st.dir, layout.ProgressName(k.id()))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskFault(st.dir, err)
	}
	return nil
}
