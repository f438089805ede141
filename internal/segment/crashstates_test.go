package segment

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// fate is what a power cut makes of an operation that is not durable.
type fate uint8

const (
	done  fate = iota
	lost       // never happened
	zeros      // of a write: the file has the size, and zeros
	first      // of a write: its first half
	last       // of a write: its second half, and zeros before
	fates
)

// window is how many operations before the cut have each fate, independently. Of the earlier ones either all happened that are
// not synced, or none.
const window = 3

// crashState is what a power cut after n events leaves: the fate of each event that is not durable.
type crashState struct {
	n    int
	fate map[int]fate // of the events in the window
	base fate         // of the others: done or lost
}

// moment is what is durable after n events.
type moment struct {
	j         *journal
	n         int
	synced    map[int]int    // by file, the last event that synced it
	syncedDir map[string]int // by directory
	dropped   map[int]map[int]bool
}

func (j *journal) at(n int) *moment {
	m := &moment{j: j, n: n, synced: make(map[int]int), syncedDir: make(map[string]int), dropped: make(map[int]map[int]bool)}
	for i, e := range j.events[:n] {
		switch e.op {
		case opSync:
			m.synced[e.id] = i
		case opSyncDir:
			m.syncedDir[e.name] = i
		}
	}
	return m
}

// kept reports whether an event is there whatever happens.
func (m *moment) kept(i int) bool {
	switch e := m.j.events[i]; e.op {
	case opWrite, opTruncate:
		at, ok := m.synced[e.id]
		return ok && at > i
	case opName:
		at, ok := m.syncedDir[filepath.Dir(m.nameAt(i))]
		return ok && at > i
	case opMkdir:
		at, ok := m.syncedDir[filepath.Dir(e.name)]
		return ok && at > i
	}
	return true
}

// nameAt returns the name that an opName is about: of a removal the name that is gone.
func (m *moment) nameAt(i int) string {
	e := m.j.events[i]
	if e.name != "" {
		return e.name
	}
	for k := i - 1; k >= 0; k-- {
		if before := m.j.events[k]; before.op == opName && before.id == e.id {
			return before.name
		}
	}
	return ""
}

// states lists the states that a cut now can leave.
func (m *moment) states() (list []crashState) {
	var open []int // events of the window that are not durable
	for i, left := m.n-1, window; i >= 0 && left > 0; i-- {
		if m.j.events[i].op == opFact {
			continue
		}
		if left--; !m.kept(i) {
			open = append(open, i)
		}
	}
	for _, base := range []fate{done, lost} {
		choices := []map[int]fate{{}}
		for _, i := range open {
			options := fate(lost + 1)
			if m.j.events[i].op == opWrite {
				options = fates
			}
			var longer []map[int]fate
			for _, c := range choices {
				for f := range options {
					with := maps.Clone(c)
					with[i] = f
					longer = append(longer, with)
				}
			}
			choices = longer
		}
		for _, c := range choices {
			list = append(list, crashState{m.n, c, base})
		}
	}
	return list
}

// of returns the fate of an event.
func (s crashState) of(m *moment, i int) fate {
	if m.kept(i) {
		return done
	}
	if f, ok := s.fate[i]; ok {
		return f
	}
	return s.base
}

// files returns what lies on the disk: directories, and files by name.
func (m *moment) files(s crashState) (directories map[string]bool, files map[string][]byte) {
	directories = map[string]bool{".": true}
	holder, since, stopped := make(map[string]int), make(map[string]int), make(map[int]bool)
	names := make(map[int]int) // the last name of each file that it got
	for i, e := range m.j.events[:m.n] {
		switch {
		case e.op == opMkdir && s.of(m, i) == done && directories[filepath.Dir(e.name)]:
			directories[e.name] = true
		case e.op == opName && !stopped[e.id]:
			if s.of(m, i) != done {
				stopped[e.id] = true // what comes after it has not happened either
				continue
			}
			names[e.id] = i
		}
	}
	for id, i := range names {
		if name := m.j.events[i].name; name != "" && directories[filepath.Dir(name)] && (holder[name] == 0 || since[name] < i) {
			holder[name], since[name] = id, i
		}
	}
	files = make(map[string][]byte)
	for name, id := range holder {
		files[name] = m.content(s, id)
	}
	return directories, files
}

