package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/flush"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/syncqueue"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// refusing is a disk that, while told to, makes no directory, and none durable.
type refusing struct {
	trouble
	directories atomic.Bool
}

func (d *refusing) refuse(op, dir string) error {
	if d.directories.Load() {
		return &fs.PathError{Op: op, Path: dir, Err: syscall.EIO}
	}
	return nil
}

func (d *refusing) SyncDir(dir string) error { return d.refuse("sync", dir) }

func (d *refusing) MkdirAll(dir string, mode fs.FileMode) error {
	if err := d.refuse("mkdir", dir); err != nil {
		return err
	}
	return d.trouble.MkdirAll(dir, mode)
}

// abandon records a segment of 3 fragments that a failing disk does not let finish.
func (d *refusing) abandon(t *testing.T, s *Store) Key {
	t.Helper()
	w := startSegment(t, s, "door", begin, 3)
	var eio error = &fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}
	d.fail.Store(&eio)
	if err := w.Seal(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sealing on a failing disk says %v", err)
	}
	d.fail.Store(nil)
	return w.Key()
}

func openOn(t *testing.T, disk *refusing, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A beat that cannot write what is in memory says so. The segment ends there, with what was written before.
func TestABeatThatCannotWriteSaysSo(t *testing.T) {
	t.Parallel()
	for _, code := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
		t.Run(code.Error(), func(t *testing.T) {
			t.Parallel()
			disk := new(refusing)
			s := openOn(t, disk, t.TempDir())
			w := startSegment(t, s, "door", begin, 3)
			beat := func() error { return syncqueue.Beat(flush.NewShared(s.files), s.syncs.PartsOf(0)) }
			err := errors.Join(beat(), w.BeginFragment(3*time.Second, true), w.WriteFrame(1, 3*time.Second, true, [][]byte{payload(3)}))
			if err != nil {
				t.Fatal(err)
			}
			var fails error = &fs.PathError{Op: "write", Path: "x", Err: code}
			disk.fail.Store(&fails)
			for range 2 {
				if err := beat(); !errors.Is(err, code) {
					t.Errorf("a beat says %v", err)
				}
			}
			disk.fail.Store(nil)
			if err := w.Seal(); !errors.Is(err, code) {
				t.Errorf("sealing says %v", err)
			}
			if err := repairAll(t, s); err != nil {
				t.Error(err)
			}
			if n := len(fragmentsOf(t, s, w.Key())); n != 3 {
				t.Errorf("%d fragments, want 3", n)
			}
		})
	}
}

// repairNow is repairBroken that returns what it reports.
func (s *Store) repairNow() error {
	_, err := s.repair(context.Background(), func(*streams.Stream, layout.ID) bool { return true })
	return err
}

