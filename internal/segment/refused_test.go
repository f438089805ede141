package segment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/flush"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/syncqueue"
)

// refusedStore has a segment of four fragments, of which the second and the fourth are refused.
func refusedStore(t *testing.T, dir string, codes ...string) (*Store, Key) {
	t.Helper()
	return refusedStoreOn(t, dir, nil, codes...)
}

// refusedStoreOn is refusedStore on a disk; nil = the real one.
func refusedStoreOn(t *testing.T, dir string, disk fileSystem, codes ...string) (*Store, Key) {
	t.Helper()
	now := begin.Add(time.Hour)
	s, err := Open(Options{Dir: dir, Files: disk, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	k := addSegment(t, s, "door", begin, 4)
	for i, f := range fragmentsOf(t, s, k) {
		if i%2 == 0 {
			err = s.MarkPersisted(k, f)
		} else {
			err = s.MarkRefused(k, f, codes[i/2])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.MarkUploaded(k); err != nil {
		t.Fatal(err)
	}
	return s, k
}

// expectState checks a segment's state, which fragments are done, and what is refused.
func expectState(t *testing.T, s *Store, k Key, state State, refused, pending int) {
	t.Helper()
	list := s.Segments("door", time.Time{}, time.Time{})
	if len(list) != 1 || list[0].State != state || list[0].RefusedFragments != refused ||
		list[0].Refused != (state == Uploaded && refused > 0) {
		t.Fatalf("got %+v, want state %v with %d refused", list, state, refused)
	}
	left, bytes := 0, int64(0)
	for _, f := range fragmentsOf(t, s, k) {
		if !s.Done(k, f.Start) {
			left++
		}
	}
	for _, r := range s.Refused("door") {
		bytes += r.Fragment.Size
	}
	u := s.Usage("door")
	if left != pending || u.RefusedFragments != refused || u.RefusedBytes != bytes || list[0].RefusedBytes != bytes ||
		(u.PendingBytes > 0) != (pending > 0) {
		t.Errorf("%d are pending, want %d; usage %+v, refused %d bytes", left, pending, u, bytes)
	}
}

func reopen(t *testing.T, s *Store, dir string) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func TestRefusedFragmentsAreQueuedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, k := refusedStore(t, dir, "4006 INVALID_MKV_DATA", "4007 INVALID_PRODUCER_TIMESTAMP")
	for range 2 { // also after a restart
		expectState(t, s, k, Uploaded, 2, 0)
		list := s.Refused("door")
		if list[0].Code != "4006 INVALID_MKV_DATA" || list[1].Code != "4007 INVALID_PRODUCER_TIMESTAMP" ||
			list[0].Tries != 0 || !list[0].At.Equal(begin.Add(time.Hour)) {
			t.Fatalf("%+v", list)
		}
		s = reopen(t, s, dir)
	}
	list := fragmentsOf(t, s, k)
	if err := s.Requeue(k, []time.Duration{list[0].Start}, true); err != nil { // is not refused
		t.Fatal(err)
	}
	expectState(t, s, k, Uploaded, 2, 0)
	if err := s.Requeue(k, []time.Duration{list[1].Start}, true); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		expectState(t, s, k, Sealed, 1, 1)
		if code, ok := s.RefusedBefore(k, list[1].Start); !ok || code != "4006 INVALID_MKV_DATA" {
			t.Errorf("it was refused with %q, %v", code, ok)
		}
		if got, ok := s.NextPending(Before("door"), time.Time{}, time.Time{}); !ok || got != k {
			t.Errorf("next is %v, %v", got, ok)
		}
		s = reopen(t, s, dir)
	}
	if err := s.MarkRefused(k, list[1], "4006 INVALID_MKV_DATA"); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkUploaded(k); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		expectState(t, s, k, Uploaded, 2, 0)
		if got := s.Refused("door"); got[0].Tries != 1 || got[1].Tries != 0 {
			t.Errorf("%+v", got)
		}
		s = reopen(t, s, dir)
	}
	if err := s.Requeue(k, []time.Duration{list[1].Start, list[3].Start}, false); err != nil {
		t.Fatal(err)
	}
	expectState(t, s, k, Sealed, 0, 2)
	persistAll(t, s, k)
	if err := s.MarkUploaded(k); err != nil {
		t.Fatal(err)
	}
	expectState(t, s, k, Uploaded, 0, 0)
	if got := files(t, filepath.Join(dir, "door")); strings.Contains(fmt.Sprint(got), ".progress") {
		t.Errorf("files %v", got)
	}
	s = reopen(t, s, dir)
	expectState(t, s, k, Uploaded, 0, 0)
}

// TestWhatIsQueuedAgainBetweenBeatsIsNotSentTwice: the steps that an upload leaves to the next beat come at any time later, also when the
// segment is pending again, or was uploaded again. What is in the cloud stays noted, also for the next start.
func TestWhatIsQueuedAgainBetweenBeatsIsNotSentTwice(t *testing.T) {
	t.Parallel()
	for beats := range 1 << 4 { // after which steps there is one
		t.Run(fmt.Sprintf("%04b", beats), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, k := refusedStore(t, dir, "4006 INVALID_MKV_DATA", "4006 INVALID_MKV_DATA")
			s.SetFlushInterval(time.Hour)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = s.Run(ctx) // returns nil
			}()
			for !s.syncs.Running() {
				runtime.Gosched()
			}
			list := fragmentsOf(t, s, k)
			number := 0
			step := func(what string, done int, err error) {
				t.Helper()
				if err == nil && beats&(1<<number) != 0 {
					err = syncqueue.Beat(flush.NewShared(s.files), append(s.syncs.PartsOf(0), s.unsavedOn(0)...))
				}
				number++
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				n := 0
				for _, f := range list {
					if s.Done(k, f.Start) {
						n++
					}
				}
				if n != done {
					t.Errorf("%s: %d of %d fragments need not be sent, want %d", what, n, len(list), done)
				}
			}
			again := []time.Duration{list[1].Start}
			step("queued again", len(list)-1, s.Requeue(k, again, false))
			err := s.MarkRefused(k, list[1], "4007 INVALID_PRODUCER_TIMESTAMP")
			step("refused again", len(list), errors.Join(err, s.MarkUploaded(k)))
			step("queued the second time", len(list)-1, s.Requeue(k, again, false))
			step("persisted", len(list), errors.Join(s.MarkPersisted(k, list[1]), s.MarkUploaded(k)))
			stop()
			<-ended
			s = reopen(t, s, dir)
			expectState(t, s, k, Uploaded, 1, 0)
		})
	}
}

