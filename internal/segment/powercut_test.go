package segment

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// journal notes what a store does to its files, in order, so that a test can work out what a power
// cut at any moment leaves on the disk.
type journal struct {
	osFiles
	root   string
	mu     sync.Mutex // a beat syncs files at the same time
	events []event
	ids    map[string]int // of the file that has that name now
	count  int
	syncs  int // so far
	fails  int // which sync fails, counted from 1; 0: none
}

// event is one operation, or a promise that holds from then on.
type event struct {
	op   operation
	id   int    // of a file
	over int    // the file that had the name before: it has it until the new one has; 0 for none
	name string // its name from now on, relative to root; "" when it is removed; a directory for opMkdir and opSyncDir
	off  int64
	data []byte
	size int64
	fact *fact
}

type operation uint8

const (
	opWrite operation = iota
	opTruncate
	opSync
	opName
	opMkdir
	opSyncDir
	opFact
	opDrop // a sync failed: what was written since the last one never reaches the disk
)

// fact is what the test knows of the media at a moment.
type fact struct {
	kind     string
	key      Key
	fragment mkv.Fragment
	data     []byte
	file     int
	end      int64
	offset   time.Duration
}

func newJournal(root string) *journal { return &journal{root: root, ids: make(map[string]int)} }

func (j *journal) relative(name string) string {
	rel, err := filepath.Rel(j.root, name)
	if err != nil {
		panic(err)
	}
	return rel
}

func (j *journal) note(e event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// journaled is an open file of a journal.
type journaled struct {
	*os.File
	j   *journal
	id  int
	end int64 // where Write writes
}

func (j *journal) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	rel := j.relative(name)
	id, known := j.ids[rel]
	if !known {
		j.count++
		id = j.count
		j.ids[rel] = id
		j.note(event{op: opName, id: id, name: rel})
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if flag&os.O_TRUNC != 0 {
		j.note(event{op: opTruncate, id: id})
	}
	return &journaled{File: f, j: j, id: id, end: info.Size()}, nil
}

func (f *journaled) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.j.note(event{op: opWrite, id: f.id, off: f.end, data: bytes.Clone(p[:n])})
	f.end += int64(n)
	return n, err
}

func (f *journaled) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	f.j.note(event{op: opWrite, id: f.id, off: off, data: bytes.Clone(p[:n])})
	return n, err
}

func (f *journaled) Truncate(size int64) error {
	f.j.note(event{op: opTruncate, id: f.id, size: size})
	return f.File.Truncate(size)
}

func (f *journaled) Sync() error {
	if f.j.failing() {
		f.j.note(event{op: opDrop, id: f.id})
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO}
	}
	f.j.note(event{op: opSync, id: f.id})
	return nil
}

// failing counts a sync, and reports whether it is the one that fails.
func (j *journal) failing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.syncs++
	return j.syncs == j.fails
}

func (j *journal) MkdirAll(dir string, mode fs.FileMode) error {
	j.note(event{op: opMkdir, name: j.relative(dir)})
	return os.MkdirAll(dir, mode)
}

func (j *journal) Rename(from, to string) error {
	err := os.Rename(from, to)
	if err == nil {
		f, t := j.relative(from), j.relative(to)
		old := j.ids[t]
		j.ids[t] = j.ids[f]
		delete(j.ids, f)
		j.note(event{op: opName, id: j.ids[t], name: t, over: old})
	}
	return err
}

func (j *journal) Remove(name string) error {
	err := os.Remove(name)
	if rel := j.relative(name); err == nil {
		j.note(event{op: opName, id: j.ids[rel]})
		delete(j.ids, rel)
	}
	return err
}

func (j *journal) SyncDir(dir string) error {
	if j.failing() { // names are in the file system's own journal: they are kept, or it stops
		return &fs.PathError{Op: "sync", Path: dir, Err: syscall.EIO}
	}
	j.note(event{op: opSyncDir, name: j.relative(dir)})
	return nil
}