// repairAll repairs broken segments until none is left, or one fails: a file that took long to be written again waits for a while.
func repairAll(t *testing.T, s *Store) (err error) {
	t.Helper()
	testtools.Eventually(t, time.Minute, func() error {
		if err = s.repairNow(); errors.Is(err, repair.ErrLater) {
			return err
		} else if err != nil {
			return nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for name, st := range s.streams {
			if len(st.Catalog.Broken) > 0 {
				return fmt.Errorf("%d segments of %s are still broken", len(st.Catalog.Broken), name)
			}
		}
		return nil
	})
	return err
}

// TestAMendedSegmentIsListedBeforeItsNameIsDurable: its file has its new name, so a caller that looks for
// it under the old one would think it gone, and media would lie there that nobody uploads or deletes.
func TestARepairedSegmentIsListedBeforeItsNameIsDurable(t *testing.T) {
	t.Parallel()
	disk, dir := new(refusing), t.TempDir()
	s := openOn(t, disk, dir)
	k := disk.abandon(t, s)
	disk.directories.Store(true)
	if err := repairAll(t, s); !errors.Is(err, syscall.EIO) {
		t.Errorf("a directory that cannot be synced is reported as %v", err)
	}
	for range 2 {
		if list := s.Segments("door", time.Time{}, time.Time{}); len(list) != 1 || list[0].State != Sealed || len(fragmentsOf(t, s, k)) != 3 {
			t.Errorf("listed: %+v", list)
		}
		disk.directories.Store(false)
		if err := repairAll(t, s); err != nil {
			t.Error(err)
		}
	}
}

func TestARecoveredSegmentIsListedBeforeItsNameIsDurable(t *testing.T) {
	t.Parallel()
	disk, dir := new(refusing), t.TempDir()
	s := openOn(t, disk, dir)
	w := startSegment(t, s, "door", begin, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	disk.directories.Store(true)
	if got := len(fragmentsOf(t, openOn(t, disk, dir), w.Key())); got != 3 {
		t.Errorf("%d fragments, want 3", got)
	}
}

// TestAFileThatCannotBeSetAsideIsTriedAgain garbles a segment that waits to be finished.
func TestAFileThatCannotBeSetAsideIsTriedAgain(t *testing.T) {
	t.Parallel()
	disk, dir := new(refusing), t.TempDir()
	s := openOn(t, disk, dir)
	name := layout.WritingName(disk.abandon(t, s).ID())
	if err := os.WriteFile(filepath.Join(dir, "door", name), bytes.Repeat([]byte("this is not Matroska at all "), 4000),
		layout.FileMode); err != nil {
		t.Fatal(err)
	}
	disk.directories.Store(true)
	if err := repairAll(t, s); !errors.Is(err, syscall.EIO) {
		t.Errorf("a file that cannot be set aside is reported as %v", err)
	}
	disk.directories.Store(false)
	if err := repairAll(t, s); err != nil {
		t.Error(err)
	}
	if list, err := s.Quarantined(); err != nil || len(list) != 1 || filepath.Base(list[0]) != name {
		t.Errorf("set aside: %v %v, want %s", list, err, name)
	}
}

// TestWhatIsAcknowledgedOfABrokenSegmentIsNotSentAgain notes a fragment while its segment waits to
// be finished.
func TestWhatIsAcknowledgedOfABrokenSegmentIsNotSentAgain(t *testing.T) {
	t.Parallel()
	disk, dir := new(refusing), t.TempDir()
	s := openOn(t, disk, dir)
	k := disk.abandon(t, s)
	if err := s.MarkPersisted(k, mkv.Fragment{Last: 960 * time.Millisecond, Size: 1}); err != nil {
		t.Fatal(err)
	}
	if err := repairAll(t, s); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if list := fragmentsOf(t, s, k); !s.Done(k, list[0].Start) || s.Done(k, list[1].Start) {
			t.Errorf("after %d restarts the note is lost", i)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openOn(t, disk, dir)
	}
}

// TestWhatIsTooMuchToReadAtOnceIsRecoveredBesideTheRecording opens a store with a large torn file, of which a
// fragment is persisted.
func TestWhatIsTooMuchToReadAtOnceIsRecoveredBesideTheRecording(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Files: unsyncedFiles{}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Create("door", headerAt(begin))
	frame := bytes.Repeat([]byte("picture "), repair.MaxAtOpening/64)
	for i := range 9 {
		at := time.Duration(i) * time.Second
		_, endErr := w.EndFragment()
		if i == 0 {
			endErr = nil // there is none
		}
		err = errors.Join(err, endErr, w.BeginFragment(at, true), w.WriteFrame(1, at, true, [][]byte{frame}))
	}
	k := w.Key()
	list, _ := w.shown.Completed()
	if err := errors.Join(err, w.Flush(), s.MarkPersisted(k, list[0]), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(Options{Dir: dir, Files: unsyncedFiles{}}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	changes, stop := s.Changes("door")
	defer stop()
	if infos := s.Segments("door", time.Time{}, time.Time{}); len(infos) > 0 || !s.LastEnd("door").Equal(begin.Add(8*time.Second)) {
		t.Errorf("listed %v, recorded to %s", infos, s.LastEnd("door"))
	}
	if _, err := s.Create("door", headerAt(begin.Add(8*time.Second))); !errors.Is(err, ErrOverlap) {
		t.Errorf("what waits to be recovered may be overlapped: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	<-changes
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if list := fragmentsOf(t, s, k); len(list) != 9 || !s.Done(k, list[0].Start) || s.Done(k, list[1].Start) {
		t.Errorf("recovered are %d fragments, the first is persisted: %v", len(list), s.Done(k, 0))
	}
}

// roomBehind returns how much more of the disk than its size the one file takes that matches.
func roomBehind(t *testing.T, pattern string) int64 {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatal(pattern, found, err)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks*512 - info.Size()
}

func freeOn(t *testing.T, s *Store) int64 {
	t.Helper()
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	free, _, err := s.DiskFree()
	if err != nil {
		t.Fatal(err)
	}
	return int64(free)
}

// TestRoomAheadIsFreeAndIsNotLeftBehind has recordings that end in each way.
func TestRoomAheadIsFreeAndIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	dir := testtools.Mounted(t, "ext4", 8<<30)
	s := open(t, dir)
	before := freeOn(t, s)
	streams := map[string]string{ // how each ends, and where its file is then
		"sealed": "*.mkv", "killed": "*.mkv", "abandoned": "*.mkv", "unreadable": "quarantine/*.mkv",
	}
	writers := make(map[string]*Writer)
	for stream := range streams {
		w := startSegment(t, s, stream, begin, 1)
		for i := range 20 {
			at := time.Second + time.Duration(i)*frameInterval
			if err := errors.Join(w.BeginFragment(at, true), w.WriteFrame(1, at, true, [][]byte{make([]byte, 100_000)})); err != nil {
				t.Fatal(err)
			}
		}
		if got := roomBehind(t, filepath.Join(dir, stream, "*.mkv")); got < 1<<20 {
			t.Errorf("the file of %s grows, and has room of %d bytes", stream, got)
		}
		writers[stream] = w
	}
	if less := before - freeOn(t, s) - 4*2_000_000; less > 1<<20 {
		t.Errorf("%d bytes that only recordings can use are not free", less)
	}
	seal(t, writers["sealed"])
	err := errors.Join(writers["abandoned"].Abandon(), writers["killed"].file.Close(), writers["unreadable"].file.Close(), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	corrupt := filepath.Join(dir, "unreadable", layout.WritingName(writers["unreadable"].Key().ID()))
	if f, err := os.OpenFile(corrupt, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	} else if _, err := f.WriteAt(make([]byte, 4096), 0); errors.Join(err, f.Close()) != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	for stream, name := range streams {
		if got := roomBehind(t, filepath.Join(dir, stream, name)); got > 64<<10 {
			t.Errorf("the file of %s is finished, and still has room of %d bytes", stream, got)
		}
	}
	if less := before - freeOn(t, again) - 4*2_000_000; less > 1<<20 || less < -1<<20 {
		t.Errorf("in the end %d bytes are missing", less)
	}
}