// Earlier versions gave fragments up when the line broke, and noted a sentence in place of a code.
func TestWhatTheLineDidIsQueuedAtAStart(t *testing.T) {
	t.Parallel()
	for reason, queued := range map[string]bool{
		"4006 INVALID_MKV_DATA": false, "4321 ": false, "5001 ARCHIVAL_ERROR": false,
		"MIN_FRAGMENT_DURATION_REACHED": false, "NO_FRAME_OF_VIDEO": false,
		"connection broken, or ended without a verdict": true, "no acknowledgement for 30 s": true,
		"a fragment cannot be read from the disk": true,
		"4000 STREAM_READ_ERROR":                  true, "no frame of video": true, "": true,
	} {
		dir := t.TempDir()
		s, k := refusedStore(t, dir, reason, "4006 INVALID_MKV_DATA")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// As that version wrote it.
		path := filepath.Join(dir, "door", layout.ProgressName(k.ID()))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var old []string
		for line := range strings.Lines(string(data)) {
			if !strings.HasPrefix(line, "tried") {
				old = append(old, line)
			}
		}
		if err := os.WriteFile(path, []byte(strings.Join(old, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		reader, err := OpenReadOnly(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if got := reader.Segments("door", time.Time{}, time.Time{}); len(got) != 1 || got[0].State != Uploaded || !got[0].Refused {
			t.Errorf("%q: beside an agent of before it is %+v", reason, got)
		}
		for range 2 {
			s = open(t, dir)
			if queued {
				expectState(t, s, k, Sealed, 1, 1)
			} else {
				expectState(t, s, k, Uploaded, 2, 0)
				if got := s.Refused("door"); !got[0].At.IsZero() {
					t.Errorf("%q: refused at %v", reason, got[0].At)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRefusedFragmentsThatAreDeletedAreNotCounted(t *testing.T) {
	t.Parallel()
	s, k := refusedStore(t, t.TempDir(), "4006 A_B", "4006 A_B")
	if err := s.Delete(k); err != nil {
		t.Fatal(err)
	}
	if u := s.Usage("door"); u.RefusedFragments != 0 || u.RefusedBytes != 0 || len(s.Refused("door")) != 0 {
		t.Errorf("%+v", u)
	}
}

// A person who deletes a file by hand leaves nothing behind that is tried again for ever.
func TestRefusedFragmentsOfAFileThatIsGoneAreNoLongerListed(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string][]string{"media": {"*.mkv"}, "media and notes": {"*.mkv", "*.progress"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, k := refusedStore(t, dir, "4006 A_B", "4006 A_B")
			removeFiles(t, filepath.Join(dir, "door"), gone...)
			if err := s.Requeue(k, []time.Duration{s.Refused("door")[0].Fragment.Start}, true); !errors.Is(err, ErrNotFound) {
				t.Errorf("a file that is gone is queued with %v", err)
			}
			if list := s.Segments("door", time.Time{}, time.Time{}); len(list) != 0 {
				t.Errorf("listed are %+v", list)
			}
			if u := s.Usage("door"); u.RefusedFragments != 0 || u.RefusedBytes != 0 || len(s.Refused("door")) != 0 {
				t.Errorf("%+v", u)
			}
		})
	}
}

// The media is there: it stays listed although its notes are not.
func TestRefusedFragmentsStayWhenOnlyTheirNotesAreGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, k := refusedStore(t, dir, "4006 A_B", "4006 A_B")
	removeFiles(t, filepath.Join(dir, "door"), "*.progress")
	if err := s.Requeue(k, []time.Duration{s.Refused("door")[0].Fragment.Start}, true); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("without notes it is queued with %v", err)
	}
	expectState(t, s, k, Uploaded, 2, 0)
}

func removeFiles(t *testing.T, dir string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		list, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: %v, %v", pattern, list, err)
		}
		for _, path := range list {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// stiff is a disk on which no file can be renamed, or no rename is durable.
type stiff struct {
	unsyncedFiles
	on, forgets bool
}

func (d *stiff) SyncDir(dir string) error {
	if d.forgets {
		return syscall.EIO
	}
	return d.unsyncedFiles.SyncDir(dir)
}

func (d *stiff) Rename(from, to string) error {
	if d.on {
		return syscall.EIO
	}
	return d.unsyncedFiles.Rename(from, to)
}

func TestRefusedFragmentsThatCannotBeQueuedLeaveNoFileOpen(t *testing.T) {
	t.Parallel()
	full := error(syscall.ENOSPC)
	writes, renames := &trouble{}, &stiff{}
	for name, disk := range map[string]struct {
		files fileSystem
		fail  func(bool)
	}{
		"write": {writes, func(on bool) { writes.fail.Store(map[bool]*error{true: &full}[on]) }},
		"name":  {renames, func(on bool) { renames.on = on }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, k := refusedStoreOn(t, dir, disk.files, "4006 A_B", "4006 A_B")
			start := s.Refused("door")[0].Fragment.Start
			disk.fail(true)
			for range 3 {
				if err := s.Requeue(k, []time.Duration{start}, true); err == nil {
					t.Error("it is queued by a disk that fails")
				}
			}
			if open := filesOpen(t, filepath.Join(dir, "door")); len(open) != 0 {
				t.Errorf("open are %v", open)
			}
			expectState(t, s, k, Uploaded, 2, 0)
			disk.fail(false)
			if err := s.Requeue(k, []time.Duration{start}, true); err != nil {
				t.Error(err)
			}
			expectState(t, s, k, Sealed, 1, 1)
		})
	}
}

// filesOpen lists the files of a directory that this process has open.
func filesOpen(t *testing.T, dir string) (open []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && filepath.Dir(path) == dir {
			open = append(open, filepath.Base(path))
		}
	}
	return open
}

// The notes of a segment whose name could not be made durable are still open when it is queued again.
func TestNotesOfRefusedFragmentsAreOpenOnce(t *testing.T) {
	t.Parallel()
	dir, disk := t.TempDir(), &stiff{}
	s, err := Open(Options{Dir: dir, Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	k := addSegment(t, s, "door", begin, 2)
	list := fragmentsOf(t, s, k)
	if err := errors.Join(s.MarkPersisted(k, list[0]), s.MarkRefused(k, list[1], "4006 A_B")); err != nil {
		t.Fatal(err)
	}
	disk.forgets = true
	if err := s.MarkUploaded(k); err == nil {
		t.Fatal("a name that is not durable ends the upload")
	}
	disk.forgets = false
	if err := s.Requeue(k, []time.Duration{list[1].Start}, true); err != nil {
		t.Fatal(err)
	}
	expectState(t, s, k, Sealed, 0, 1)
	if open := filesOpen(t, filepath.Join(dir, "door")); len(open) != 1 {
		t.Errorf("open are %v, want the notes, once", open)
	}
}

// TestRequeuedFragmentsAreRefusedAsBefore: all that is known of them, with the time of the refusal, also after a restart.
func TestRequeuedFragmentsAreRefusedAsBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, k := refusedStore(t, dir, "4006 INVALID_MKV_DATA", "4007 INVALID_PRODUCER_TIMESTAMP")
	before, list := s.Refused("door"), fragmentsOf(t, s, k)
	starts := []time.Duration{list[1].Start, list[3].Start}
	if left := s.Requeued("door"); len(left) > 0 {
		t.Errorf("%+v are pending again", left)
	}
	if err := s.Requeue(k, starts, false); err != nil {
		t.Fatal(err)
	}
	if got := s.Requeued("door"); !reflect.DeepEqual(got, before) {
		t.Errorf("%+v are pending again, want %+v", got, before)
	}
	if err := errors.Join(s.MarkPersisted(k, list[3]), s.RefuseAgain(k, append(starts, list[0].Start)), s.MarkUploaded(k),
		s.RefuseAgain(Key{Stream: "yard"}, starts)); err != nil {
		t.Fatal(err)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			s = reopen(t, s, dir)
		}
		expectState(t, s, k, Uploaded, 1, 0)
		if got := s.Refused("door"); !reflect.DeepEqual(got, before[:1]) || len(s.Requeued("door")) > 0 {
			t.Errorf("restart %v: refused are %+v, want %+v", restart, got, before[:1])
		}
	}
}