// adopt takes what lies in the directory as durable.
func (j *journal) adopt(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(j.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == j.root {
			return err
		}
		rel := j.relative(path)
		if d.IsDir() {
			j.note(event{op: opMkdir, name: rel})
			j.note(event{op: opSyncDir, name: filepath.Dir(rel)})
			return nil
		}
		data, err := os.ReadFile(path)
		j.count++
		j.ids[rel] = j.count
		j.note(event{op: opName, id: j.count, name: rel})
		j.note(event{op: opWrite, id: j.count, data: data})
		j.note(event{op: opSync, id: j.count})
		j.note(event{op: opSyncDir, name: filepath.Dir(rel)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// cut writes to a new directory what a power cut after the first n events can leave: what was
// synced is there; of everything else each write is there, is not, or is torn at a sector; each file has
// any of the names that it had since its directory was synced.
func (j *journal) cut(t *testing.T, n int, random *rand.Rand) string {
	t.Helper()
	synced := make(map[int]int)       // last sync of a file
	syncedDir := make(map[string]int) // and of a directory
	names := make(map[int][]int)      // events by file
	replaced := make(map[int]int)     // files, and the event by which their name went to another
	directories := map[string]bool{".": true}
	for i, e := range j.events[:n] {
		switch e.op {
		case opSync:
			synced[e.id] = i
		case opSyncDir:
			syncedDir[e.name] = i
		case opName:
			names[e.id] = append(names[e.id], i)
			replaced[e.over] = i
		}
	}
	for i, e := range j.events[:n] {
		if e.op == opMkdir && (syncedDir[filepath.Dir(e.name)] > i || random.IntN(2) == 0) {
			directories[e.name] = true
		}
	}
	to := t.TempDir()
	for dir := range directories {
		if err := os.MkdirAll(filepath.Join(to, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	// Who has a name: the file that got it last.
	holder := make(map[string]int)
	since := make(map[string]int)
	for id, events := range names {
		if i, ok := replaced[id]; ok && syncedDir[filepath.Dir(j.events[i].name)] > i {
			continue
		}
		lastSynced := -1
		for at, i := range events {
			name := j.events[i].name
			if name == "" && at > 0 {
				name = j.events[events[at-1]].name // removed from there
			}
			if last, ok := syncedDir[filepath.Dir(name)]; ok && last > i {
				lastSynced = at
			}
		}
		at := lastSynced + random.IntN(len(events)-lastSynced)
		if at < 0 {
			continue // never was
		}
		if name := j.events[events[at]].name; name != "" && directories[filepath.Dir(name)] && (holder[name] == 0 || since[name] < events[at]) {
			holder[name], since[name] = id, events[at]
		}
	}
	for name, id := range holder {
		if err := os.WriteFile(filepath.Join(to, name), j.content(n, id, synced, random), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

const sector = 512

func (j *journal) content(n, id int, synced map[int]int, random *rand.Rand) []byte {
	last, wasSynced := synced[id]
	var data []byte
	put := func(off int64, p []byte) {
		if grow := off + int64(len(p)) - int64(len(data)); grow > 0 {
			data = append(data, make([]byte, grow)...)
		}
		copy(data[off:], p)
	}
	dropped := j.dropped(n, id)
	for i, e := range j.events[:n] {
		if e.id != id {
			continue
		}
		if e.op == opWrite && dropped[i] {
			put(e.off+int64(len(e.data)), nil)
			continue
		}
		isSynced := wasSynced && i < last
		switch e.op {
		case opTruncate:
			if isSynced || random.IntN(2) == 0 {
				data = append(data, make([]byte, max(0, e.size-int64(len(data))))...)[:e.size]
			}
		case opWrite:
			fate := random.IntN(4)
			switch {
			case isSynced || fate == 0:
				put(e.off, e.data)
			case fate == 1: // lost
			case fate == 2: // the size without the data
				put(e.off+int64(len(e.data)), nil)
			default: // some of its sectors
				for from := int64(0); from < int64(len(e.data)); {
					to := min(int64(len(e.data)), (e.off+from)/sector*sector+sector-e.off)
					if random.IntN(2) == 0 {
						put(e.off+from, e.data[from:to])
					}
					from = to
				}
			}
		}
	}
	return data
}

// dropped returns the writes to a file that a failed sync lost.
func (j *journal) dropped(n, id int) map[int]bool {
	lost, from := make(map[int]bool), 0
	for i, e := range j.events[:n] {
		switch {
		case e.id != id:
		case e.op == opSync:
			from = i
		case e.op == opDrop:
			for k := from; k < i; k++ {
				lost[k] = j.events[k].id == id
			}
		}
	}
	return lost
}

// story records, uploads and deletes on a journal, and notes facts.
type story struct {
	t   *testing.T
	j   *journal
	s   *Store
	way string // how segments are made durable, see syncWays
}

func (y *story) fact(f fact) { y.j.note(event{op: opFact, fact: &f}) }

func (y *story) open() {
	y.t.Helper()
	var err error
	if y.s, err = Open(Options{Dir: y.j.root, Files: y.files()}); err != nil {
		y.t.Fatal(err)
	}
}

// fragment records one fragment of a second in pieces, some of which are flushed and synced.
func (y *story) fragment(w *Writer, i int, flush bool) mkv.Fragment {
	y.t.Helper()
	at := time.Duration(i) * time.Second
	err := w.BeginFragment(at, true)
	for frame := range 5 {
		err = errors.Join(err, w.WriteFrame(1, at+time.Duration(frame)*200*time.Millisecond, frame == 0, [][]byte{payload(i*25 + frame)}))
		if flush && frame == 2 {
			err = errors.Join(err, w.Flush(), y.sync(w))
		}
	}
	f, endErr := w.EndFragment()
	if err := errors.Join(err, endErr); err != nil {
		y.t.Fatal(err)
	}
	path := filepath.Join(w.stream.Dir, layout.WritingName(w.key.ID()))
	data, err := os.ReadFile(path)
	if err != nil {
		y.t.Fatal(err)
	}
	y.fact(fact{
		kind: "fragment", key: w.key, fragment: f, data: data[f.Offset+clusterHead : f.Offset+f.Size],
		file: y.j.ids[y.j.relative(path)], end: w.key.Start + f.Last.Milliseconds(),
	})
	return f
}

// clusterHead is what finishing a file may change of a cluster.
const clusterHead = mkv.ClusterHeadSize

func (y *story) record(stream string, start time.Time, fragments int) Key {
	y.t.Helper()
	w, err := y.s.Create(stream, headerAt(start))
	if err != nil {
		y.t.Fatal(err)
	}
	for i := range fragments {
		y.fragment(w, i, i%2 == 1)
		if i%3 == 2 {
			if err := y.sync(w); err != nil {
				y.t.Fatal(err)
			}
		}
	}
	if err := w.Seal(); err != nil {
		y.t.Fatal(err)
	}
	return w.key
}

func (y *story) persist(k Key, f mkv.Fragment) {
	y.t.Helper()
	y.fact(fact{kind: "noting", key: k, fragment: f})
	if err := y.s.MarkPersisted(k, f); err != nil {
		y.t.Fatal(err)
	}
}

func (y *story) syncProgress(k Key, list ...mkv.Fragment) {
	y.t.Helper()
	if err := y.noteDurably(); err != nil {
		y.t.Fatal(err)
	}
	for _, f := range list {
		y.fact(fact{kind: "persisted", key: k, fragment: f})
	}
}

func (y *story) upload(k Key) {
	y.t.Helper()
	y.fact(fact{kind: "uploading", key: k})
	if err := y.s.MarkUploaded(k); err != nil {
		y.t.Fatal(err)
	}
}

func (y *story) delete(k Key) {
	y.t.Helper()
	y.fact(fact{kind: "deleting", key: k})
	if err := y.s.Delete(k); err != nil {
		y.t.Fatal(err)
	}
}

// epoch begins one, as the times of the stream in the last one from `from` on are off by add.
func (y *story) epoch(stream string, from time.Time, add time.Duration, at time.Time) {
	y.t.Helper()
	k := Key{Stream: stream, Epoch: y.s.streams[stream].Catalog.Epoch + 1}
	y.fact(fact{kind: "beginning", key: k})
	if err := y.s.BeginEpoch(stream, from, time.Time{}, add, at); err != nil {
		y.t.Fatal(err)
	}
	y.fact(fact{kind: "started", key: k, end: from.UnixMilli(), offset: add})
}

// tell is a day of a store in small.
func (y *story) tell() {
	y.t.Helper()
	y.open()
	at := func(minute int) time.Time { return begin.Add(time.Duration(minute) * time.Minute) }
	first := y.record("door", at(0), 5)
	second := y.record("door", at(1), 2)
	y.record("yard", at(0), 3)
	list := fragmentsOf(y.t, y.s, first)
	for i, f := range list {
		y.persist(first, f)
		if i == 2 {
			y.syncProgress(first, list[:3]...)
		}
	}
	y.syncProgress(first, list...)
	y.upload(first)
	y.persist(second, fragmentsOf(y.t, y.s, second)[0])
	y.syncProgress(second, fragmentsOf(y.t, y.s, second)[0])
	y.delete(first)
	y.delete(second) // the newest: only the stream file remembers the stream's time
	w, err := y.s.Create("door", headerAt(at(2)))
	if err != nil {
		y.t.Fatal(err)
	}
	y.fragment(w, 0, false)
	y.fragment(w, 1, true)
	if err := y.sync(w); err != nil {
		y.t.Fatal(err)
	}
	f := y.fragment(w, 2, true)
	y.persist(w.key, f)
	y.fragment(w, 3, false)
	if err := w.Seal(); err != nil {
		y.t.Fatal(err)
	}
	y.record("yard", at(120), 2) // two hours ahead
	y.epoch("yard", at(120), -2*time.Hour, at(3))
	y.record("yard", at(3), 2)
	right := y.record("yard", at(4), 2)
	y.delete(right) // only the stream file remembers the epoch's time
	y.epoch("yard", at(4), 0, at(2))
	y.record("yard", at(2), 1)
}

// promised is what must be there after a power cut after n events.
type promised struct {
	fragments map[Key][]*fact
	persisted map[Key][]mkv.Fragment
	noting    map[Key]int
	uploading map[Key]bool
	end       map[string]int64 // newest durable producer time of the epoch by stream
	epochs    map[string]uint32
	started   []*fact // epochs
}

func (j *journal) promises(n int) promised {
	p := promised{
		fragments: make(map[Key][]*fact), persisted: make(map[Key][]mkv.Fragment), noting: make(map[Key]int),
		uploading: make(map[Key]bool), end: make(map[string]int64), epochs: make(map[string]uint32),
	}
	lastSync := make(map[int]int)
	for i, e := range j.events[:n] {
		if e.op == opSync {
			lastSync[e.id] = i
		}
	}
	for i, e := range j.events[:n] {
		if e.op != opFact {
			continue
		}
		switch f := e.fact; f.kind {
		case "sealed": // and listed, so believed durable
			p.fragments[f.key] = append(p.fragments[f.key], f)
		case "fragment":
			if lastSync[f.file] > i && len(j.dropped(n, f.file)) == 0 {
				p.fragments[f.key] = append(p.fragments[f.key], f)
				p.end[f.key.Stream] = max(p.end[f.key.Stream], f.end)
			}
		case "persisted":
			p.persisted[f.key] = append(p.persisted[f.key], f.fragment)
		case "noting":
			p.noting[f.key]++
		case "uploading":
			p.uploading[f.key] = true
		case "beginning":
			delete(p.end, f.key.Stream)
		case "started":
			p.epochs[f.key.Stream] = f.key.Epoch
			p.started = append(p.started, f)
		case "deleting":
			delete(p.fragments, f.key)
			delete(p.persisted, f.key)
		}
	}
	return p
}

// hash identifies all that check examines.
func (p promised) hash() [sha256.Size]byte {
	facts := func(list []*fact) (all []string) {
		for _, f := range list {
			all = append(all, fmt.Sprint(f.kind, f.key, f.fragment, sha256.Sum256(f.data), f.end, f.offset))
		}
		return all
	}
	fragments := make(map[Key][]string)
	for k, list := range p.fragments {
		fragments[k] = facts(list)
	}
	return sha256.Sum256(fmt.Append(nil, fragments, p.persisted, p.noting, p.uploading, p.end, p.epochs, facts(p.started)))
}

// check opens what a power cut left and holds it against the promises.
func (p promised) check(t *testing.T, dir string, files fileSystem) {
	t.Helper()
	s, err := Open(Options{Dir: dir, Files: files})
	if err != nil {
		t.Errorf("recovery: %v", err)
		return
	}
	defer func() { _ = s.Close() }()
	for k, facts := range p.fragments {
		r, err := s.OpenSegment(k)
		if err != nil {
			t.Errorf("a synced segment is gone: %v", err)
			continue
		}
		list, finished, err := r.Fragments()
		if err != nil || !finished {
			t.Errorf("%v: finished %v, %v", k, finished, err)
		}
		for _, f := range facts {
			if !holds(r, list, f) {
				t.Errorf("%s %s: the synced fragment at %s is lost; there are %v", k.Stream, k.ID(), f.fragment.Start, list)
			}
		}
		_ = r.Close()
	}
	for k, list := range p.persisted {
		for _, f := range list {
			if !s.Done(k, f.Start) {
				t.Errorf("%s %s: the synced note of %s is lost", k.Stream, k.ID(), f.Start)
			}
		}
	}
	for stream, epoch := range p.epochs {
		if got := s.streams[stream].Catalog.Epoch; got < epoch {
			t.Errorf("%s: epoch %d had begun, and it is epoch %d", stream, epoch, got)
		}
	}
	for _, f := range p.started {
		for k := range p.fragments {
			ahead := k.Stream == f.key.Stream && k.Epoch+1 == f.key.Epoch && k.Start >= f.end
			if wire, _ := s.Offsets(k, 0); ahead && wire != f.offset {
				t.Errorf("%s %s: the note that it is off by %s is lost: %s", k.Stream, k.ID(), f.offset, wire)
			}
		}
	}
	for stream, end := range p.end {
		if got := s.LastEnd(stream); got.UnixMilli() < end {
			t.Errorf("%s: time went back to %s, media ends %s", stream, got, time.UnixMilli(end).UTC())
		}
	}
	for _, stream := range s.Streams() {
		for _, info := range s.Segments(stream, time.Time{}, time.Time{}) {
			if info.State == Writing || (info.State == Uploaded && !p.uploading[info.Key]) {
				t.Errorf("%s %s is %s after recovery", stream, info.ID(), info.State)
			}
			if r, err := s.OpenSegment(info.Key); err != nil {
				t.Errorf("%s %s cannot be opened: %v", stream, info.ID(), err)
			} else {
				if m, err := r.container(); err != nil || !m.Complete() {
					t.Errorf("%s %s is not finished", stream, info.ID())
				}
				_ = r.Close()
			}
		}
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, layout.WritingSuffix) || d.Name() == layout.QuarantineName) {
			t.Errorf("recovery left %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func holds(r *Reader, list []mkv.Fragment, f *fact) bool {
	for _, g := range list {
		if g.Start != f.fragment.Start {
			continue
		}
		data := make([]byte, g.Size-clusterHead)
		_, err := r.ReadAt(data, g.Offset+clusterHead)
		return err == nil && bytes.Equal(data, f.data)
	}
	return false
}

// unsyncedFiles is the disk without waiting for it.
type unsyncedFiles struct{ osFiles }

func (unsyncedFiles) SyncDir(string) error { return nil }

func (u unsyncedFiles) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	f, err := u.osFiles.OpenFile(name, flag, mode)
	return unsyncedFile{f}, err
}

type unsyncedFile struct{ file }

func (unsyncedFile) Sync() error { return nil }

func TestPowerCutsAtEveryPointLoseNothingThatWasSynced(t *testing.T) {
	t.Parallel()
	for _, way := range syncWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			cutAtEveryPoint(t, way)
		})
	}
}

func cutAtEveryPoint(t *testing.T, way string) {
	y := &story{t: t, j: newJournal(t.TempDir()), way: way}
	y.tell()
	if err := y.s.Close(); err != nil {
		t.Fatal(err)
	}
	variants := testtools.Proof(t, "powercuts", testtools.Sizes[int]{Short: 2, Middle: 8, Long: 100})
	t.Logf("%d operations, %d power cuts", len(y.j.events), variants*len(y.j.events))
	for n := range len(y.j.events) + 1 {
		for v := range variants {
			random := rand.New(rand.NewPCG(uint64(n), uint64(v)))
			y.j.promises(n).check(t, y.j.cut(t, n, random), unsyncedFiles{})
			if t.Failed() {
				t.Fatalf("power cut after operation %d, variant %d: %+v", n, v, y.j.events[max(0, n-1)].op)
			}
		}
	}
}

func TestPowerCutsDuringRecoveryLoseNothingMore(t *testing.T) {
	t.Parallel()
	for _, way := range syncWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			cutDuringRecovery(t, way)
		})
	}
}

func cutDuringRecovery(t *testing.T, way string) {
	y := &story{t: t, j: newJournal(t.TempDir()), way: way}
	y.tell()
	if err := y.s.Close(); err != nil {
		t.Fatal(err)
	}
	seeds := testtools.Proof(t, "powercuts", testtools.Sizes[uint64]{Short: 8, Middle: 60, Long: 2000})
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 99))
		n := random.IntN(len(y.j.events) + 1)
		recovery := newJournal(y.j.cut(t, n, random))
		recovery.adopt(t)
		before := len(recovery.events)
		s, err := Open(Options{Dir: recovery.root, Files: recovery})
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		for cut := before; cut <= len(recovery.events); cut++ {
			y.j.promises(n).check(t, recovery.cut(t, cut, random), unsyncedFiles{})
		}
		if t.Failed() {
			t.Fatalf("power cut after operation %d and again in recovery, seed %d", n, seed)
		}
	}
}

// An SD card lives longer with few large writes: what goes to the disk is the media, and little else.
func TestWritesAreLargeAndFewBeyondTheMedia(t *testing.T) {
	t.Parallel()
	j := newJournal(t.TempDir())
	s, err := Open(Options{Dir: j.root, Files: j})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	// A minute at 4 Mbit/s and 25 pictures a second, flushed as the recorder does.
	const seconds, perFrame, perFlush = 60, 20_000, 38 // frames in three quarters of the flush interval
	w, err := s.Create("door", headerAt(begin))
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, perFrame)
	media := 0
	for i := range seconds {
		at := time.Duration(i) * time.Second
		err := w.BeginFragment(at, true)
		for n := range 25 {
			err = errors.Join(err, w.WriteFrame(1, at+time.Duration(n)*frameInterval, n == 0, [][]byte{frame}))
			media += perFrame
			if (25*i+n)%perFlush == perFlush-1 {
				err = errors.Join(err, w.Flush(), w.sync(DefaultFlushInterval))
			}
		}
		f, endErr := w.EndFragment()
		if err := errors.Join(err, endErr, s.MarkPersisted(w.key, f), s.SyncProgress()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Seal(), s.MarkUploaded(w.key)); err != nil {
		t.Fatal(err)
	}
	bytes, writes, large, syncs := 0, 0, 0, 0
	for _, e := range j.events {
		switch e.op {
		case opWrite:
			bytes += len(e.data)
			writes++
			if len(e.data) > 100_000 {
				large++
			}
		case opSync, opSyncDir:
			syncs++
		}
	}
	t.Logf("%d bytes of media, %.4f of it written, in %d writes (%d large), %d syncs", media, float64(bytes)/float64(media), writes, large,
		syncs)
	if float64(bytes) > 1.02*float64(media) {
		t.Errorf("%d bytes are written for %d of media", bytes, media)
	}
	if perMinute := 25*seconds/perFlush + seconds + 20; syncs > perMinute { // recording, acknowledgements, begin and end
		t.Errorf("%d syncs in a minute", syncs)
	}
}
