package segment

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// full is a disk that, while told to, takes no note or only some bytes of one, or fails to open, read or sync
// the file.
type full struct {
	unsyncedFiles
	op    atomic.Value // string: open, read, write or sync
	reads atomic.Int32 // that failed
	takes int          // bytes of a write
	why   error
}

func (d *full) fails(op string) error {
	if now, _ := d.op.Load().(string); now == op {
		return &fs.PathError{Op: op, Path: "note", Err: d.why}
	}
	return nil
}

func (d *full) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	if !strings.Contains(name, layout.ProgressSuffix) {
		return d.unsyncedFiles.OpenFile(name, flag, mode)
	}
	if err := d.fails("open"); err != nil {
		return nil, err
	}
	f, err := d.unsyncedFiles.OpenFile(name, flag, mode)
	return fullFile{f, d}, err
}

func (d *full) ReadFile(name string) ([]byte, error) {
	if err := d.fails("read"); err != nil && strings.Contains(name, layout.ProgressSuffix) {
		d.reads.Add(1)
		return nil, err
	}
	return d.unsyncedFiles.ReadFile(name)
}

type fullFile struct {
	file
	disk *full
}

func (f fullFile) Write(p []byte) (int, error) {
	if err := f.disk.fails("write"); err != nil {
		n, _ := f.file.Write(p[:min(f.disk.takes, len(p))])
		return n, err
	}
	return f.file.Write(p)
}

func (f fullFile) Sync() error { return f.disk.fails("sync") }

// killed returns the store that comes after one that was killed. Its lock goes with the process.
func killed(t *testing.T, s *Store) *Store {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

var noteFailures = []*full{
	{why: syscall.ENOSPC, takes: 0},
	{why: syscall.ENOSPC, takes: 7},
	{why: syscall.EIO, takes: 100},
}

// A note that cannot be written is an error, also when it is noted again, until it is written.
func TestNotesThatTheDiskDidNotTakeComeWithTheNext(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"open", "write"} {
		for _, failure := range noteFailures {
			for name, next := range map[string]func(s *Store, k, other Key, list []mkv.Fragment) error{
				"the next note": func(s *Store, k, _ Key, list []mkv.Fragment) error { return s.MarkPersisted(k, list[2]) },
				"the same note": func(s *Store, k, _ Key, list []mkv.Fragment) error { return s.MarkPersisted(k, list[1]) },
				"a note of another segment": func(s *Store, _, other Key, list []mkv.Fragment) error {
					return s.MarkPersisted(other, list[0])
				},
				"the next sync":     func(s *Store, _, _ Key, _ []mkv.Fragment) error { return s.SyncProgress() },
				"closing the store": func(s *Store, _, _ Key, _ []mkv.Fragment) error { return s.Close() },
			} {
				disk := &full{why: failure.why, takes: failure.takes}
				s, err := Open(Options{Dir: t.TempDir(), Files: disk})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				k, other := addSegment(t, s, "door", begin, 3), addSegment(t, s, "door", begin.Add(60e9), 1)
				list := fragmentsOf(t, s, k)
				if op == "write" { // the first one is written
					if err := s.MarkPersisted(k, list[0]); err != nil {
						t.Fatal(err)
					}
				}
				disk.op.Store(op)
				for _, f := range []mkv.Fragment{list[1], list[1]} {
					if err := s.MarkPersisted(k, f); !errors.Is(err, failure.why) {
						t.Errorf("%s fails: noting says %v", op, err)
					}
				}
				if err := s.SyncProgress(); !errors.Is(err, failure.why) {
					t.Errorf("%s fails: syncing says %v", op, err)
				}
				if s.MarkUploaded(k) == nil || !s.Done(k, list[1].Start) {
					t.Errorf("%s fails: what is acknowledged is sent again", op)
				}
				disk.op.Store("")
				if err := next(s, k, other, list); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				after := killed(t, s)
				if !after.Done(k, list[1].Start) || after.Done(k, list[0].Start) != (op == "write") ||
					after.Done(k, list[2].Start) != (name == "the next note") {
					t.Errorf("%s failed with %v, then %s: after a kill a note is lost", op, failure.why, name)
				}
			}
		}
	}
}

