package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/gaps"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// A stream that never recorded has no directory: what has its name, or one that is the same on the disk, stays.
func TestDeletionOfAStreamThatNeverRecorded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "media", layout.ClockFileName)
	if err := errors.Join(os.Mkdir(filepath.Dir(foreign), 0o700), os.WriteFile(foreign, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, Options{Dir: dir, Files: folding{root: dir}, Reserved: []string{filepath.Dir(foreign)}})
	k := addSegment(t, s, "door", begin, 2)
	for _, name := range []string{"Door", "media", "nowhere"} {
		if err := s.DeleteStream(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(fragmentsOf(t, s, k)) != 2 {
		t.Error("media of another stream is gone")
	}
	if got := onDisk(t, dir); got["door"] != "door" {
		t.Errorf("markers: %v", got)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

// A file that somebody deleted frees nothing when its segment goes, and its segment is listed no longer.
func TestDeletionOfWhatSomebodyDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	first, second := addSegment(t, s, "door", begin, 2), addSegment(t, s, "door", begin.Add(time.Minute), 2)
	if err := s.MarkPersisted(first, fragmentsOf(t, s, first)[0]); err != nil {
		t.Fatal(err)
	}
	last := s.LastEnd("door")
	paths, _ := filepath.Glob(filepath.Join(dir, "door", "*.mkv"))
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []Key{first, second} {
		if err := s.Delete(k); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	}
	if n := s.Deleted(); n != 0 || s.streams["door"].Freeing() != 0 {
		t.Errorf("%d bytes are booked as deleted, %d as being freed", n, s.streams["door"].Freeing())
	}
	if list := s.Segments("door", time.Time{}, time.Time{}); len(list) > 0 {
		t.Errorf("listed: %+v", list)
	}
	if got := s.LastEnd("door"); !got.Equal(last) {
		t.Errorf("the time went back from %s to %s", last, got)
	}
	if left := files(t, filepath.Join(dir, "door")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// A stream whose directory somebody removed can be deleted, and its time continues when it records again.
func TestDeletionOfAStreamWithoutItsDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	for _, name := range []string{"door", "yard"} {
		addSegment(t, s, name, begin, 2)
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteStream(t.Context(), "door"); err != nil {
		t.Error(err)
	}
	last := s.LastEnd("yard")
	for _, info := range s.Segments("yard", time.Time{}, time.Time{}) {
		if err := s.Delete(info.Key); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	addSegment(t, s, "yard", begin.Add(time.Hour), 1)
	mark, err := layout.ReadStreamFile(s.files, filepath.Join(dir, "yard"))
	if err != nil || mark.LastEnd == nil || *mark.LastEnd != last.UnixMilli() {
		t.Errorf("the marker made again: %+v, %v; want %d", mark, err, last.UnixMilli())
	}
}

// Who stops the agent does not wait for the deletion of a large stream.
func TestDeletionOfAStreamIsBrokenOff(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Options{Dir: t.TempDir()})
	addSegment(t, s, "door", begin, 2)
	addSegment(t, s, "door", begin.Add(time.Minute), 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.DeleteStream(ctx, "door"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if n := len(s.Segments("door", time.Time{}, time.Time{})); n != 2 {
		t.Errorf("%d segments are left", n)
	}
	if err := s.DeleteStream(t.Context(), "door"); err != nil {
		t.Error(err)
	}
}

// What is known of a segment goes with its file.
func TestNothingIsKnownOfASegmentWithoutItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, k := refusedStore(t, dir, "4006 INVALID_MKV_DATA", "4006 INVALID_MKV_DATA")
	paused := recordAndSealPauses(t, s, begin.Add(time.Hour))
	if err := s.MarkPersisted(paused, fragmentsOf(t, s, paused)[0]); err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "door", "*.mkv"))
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []Key{k, paused} {
		if _, err := s.OpenSegment(key); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	}
	st := s.streams["door"]
	if list := s.Refused("door"); len(list) > 0 || st.Refused.Count != 0 || st.Refused.Bytes != 0 {
		t.Errorf("still refused: %+v", list)
	}
	if len(st.Gaps.Of(k.ID())) > 0 || len(st.Gaps.Of(paused.ID())) > 0 || len(st.Active) > 0 {
		t.Errorf("still known: gaps %v %v, active %v", st.Gaps.Of(k.ID()), st.Gaps.Of(paused.ID()), st.Active)
	}
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && filepath.Dir(path) == filepath.Join(dir, "door") {
			t.Errorf("still open: %s", path)
		}
	}
}

// The format comes back with what needs it.
func TestTheFormatIsWrittenAgain(t *testing.T) {
	t.Parallel()
	inEpoch := func(t *testing.T) (s *Store, dir, path string) {
		dir = filepath.Join(t.TempDir(), "recordings")
		s = mustOpen(t, Options{Dir: dir})
		addSegment(t, s, "door", begin, 1)
		s.mu.Lock()
		s.streams["door"].Catalog.SeeEpoch(1)
		s.mu.Unlock()
		addSegment(t, s, "door", begin, 1)
		return s, dir, filepath.Join(dir, layout.FormatFileName)
	}
	t.Run("with the directory", func(t *testing.T) {
		t.Parallel()
		s, dir, path := inEpoch(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		addSegment(t, s, "door", begin.Add(time.Hour), 1)
		if data, err := os.ReadFile(path); err != nil || string(data) != "2\n" {
			t.Errorf("%q, %v", data, err)
		}
	})
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		s, _, path := inEpoch(t)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := s.volume.RestoreFormat(s.neededFormat()); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "2\n" {
			t.Errorf("%q, %v", data, err)
		}
	})
}

// What is known of a stream's times and gaps outlives its directory.
func TestTheSideFilesOfAStreamAreWrittenAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	recordAndSealPauses(t, s, begin)
	if err := s.NoteClock("door", begin, begin.Add(time.Second), time.Hour); err != nil {
		t.Fatal(err)
	}
	s.keepGaps()
	if err := os.RemoveAll(filepath.Join(dir, "door")); err != nil {
		t.Fatal(err)
	}
	addSegment(t, s, "door", begin.Add(time.Hour), 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if notes := layout.ReadClock(osFiles{}, filepath.Join(dir, "door")); len(notes) != 1 {
		t.Errorf("notes of times: %v", notes)
	}
	there := func(layout.ID) bool { return true }
	notes, err := gaps.Load(osFiles{}, filepath.Join(dir, "door"), gaps.LoadOptions{Noted: true, There: there, ReadOnly: true})
	if first := begin.UnixMilli(); err != nil || !notes.Covers(layout.ID{Start: first}) || notes.Covers(layout.ID{Start: first - 1}) {
		t.Errorf("notes of gaps: %+v, %v", notes, err)
	}
}

// What cannot be read, or is not recovered yet, is there, though no segment of it is listed.
func TestWhatIsNotListedIsHeld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	addSegment(t, s, "door", begin, 1)
	s.mu.Lock()
	s.stream("idle")
	s.stream("torn").Catalog.Broken = []layout.ID{{Start: begin.UnixMilli()}}
	s.volume.Unread.Set(layout.DirectoryOf("yard"), volume.ErrDangling)
	s.mu.Unlock()
	for name, want := range map[string]bool{"door": true, "yard": true, "torn": true, "idle": false, "nowhere": false} {
		if got := s.Holds(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The newest time outlives the media: what is being written keeps it only once a fragment of it is durable.
func TestTheNewestTimeOutlivesWhatAPowerCutTakes(t *testing.T) {
	t.Parallel()
	fragment := func(t *testing.T, w *Writer) {
		t.Helper()
		writeFragments(t, w, 0, 1)
	}
	synced := func(t *testing.T, w *Writer) {
		t.Helper()
		if err := w.sync(0); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		before []func(t *testing.T, w *Writer) // the deletion of the one finished segment
		after  func(t *testing.T, w *Writer)
		noted  bool          // in the stream file by the deletion
		media  time.Duration // that is being written, and its time in the stream file, too
	}{
		"nothing is written":      {noted: true},
		"a fragment is in memory": {before: []func(*testing.T, *Writer){fragment}, noted: true, media: 960 * time.Millisecond},
		"a fragment is written and not synced": {
			before: []func(*testing.T, *Writer){fragment, written}, noted: true, media: 960 * time.Millisecond,
		},
		"a part of a fragment is durable": {before: []func(*testing.T, *Writer){half, synced}, noted: true},
		"a fragment is durable":           {before: []func(*testing.T, *Writer){fragment, synced}},
		"it ends without a frame":         {after: func(t *testing.T, w *Writer) { t.Helper(); seal(t, w) }, noted: true},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, next := t.TempDir(), begin.Add(time.Minute)
			s := mustOpen(t, Options{Dir: dir})
			first := addSegment(t, s, "door", begin, 2)
			last := s.LastEnd("door")
			w := startSegment(t, s, "door", next, 0)
			header := w.mkv.Size()
			for _, do := range k.before {
				do(t, w)
			}
			if err := s.Delete(first); err != nil {
				t.Fatal(err)
			}
			want := last
			if k.media > 0 {
				want = next.Add(k.media)
			}
			mark, err := layout.ReadStreamFile(s.files, filepath.Join(dir, "door"))
			if err != nil || (mark.LastEnd != nil) != k.noted || k.noted && *mark.LastEnd != want.UnixMilli() {
				t.Errorf("the stream file has %+v, %v; want it: %v, and %d", mark, err, k.noted, want.UnixMilli())
			}
			if k.after != nil {
				k.after(t, w)
			}
			again := t.TempDir()
			if err := os.CopyFS(again, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(again, "door", layout.WritingName(w.Key().ID()))
			if err := os.Truncate(path, max(header, w.shown.Synced())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if got := mustOpen(t, Options{Dir: again}).LastEnd("door"); got.Before(last) {
				t.Errorf("after the power cut the newest time is %s, and was %s", got, last)
			}
		})
	}
}

func written(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// half begins a fragment and writes a frame of it.
func half(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(1, 0, true, [][]byte{payload(0)}); err != nil {
		t.Fatal(err)
	}
}

// What cannot be read when the store is opened is set aside; the newest time that it kept is not.
func TestTheNewestTimeOutlivesWhatIsSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	first := addSegment(t, s, "door", begin, 2)
	last := s.LastEnd("door")
	w := startSegment(t, s, "door", begin.Add(time.Minute), 1)
	if err := errors.Join(w.sync(0), s.Delete(first)); err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	if err := os.CopyFS(again, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(again, "door", layout.WritingName(w.Key().ID()))
	if err := os.WriteFile(path, []byte(strings.Repeat("this is not Matroska", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{"first", "second"} { // the second does not see the file any more
		s, err := Open(Options{Dir: again})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.LastEnd("door"); got.Before(last) {
			t.Errorf("after the %s start the newest time is %s, and was %s", start, got, last)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is not set aside: %v", err)
	}
}

// A hub has hundreds of thousands of segments in its life: of those that nobody uses any more only the index knows.
func TestNoStateIsKeptOfWhatNobodyUses(t *testing.T) {
	t.Parallel()
	persisted := func(t *testing.T, s *Store, k Key) {
		t.Helper()
		persistAll(t, s, k)
		if err := s.MarkUploaded(k); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(t *testing.T, s *Store, k Key) {
		t.Helper()
		list := fragmentsOf(t, s, k)
		err := s.MarkRefused(k, list[1], "4006")
		for _, f := range slices.Delete(slices.Clone(list), 1, 2) {
			err = errors.Join(err, s.MarkPersisted(k, f))
		}
		if err = errors.Join(err, s.MarkUploaded(k)); err != nil {
			t.Fatal(err)
		}
	}
	opened := func(t *testing.T, s *Store, k Key) *Reader {
		t.Helper()
		r, err := s.OpenSegment(k)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, do := range map[string]func(t *testing.T, s *Store, k Key) error{
		"recorded": func(*testing.T, *Store, Key) error { return nil },
		"read":     func(t *testing.T, s *Store, k Key) error { return opened(t, s, k).Close() },
		"read twice at once": func(t *testing.T, s *Store, k Key) error {
			return errors.Join(opened(t, s, k).Close(), opened(t, s, k).Close())
		},
		"verified": func(t *testing.T, s *Store, k Key) error { _, err := s.Verify(t.Context(), k); return err },
		"uploaded": func(t *testing.T, s *Store, k Key) error { persisted(t, s, k); return nil },
		"uploaded while it is read": func(t *testing.T, s *Store, k Key) error {
			r := opened(t, s, k)
			persisted(t, s, k)
			return r.Close()
		},
		"uploaded again": func(t *testing.T, s *Store, k Key) error {
			refused(t, s, k)
			list := fragmentsOf(t, s, k)
			return errors.Join(s.Requeue(k, []time.Duration{list[1].Start}, true), s.MarkPersisted(k, list[1]), s.MarkUploaded(k))
		},
		"refused":              func(t *testing.T, s *Store, k Key) error { refused(t, s, k); return nil },
		"deleted":              func(_ *testing.T, s *Store, k Key) error { return s.Delete(k) },
		"uploaded and deleted": func(t *testing.T, s *Store, k Key) error { persisted(t, s, k); return s.Delete(k) },
		"refused and deleted":  func(t *testing.T, s *Store, k Key) error { refused(t, s, k); return s.Delete(k) },
		"partly uploaded and deleted": func(t *testing.T, s *Store, k Key) error {
			return errors.Join(s.MarkPersisted(k, fragmentsOf(t, s, k)[0]), s.Delete(k))
		},
		"gone": func(t *testing.T, s *Store, k Key) error {
			removeFiles(t, filepath.Dir(s.Path(k)), "*.mkv")
			_, err := s.OpenSegment(k)
			return notOf(err, ErrNotFound)
		},
		"gone while it is read": func(t *testing.T, s *Store, k Key) error {
			r := opened(t, s, k)
			removeFiles(t, filepath.Dir(s.Path(k)), "*.mkv")
			_, err := s.OpenSegment(k)
			return errors.Join(notOf(err, ErrNotFound), r.Close())
		},
		"abandoned": func(t *testing.T, s *Store, _ Key) error {
			return startSegment(t, s, "door", begin.Add(time.Hour), 2).Abandon()
		},
		"begun and empty": func(_ *testing.T, s *Store, _ Key) error {
			w, err := s.Create("door", headerAt(begin.Add(time.Hour)))
			return errors.Join(err, w.Seal())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mustOpen(t, Options{Dir: t.TempDir(), Now: func() time.Time { return begin.Add(2 * time.Hour) }})
			if err := do(t, s, addSegment(t, s, "door", begin, 4)); err != nil {
				t.Fatal(err)
			}
			if err := s.SyncProgress(); err != nil {
				t.Error(err)
			}
			if active := s.streams["door"].Active; len(active) > 0 {
				t.Errorf("still known is %+v", active)
			}
		})
	}
}

// notOf is nil for the error that is expected.
func notOf(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return fmt.Errorf("got %w, want %w", err, expected)
}
