package segment

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Refused is a fragment that the service does not take: it is on this disk only.
type Refused struct {
	Key      Key
	Fragment mkv.Fragment // its Start, Last and Size
	Code     string       // what the service said: 4006 INVALID_MKV_DATA
	At       time.Time    // when it was refused last; zero when that is not known
	Tries    int          // how often it was queued again by itself
}

// refusal is what the store holds of a Refused.
type refusal struct {
	start, last time.Duration
	size        int64
	code        string
	at          int64 // Unix ms; 0 when it is not known
	tries       int
}

// refusals are a stream's refused fragments. Those that wait for another try are not among them.
type refusals struct {
	of    map[layout.ID][]refusal
	count int
	bytes int64
}

func (r *refusals) add(k layout.ID, one refusal) {
	if r.of == nil {
		r.of = make(map[layout.ID][]refusal)
	}
	r.of[k] = append(r.of[k], one)
	r.count++
	r.bytes += one.size
}

// take removes a fragment's refusal.
func (r *refusals) take(k layout.ID, start time.Duration) (one refusal, ok bool) {
	i := slices.IndexFunc(r.of[k], func(x refusal) bool { return x.start == start })
	if i < 0 {
		return one, false
	}
	one = r.of[k][i]
	if r.of[k] = slices.Delete(r.of[k], i, i+1); len(r.of[k]) == 0 {
		delete(r.of, k)
	}
	r.count--
	r.bytes -= one.size
	return one, true
}

// drop removes what is known of a segment.
func (r *refusals) drop(k layout.ID) {
	for _, one := range r.of[k] {
		r.count--
		r.bytes -= one.size
	}
	delete(r.of, k)
}

// sum counts the refused fragments of a segment.
func (r *refusals) sum(k layout.ID) (count int, bytes int64) {
	for _, one := range r.of[k] {
		bytes += one.size
	}
	return len(r.of[k]), bytes
}

// streamReadError is the one code of the service that says what the line did.
const streamReadError = "4000"

// byService tells whether a reason is the service's, or begins with a code like one: a number, or a name
// where it sent none. Versions that gave fragments up when the line broke noted a sentence.
func byService(reason string) bool {
	code := codeOf(reason)
	if n, err := strconv.Atoi(code); err == nil {
		return n > 0 && code != streamReadError
	}
	return strings.Contains(code, "_") && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// codeOf is what fragments that were refused for the same reason have in common.
func codeOf(reason string) string {
	code, _, _ := strings.Cut(strings.TrimSpace(reason), " ")
	return code
}

// SameCode tells whether both were refused for the same reason.
func SameCode(a, b string) bool { return codeOf(a) == codeOf(b) }

// Refused lists a stream's refused fragments, oldest first.
func (s *Store) Refused(stream string) []Refused {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil || st.refused.count == 0 {
		return nil
	}
	list := make([]Refused, 0, st.refused.count)
	for k, all := range st.refused.of {
		for _, one := range all {
			r := Refused{
				Key:      Key{Stream: st.name, Epoch: k.Epoch, Start: k.Start},
				Fragment: mkv.Fragment{Start: one.start, Last: one.last, Size: one.size},
				Code:     one.code, Tries: one.tries,
			}
			if one.at > 0 {
				r.At = time.UnixMilli(one.at).UTC()
			}
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Refused) int {
		return cmp.Or(a.Key.id().Compare(b.Key.id()), cmp.Compare(a.Fragment.Start, b.Fragment.Start))
	})
	return list
}

// RefusedBefore gives why a fragment was refused that is pending again; ok is false for one that was not.
func (s *Store) RefusedBefore(k Key, fragmentStart time.Duration) (code string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return "", false
	}
	if a := st.active[k.id()]; a != nil && a.progress != nil {
		one, ok := a.progress.again[fragmentStart]
		return one.code, ok
	}
	return "", false
}

// Requeue makes refused fragments of a segment pending again; those that are not refused it leaves. With
// counted it is another of their Tries. It survives the end of the process.
func (s *Store) Requeue(k Key, fragmentStarts []time.Duration, counted bool) error {
	st, p, e, err := s.claimRequeue(k, fragmentStarts)
	if err != nil || st == nil {
		return err
	}
	finished := e.State == Uploaded
	if finished {
		p, err = s.reloadProgress(st, k.id(), p)
	}
	if err == nil {
		err = s.write(st, p, k.id(), s.againLines(st, k.id(), fragmentStarts, counted))
	}
	after := e
	after.State, after.Refused = Sealed, false
	if err == nil && finished {
		err = st.rename(e.Name(), after.Name())
	}
	gone := errors.Is(err, fs.ErrNotExist) && st.isGone(e) // asked while nobody else renames it
	var left *progress                                     // nobody has it any more
	s.mu.Lock()
	if finished {
		a := st.active[k.id()]
		a.end()
		left = p
		if i, ok := st.catalog.Find(k.id()); err == nil && ok {
			st.catalog.Replace(i, after)
			left, a.progress = a.progress, p
		}
	}
	if err == nil {
		st.pendAgain(p, k.id(), fragmentStarts, counted)
	}
	st.unuse(k.id())
	st.changed()
	s.mu.Unlock()
	if left != nil {
		_ = s.endNotes(left) // what it says is in the file, or is said with the next try
	}
	if gone {
		return s.vanishedRefused(st, k)
	}
	if err == nil && finished {
		err = st.sync()
	}
	return diskFault(st.dir, err)
}