// After a failed sync the lines of the file are written again, whatever is left of them on the disk.
func TestNotesWhoseSyncFailedAreWrittenAgain(t *testing.T) {
	t.Parallel()
	disk := &full{why: syscall.EIO}
	s, err := Open(Options{Dir: t.TempDir(), Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	k := addSegment(t, s, "door", begin, 4)
	list := fragmentsOf(t, s, k)
	if err := errors.Join(s.MarkPersisted(k, list[0]), s.SyncProgress(), s.MarkPersisted(k, list[1])); err != nil {
		t.Fatal(err)
	}
	disk.op.Store("sync")
	for range 3 {
		if err := s.SyncProgress(); !errors.Is(err, syscall.EIO) {
			t.Errorf("a failed sync says %v", err)
		}
		if err := s.MarkPersisted(k, list[2]); err != nil {
			t.Error(err)
		}
	}
	disk.op.Store("")
	path := filepath.Join(s.dir, "door", layout.ProgressName(k.ID()))
	if err := os.Truncate(path, 20); err != nil { // the part that reached the disk
		t.Fatal(err)
	}
	if err := errors.Join(s.SyncProgress(), s.MarkPersisted(k, list[3])); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Count(data, []byte("\n")) != 4 {
		t.Errorf("%v, the file holds\n%s", err, data)
	}
	after := killed(t, s)
	for _, f := range list[1:] {
		if !after.Done(k, f.Start) {
			t.Errorf("the note of %s is lost", f.Start)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "door", "*"+atomicfile.BesideSuffix)); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// What was to take the place of another file when the process ended is in nobody's way, and foreign files stay.
func TestLeftoversOfRewritingAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	k := addSegment(t, s, "door", begin, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{layout.ProgressName(k.ID()) + atomicfile.BesideSuffix,
		layout.WritingName(k.ID()) + atomicfile.BesideSuffix, "notes.new", ".new"} {
		if err := os.WriteFile(filepath.Join(dir, "door", name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	left, err := filepath.Glob(filepath.Join(dir, "door", "*"+atomicfile.BesideSuffix))
	if err != nil || len(left) != 2 {
		t.Errorf("left: %v %v", left, err)
	}
}

// A disk that cannot read a note at the start may well do so a moment later: until then that segment is not sent again.
func TestNotesThatCannotBeReadAreReadLater(t *testing.T) {
	t.Parallel()
	const beats = 3000 // far more than there are tries
	for name, c := range map[string]struct {
		readable int // the beat from which on it can be read
		deleted  bool
		reads    int32 // that fail
		done     bool  // what was uploaded is known at the end
	}{
		"at the first beat":   {readable: 0, reads: 1, done: true},
		"after some tries":    {readable: 20, reads: 5, done: true},
		"never":               {readable: beats, reads: 8},
		"its segment is gone": {readable: beats, deleted: true, reads: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := &full{why: syscall.EIO}
			dir := t.TempDir()
			s := open(t, dir)
			first, second := addSegment(t, s, "door", begin, 3), addSegment(t, s, "door", begin.Add(time.Minute), 3)
			list := fragmentsOf(t, s, first)
			if err := errors.Join(s.MarkPersisted(first, list[0]), s.MarkPersisted(first, list[1]), s.Close()); err != nil {
				t.Fatal(err)
			}
			disk.op.Store("read")
			s, err := Open(Options{Dir: dir, Files: disk})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			changes, stop := s.Changes("door")
			defer stop()
			pending := func() (k Key) { // and can be sent
				k, ok := s.NextPending(Before("door"), time.Time{}, time.Time{})
				for ok && s.NotesUnread(k) {
					k, ok = s.NextPending(k, time.Time{}, time.Time{})
				}
				return k
			}
			for beat := range beats {
				switch {
				case beat == c.readable:
					disk.op.Store("")
				case beat == 10 && c.deleted:
					if err := s.Delete(first); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.readNotes(t.Context()); err == nil {
					break
				} else if pending() != second || !errors.Is(err, syscall.EIO) {
					t.Fatalf("beat %d: %v is pending, and reading says %v", beat, pending(), err)
				}
			}
			want := first
			if c.deleted {
				want = second
			}
			if pending() != want || s.Done(first, list[0].Start) != c.done || s.Done(first, list[2].Start) {
				t.Errorf("%v is pending, want %v; uploaded are %v, %v", pending(), want, s.Done(first, list[0].Start), s.Done(first, list[2].Start))
			}
			if reads := disk.reads.Load(); reads != c.reads {
				t.Errorf("%d times reading failed, want %d", reads, c.reads)
			}
			select {
			case <-changes:
			default:
				t.Error("no watcher wakes")
			}
		})
	}
}

// unreadNotes opens a store whose disk cannot read the note of a segment with three fragments, of which two are uploaded.
func unreadNotes(t *testing.T, mark func(s *Store, k Key, list []mkv.Fragment) error) (s *Store, k Key, list []mkv.Fragment, dir string) {
	t.Helper()
	disk := &full{why: syscall.EIO}
	dir = filepath.Join(t.TempDir(), "recordings")
	s = open(t, dir)
	k = addSegment(t, s, "door", begin, 3)
	list = fragmentsOf(t, s, k)
	if err := errors.Join(mark(s, k, list), s.Close()); err != nil {
		t.Fatal(err)
	}
	disk.op.Store("read")
	s, err := Open(Options{Dir: dir, Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	disk.op.Store("")
	return s, k, list, dir
}

// A note that is not there since its disk is not says nothing, however long that takes.
func TestNotesOfADiskThatIsGoneAreReadLater(t *testing.T) {
	t.Parallel()
	s, k, list, dir := unreadNotes(t, func(s *Store, k Key, list []mkv.Fragment) error {
		return errors.Join(s.MarkPersisted(k, list[0]), s.MarkPersisted(k, list[1]))
	})
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	for beat := range 1000 {
		if err := s.readNotes(t.Context()); !errors.Is(err, syscall.EIO) {
			t.Fatalf("beat %d: %v", beat, err)
		}
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if err := s.readNotes(t.Context()); err != nil {
		t.Error(err)
	}
	if !s.Done(k, list[0].Start) || !s.Done(k, list[1].Start) || s.Done(k, list[2].Start) {
		t.Error("it is not known what is uploaded")
	}
}

// What is refused of a finished segment is listed as soon as its note can be read.
func TestRefusedNotesAreReadLater(t *testing.T) {
	t.Parallel()
	s, k, list, _ := unreadNotes(t, func(s *Store, k Key, list []mkv.Fragment) error {
		return errors.Join(s.MarkPersisted(k, list[0]), s.MarkRefused(k, list[1], "4006 X"), s.MarkPersisted(k, list[2]), s.MarkUploaded(k))
	})
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.readNotes(ended); !errors.Is(err, syscall.EIO) || len(s.Refused("door")) > 0 {
		t.Errorf("after the end of the agent files are read: %v", err)
	}
	if err := s.readNotes(t.Context()); err != nil {
		t.Error(err)
	}
	if refused := s.Refused("door"); len(refused) != 1 || refused[0].Key != k || refused[0].Fragment.Start != list[1].Start {
		t.Errorf("refused are %v", refused)
	}
	if s.streams["door"].Active[k.ID()] != nil {
		t.Error("its note is kept in memory")
	}
}