// content is what a file has.
func (m *moment) content(s crashState, id int) (data []byte) {
	put := func(off int64, p []byte, size int64) {
		if grow := size - int64(len(data)); grow > 0 {
			data = append(data, make([]byte, grow)...)
		}
		copy(data[off:], p)
	}
	for i, e := range m.j.events[:m.n] {
		if e.id != id || (e.op != opWrite && e.op != opTruncate) {
			continue
		}
		f, end, half := s.of(m, i), e.off+int64(len(e.data)), int64(len(e.data)/2)
		switch {
		case f == lost:
		case e.op == opTruncate:
			put(0, nil, e.size)
			data = data[:e.size]
		case f == done:
			put(e.off, e.data, end)
		case f == zeros:
			put(0, nil, end)
		case f == first:
			put(e.off, e.data[:half], e.off+half)
		case f == last:
			put(e.off+half, e.data[half:], end)
		}
	}
	return data
}

// hashOf identifies a state of the disk.
func hashOf(directories map[string]bool, files map[string][]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, d := range slices.Sorted(maps.Keys(directories)) {
		fmt.Fprintf(h, "%q/", d)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q%d:", name, len(files[name]))
		h.Write(files[name])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// lay writes a state to a directory.
func lay(t *testing.T, to string, directories map[string]bool, files map[string][]byte) {
	t.Helper()
	var err error
	for _, dir := range slices.Sorted(maps.Keys(directories)) {
		err = errors.Join(err, os.MkdirAll(filepath.Join(to, dir), 0o750))
	}
	for name, data := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(to, name), data, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// contentOf identifies what lies in a directory, but for what names the process that has it.
func contentOf(t *testing.T, dir string) [sha256.Size]byte {
	t.Helper()
	directories, files := make(map[string]bool), make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			directories[path] = true
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hashOf(directories, files)
}

// state is one of the disk, with what was promised before the cut.
type state struct{ disk, promises [sha256.Size]byte }

// counted counts what was tried. Safe for concurrent use.
type counted struct {
	mu                             sync.Mutex
	workloads, cuts, states, twice int
	sequences                      map[string]int // states by the operations before the cut
	seen                           map[state]bool
}

func newCounted() *counted {
	return &counted{sequences: make(map[string]int), seen: make(map[state]bool)}
}

// first reports whether a state is met for the first time, and how many there are with it. Those that begin alike share many.
func (c *counted) first(s state) (number int, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first = !c.seen[s]
	c.seen[s] = true
	return len(c.seen), first
}

// operations describes the last operations before a cut.
func (j *journal) operations(n int) string {
	var list []string
	for i := n - 1; i >= 0 && len(list) < window; i-- {
		switch e := j.events[i]; e.op {
		case opFact:
		case opWrite:
			list = append(list, "append")
		case opTruncate:
			list = append(list, "truncate")
		case opSync:
			list = append(list, "fsync")
		case opSyncDir:
			list = append(list, "fsync directory")
		case opMkdir:
			list = append(list, "mkdir")
		case opName:
			switch known := slices.ContainsFunc(j.events[:i], func(o event) bool { return o.op == opName && o.id == e.id }); {
			case e.name == "":
				list = append(list, "unlink")
			case known:
				list = append(list, "rename")
			default:
				list = append(list, "create")
			}
		}
	}
	slices.Reverse(list)
	return strings.Join(list, ", ")
}

// crashes tries each state that a power cut can leave after an event from `from` on, of which it takes every so many-th. So many-th
// recoveries are cut themselves.
func (j *journal) crashes(t *testing.T, from, every, everyRecovery int, c *counted) {
	t.Helper()
	dir := t.TempDir()
	for n := from; n <= len(j.events) && !t.Failed(); n += every {
		m, promises := j.at(n), j.promises(n)
		promise, list := promises.hash(), m.states()
		c.mu.Lock()
		c.cuts, c.states = c.cuts+1, c.states+len(list)
		c.sequences[j.operations(n)] += len(list)
		c.mu.Unlock()
		for _, s := range list {
			directories, files := m.files(s)
			number, first := c.first(state{hashOf(directories, files), promise})
			if !first {
				continue
			}
			at := filepath.Join(dir, fmt.Sprint(number))
			lay(t, at, directories, files)
			if number%everyRecovery == 0 {
				recoveryIsCut(t, at, directories, files, promises, c)
			}
			promises.check(t, at, unsyncedFiles{})
			recoversOnce(t, at)
			if t.Failed() {
				t.Fatalf("cut after event %d (%s): %+v, files %v", n, j.operations(n), s, slices.Sorted(maps.Keys(files)))
			}
			_ = os.RemoveAll(at)
		}
	}
}

// recoversOnce opens a store that was recovered: nothing is left to do, and nothing is there twice.
func recoversOnce(t *testing.T, dir string) {
	t.Helper()
	before := contentOf(t, dir)
	s, err := Open(Options{Dir: dir, Files: unsyncedFiles{}})
	if err != nil {
		t.Errorf("it opens once, and then says: %v", err)
		return
	}
	for _, stream := range s.Streams() {
		var end time.Time
		epoch := uint32(0)
		for _, info := range s.Segments(stream, time.Time{}, time.Time{}) {
			if info.Epoch == epoch && !info.StartTime().After(end) {
				t.Errorf("segment %s of stream %s overlaps the previous one", info.ID(), stream)
			}
			epoch, end = info.Epoch, info.End
			var before time.Duration = -1
			for _, f := range fragmentsOf(t, s, info.Key) {
				if f.Start <= before {
					t.Errorf("segment %s of stream %s has the fragment at %s twice", info.ID(), stream, f.Start)
				}
				before = f.Start
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if contentOf(t, dir) != before {
		t.Error("the second recovery changes files")
	}
}

// recoveryIsCut cuts the recovery of a state at each of its operations, with everything done that is not durable, and with nothing.
func recoveryIsCut(t *testing.T, dir string, directories map[string]bool, files map[string][]byte, p promised, c *counted) {
	t.Helper()
	again := dir + ".again"
	lay(t, again, directories, files)
	j := newJournal(again)
	j.adopt(t)
	from := len(j.events)
	s, err := Open(Options{Dir: again, Files: j})
	if err != nil {
		t.Errorf("recovery: %v", err)
		return
	}
	_ = s.Close()
	for n := from; n <= len(j.events); n++ {
		m := j.at(n)
		for _, state := range []crashState{{n: n, base: done}, {n: n, base: lost}} {
			at := fmt.Sprintf("%s.%d.%d", dir, n, state.base)
			directories, files := m.files(state)
			lay(t, at, directories, files)
			p.check(t, at, unsyncedFiles{})
			_ = os.RemoveAll(at)
			c.mu.Lock()
			c.twice++
			c.mu.Unlock()
		}
	}
	_ = os.RemoveAll(again)
}

// act is something that the store does.
type act struct {
	name string
	do   func(a *actor)
}

// actor does acts to one stream.
type actor struct {
	*story
	w      *Writer
	number int // of segments
	placed int // fragments in the open one
}

var acts = []act{
	{"create", func(a *actor) {
		if a.w != nil {
			a.seal()
		}
		a.create()
	}},
	{"fragment", func(a *actor) {
		if a.w == nil {
			a.create()
		}
		a.story.fragment(a.w, a.placed, false)
		a.placed++
	}},
	{"frames", func(a *actor) {
		if a.w == nil {
			a.create()
		}
		a.story.fragment(a.w, a.placed, true)
		a.placed++
	}},
	{"sync", func(a *actor) {
		if a.w != nil {
			if err := a.sync(a.w); err != nil {
				a.t.Fatal(err)
			}
		}
	}},
	{"seal", (*actor).seal},
	{"persist", func(a *actor) {
		for k, f := range a.oldest() {
			a.story.persist(k, f)
			return
		}
	}},
	{"note", func(a *actor) {
		for k, f := range a.oldest() {
			a.story.persist(k, f)
			a.story.syncProgress(k, f)
			return
		}
	}},
	{"upload", func(a *actor) {
		for _, info := range a.s.Segments("door", time.Time{}, time.Time{}) {
			if info.State == Sealed {
				for _, f := range fragmentsOf(a.t, a.s, info.Key) {
					a.story.persist(info.Key, f)
				}
				a.story.upload(info.Key)
				return
			}
		}
	}},
	{"delete", func(a *actor) {
		for _, info := range a.s.Segments("door", time.Time{}, time.Time{}) {
			if info.State != Writing {
				a.story.delete(info.Key)
				return
			}
		}
	}},
}

func (a *actor) create() {
	var err error
	if a.w, err = a.s.Create("door", headerAt(begin.Add(time.Duration(a.number)*time.Minute))); err != nil {
		a.t.Fatal(err)
	}
	a.number, a.placed = a.number+1, 0
}

func (a *actor) seal() {
	if a.w == nil {
		return
	}
	if err := a.w.Seal(); err != nil {
		a.t.Fatal(err)
	}
	a.w = nil
}

// oldest has the first fragment that is not done of each segment.
func (a *actor) oldest() func(yield func(Key, mkv.Fragment) bool) {
	return func(yield func(Key, mkv.Fragment) bool) {
		for _, info := range a.s.Segments("door", time.Time{}, time.Time{}) {
			if info.State == Uploaded {
				continue
			}
			for _, f := range fragmentsOf(a.t, a.s, info.Key) {
				if !a.s.Done(info.Key, f.Start) {
					if !yield(info.Key, f) {
						return
					}
					break
				}
			}
		}
	}
}

// sequences lists all sequences of acts up to a length.
func sequences(most int) (list [][]act) {
	longest := [][]act{nil}
	for range most {
		var next [][]act
		for _, s := range longest {
			for _, a := range acts {
				next = append(next, append(slices.Clip(s), a))
			}
		}
		list, longest = append(list, next...), next
	}
	return list
}

// mostActs is the length of the longest sequences.
const mostActs = 3

// failedOnce are the sequences in which a state was once not recovered: they are done in every size of the test.
var failedOnce = []string{"create,delete,delete", "delete,create,delete"}

// TestEveryCrashStateIsRecovered tries the states that a power cut can leave, as ACE and ALICE do: for every sequence of up to three
// acts of the store, behind a segment that is being written, and after each of its operations on files.
func TestEveryCrashStateIsRecovered(t *testing.T) {
	t.Parallel()
	type size struct{ acts, every, recovery int }
	z := testtools.Proof(t, "crashstates", testtools.Sizes[size]{
		Short: size{2, 8, 60}, Middle: size{mostActs, 12, 40}, Long: size{mostActs, 1, 10},
	})
	c := newCounted()
	t.Run("all", func(t *testing.T) {
		for i, list := range sequences(mostActs) {
			names := make([]string, len(list))
			for k, a := range list {
				names[k] = a.name
			}
			name := strings.Join(names, ",")
			if (len(list) > z.acts || i%z.every != 0) && !slices.Contains(failedOnce, name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := &actor{story: &story{t: t, j: newJournal(t.TempDir()), way: syncWays[i%len(syncWays)]}}
				a.open()
				a.record("door", begin.Add(-time.Hour), 2)
				acts[1].do(a)
				acts[3].do(a)
				from := len(a.j.events)
				for _, next := range list {
					next.do(a)
				}
				c.mu.Lock()
				c.workloads++
				c.mu.Unlock()
				a.j.crashes(t, from, 1, z.recovery, c)
				if a.w != nil {
					_ = a.w.Abandon()
				}
				_ = a.s.Close()
			})
		}
	})
	t.Logf("%d sequences of acts, %d cuts, %d states, %d of them distinct and recovered, %d recoveries that were cut themselves",
		c.workloads, c.cuts, c.states, len(c.seen), c.twice)
	for _, s := range slices.Sorted(maps.Keys(c.sequences)) {
		t.Logf("%6d states after: %s", c.sequences[s], s)
	}
	if len(c.sequences) < 20 {
		t.Errorf("only %d sequences of operations were met", len(c.sequences))
	}
}

// TestTheDayOfAStoreIsRecoveredInEveryState does it for a day in small, with two streams and three epochs.
func TestTheDayOfAStoreIsRecoveredInEveryState(t *testing.T) {
	t.Parallel()
	z := testtools.Proof(t, "crashstates", testtools.Sizes[int]{Short: 25, Middle: 6, Long: 1})
	y := &story{t: t, j: newJournal(t.TempDir()), way: together}
	y.tell()
	if err := y.s.Close(); err != nil {
		t.Fatal(err)
	}
	c := newCounted()
	y.j.crashes(t, 0, z, 50, c)
	t.Logf("%d cuts, %d states, %d of them distinct and recovered, %d recoveries that were cut themselves",
		c.cuts, c.states, len(c.seen), c.twice)
}