// reloadProgress reads the side file of a finished segment. What the disk did not take of it before, as open has it,
// is written first; open is nil when nothing has.
func (s *Store) reloadProgress(st *stream, k layout.ID, open *progress) (*progress, error) {
	if open != nil {
		if err := s.write(st, open, k, ""); err != nil {
			return nil, err
		}
	}
	p, _, err := s.loadProgress(filepath.Join(st.dir, layout.ProgressName(k)))
	return p, err
}

// pendAgain takes refused fragments of a segment back. Call with mu held.
func (st *stream) pendAgain(p *progress, k layout.ID, starts []time.Duration, counted bool) {
	for _, start := range starts {
		if one, ok := st.refused.take(k, start); ok {
			if counted {
				one.tries++
			}
			p.undo(one)
		}
	}
}

// isGone reports whether a segment's file is not there.
func (st *stream) isGone(e catalog.Entry) bool {
	_, err := st.files.Stat(filepath.Join(st.dir, e.Name()))
	return errors.Is(err, fs.ErrNotExist)
}

// vanishedRefused is vanished for a segment with refused fragments: who looks for some to queue again finds those
// of others.
func (s *Store) vanishedRefused(st *stream, k Key) error {
	err := s.vanished(st, k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, listed := st.catalog.Find(k.id()); !listed {
		st.refused.drop(k.id())
	}
	return err
}

// claimRequeue takes a segment, of which a finished one gets another name. Somebody else who does that is
// waited for. The stream is nil when none of the fragments is refused.
func (s *Store) claimRequeue(k Key, starts []time.Duration) (*stream, *progress, catalog.Entry, error) {
	for {
		s.mu.Lock()
		st := s.streams[k.Stream]
		if st == nil {
			s.mu.Unlock()
			return nil, nil, catalog.Entry{}, notFound(k)
		}
		i, ok := st.catalog.Find(k.id())
		if !ok {
			s.mu.Unlock()
			return nil, nil, catalog.Entry{}, notFound(k)
		}
		e := st.catalog.Entries[i]
		if !slices.ContainsFunc(st.refused.of[k.id()], func(one refusal) bool { return slices.Contains(starts, one.start) }) {
			s.mu.Unlock()
			return nil, nil, e, nil
		}
		a := st.use(k.id())
		if other := a.moving; other != nil {
			s.mu.Unlock()
			<-other.ended
			continue
		}
		if e.State == Uploaded {
			after := e
			after.State, after.Refused = Sealed, false
			a.begin(after.Name())
		}
		p := a.progress
		s.mu.Unlock()
		return st, p, e, nil
	}
}

// againLines are what the side file is told of fragments that are pending again.
func (s *Store) againLines(st *stream, k layout.ID, starts []time.Duration, counted bool) string {
	now := s.now().UnixMilli()
	var lines []string
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range st.refused.of[k] {
		if slices.Contains(starts, one.start) {
			if counted {
				one.tries++
			}
			lines = append(lines, fmt.Sprintf("%s %d %d %d", lineAgain, one.start.Milliseconds(), now, one.tries))
		}
	}
	return strings.Join(lines, "\n")
}

// undo takes a refused fragment back: it is pending again.
func (p *progress) undo(one refusal) {
	if !p.done[one.start] {
		return
	}
	delete(p.done, one.start)
	p.bytes -= one.size
	p.spans = uncover(p.spans, span{one.start.Milliseconds(), one.last.Milliseconds()})
	if p.again == nil {
		p.again = make(map[time.Duration]refusal)
	}
	p.again[one.start] = one
}

// uncover takes media out of spans.
func uncover(spans []span, s span) []span {
	var left []span
	for _, x := range spans {
		if x.to <= s.from || x.from >= s.to {
			left = append(left, x)
			continue
		}
		if x.from < s.from {
			left = append(left, span{x.from, s.from})
		}
		if s.to < x.to {
			left = append(left, span{s.to, x.to})
		}
	}
	return left
}

// loadRefused takes in which fragments of a finished segment are refused. One that a version gave up which
// blamed fragments for the line, or that was to be tried again, makes the segment pending again.
func (s *Store) loadRefused(st *stream, i int) {
	e := st.catalog.Entries[i]
	p, list, err := s.loadProgress(filepath.Join(st.dir, layout.ProgressName(e.ID)))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("cannot read which fragments of a segment were refused", zap.String("stream", st.name), zap.Error(err))
		}
		return
	}
	for _, one := range list {
		st.refused.add(e.ID, one)
	}
	if len(p.again) == 0 || s.readOnly {
		return
	}
	after := e
	after.State, after.Refused = Sealed, false
	if err := st.rename(e.Name(), after.Name()); err != nil {
		s.log.Warn("cannot queue a segment again", zap.String("stream", st.name), zap.Error(err)) // the next start does
		return
	}
	st.catalog.Replace(i, after)
	st.use(e.ID).progress = p
}
