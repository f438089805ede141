package segment

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// epochChecks are how many streams TestEpochsAgreeWithAModel draws: the proof epochs.
var epochChecks = testtools.Sizes[int]{Short: 20, Middle: 100, Long: 5000}

func TestMain(m *testing.M) {
	if err := testtools.RapidChecks(epochChecks); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		removePopulated()
		os.Exit(code)
	}))
}

var (
	begin = time.Date(2026, 11, 21, 4, 20, 48, 123e6, time.UTC)
	track = mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte{1, 2, 3}, Width: 16, Height: 16}
)

const frameInterval = 40 * time.Millisecond

func headerAt(start time.Time) mkv.Header {
	return mkv.Header{Start: start, Title: "door", Tracks: []mkv.Track{track}}
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// payload is what a test can find again in a file.
func payload(n int) []byte { return []byte(strings.Repeat(fmt.Sprintf("frame %06d ", n), 20)) }

// writeFragments adds n fragments of 25 frames each to a writer.
func writeFragments(t *testing.T, w *Writer, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		at := time.Duration(i) * time.Second
		if err := w.BeginFragment(at, true); err != nil {
			t.Fatal(err)
		}
		for frame := range 25 {
			if err := w.WriteFrame(1, at+time.Duration(frame)*frameInterval, frame == 0, [][]byte{payload(i*25 + frame)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.EndFragment(); err != nil {
			t.Fatal(err)
		}
	}
}

// startSegment begins a segment with n fragments.
func startSegment(t *testing.T, s *Store, stream string, start time.Time, n int) *Writer {
	t.Helper()
	w, err := s.Create(stream, headerAt(start))
	if err != nil {
		t.Fatal(err)
	}
	writeFragments(t, w, 0, n)
	return w
}

func seal(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
}

// addSegment records and seals a segment of n fragments of a second.
func addSegment(t *testing.T, s *Store, stream string, start time.Time, n int) Key {
	t.Helper()
	w := startSegment(t, s, stream, start, n)
	seal(t, w)
	return w.Key()
}

func fragmentsOf(t *testing.T, s *Store, k Key) []mkv.Fragment {
	t.Helper()
	r, err := s.OpenSegment(k)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	list, _, err := r.Fragments()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func persistAll(t *testing.T, s *Store, k Key) {
	t.Helper()
	for _, f := range fragmentsOf(t, s, k) {
		if err := s.MarkPersisted(k, f); err != nil {
			t.Fatal(err)
		}
	}
}

// files lists a stream's directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestStatesAreNamesOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	w := startSegment(t, s, "door", begin, 2)
	want := func(names ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{".stream"}, names...), files(t, filepath.Join(dir, "door"))); diff != "" {
			t.Error(diff)
		}
	}
	want("20261121T042048.123Z.writing.mkv")
	seal(t, w)
	want("20261121T042048.123Z+1960.sealed.mkv")
	if err := s.MarkUploaded(w.Key()); !errors.Is(err, ErrIncomplete) {
		t.Errorf("uploaded without a persisted fragment: %v", err)
	}
	persistAll(t, s, w.Key())
	want("20261121T042048.123Z+1960.sealed.mkv", "20261121T042048.123Z.progress")
	if err := s.MarkUploaded(w.Key()); err != nil {
		t.Fatal(err)
	}
	want("20261121T042048.123Z+1960.uploaded.mkv")
	if got := s.LastUploadedEnd("door"); !got.Equal(begin.Add(1960 * time.Millisecond)) {
		t.Errorf("it is uploaded until %s", got)
	}
	if err := s.Delete(w.Key()); err != nil {
		t.Fatal(err)
	}
	want()
	if got := s.LastEnd("door"); !got.Equal(begin.Add(1960 * time.Millisecond)) {
		t.Errorf("after the deletion the newest time is %s", got)
	}
}

func TestRefusedFragmentsKeepTheirSegmentAndReason(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	k := addSegment(t, s, "door", begin, 2)
	list := fragmentsOf(t, s, k)
	if err := s.MarkPersisted(k, list[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkRefused(k, list[1], "4006\nINVALID_MKV_DATA"); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkUploaded(k); err != nil {
		t.Fatal(err)
	}
	if got := s.LastUploadedEnd("door"); !got.IsZero() {
		t.Errorf("with a refused fragment it is uploaded until %s", got)
	}
	if got := s.Segments("door", time.Time{}, time.Time{}); len(got) != 1 || !got[0].Refused || got[0].State != Uploaded {
		t.Errorf("%+v", got)
	}
	data, err := os.ReadFile(filepath.Join(dir, "door", layout.ProgressName(k.ID())))
	if err != nil || !strings.Contains(string(data), "4006 INVALID_MKV_DATA\n") {
		t.Errorf("the reason is lost: %q %v", data, err)
	}
}

func TestTimesOfAStreamNeverOverlap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	k := addSegment(t, s, "door", begin, 3)
	last := begin.Add(2960 * time.Millisecond)
	for _, start := range []time.Time{begin, begin.Add(-time.Hour), last} {
		if _, err := s.Create("door", headerAt(start)); !errors.Is(err, ErrOverlap) {
			t.Errorf("a segment at %s: %v", start, err)
		}
	}
	persistAll(t, s, k)
	if err := errors.Join(s.MarkUploaded(k), s.Delete(k), s.Close()); err != nil {
		t.Fatal(err)
	}
	// Also when the media is gone and the process was restarted.
	s = open(t, dir)
	if _, err := s.Create("door", headerAt(last)); !errors.Is(err, ErrOverlap) {
		t.Errorf("after a restart: %v", err)
	}
	addSegment(t, s, "door", last.Add(time.Millisecond), 1)
}

func TestQueriesByTime(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for i := range 10 {
		addSegment(t, s, "door", begin.Add(time.Duration(i)*10*time.Second), 5) // 4.96 s of every 10
	}
	at := func(seconds float64) time.Time {
		return begin.Add(time.Duration(seconds * float64(time.Second)))
	}
	for _, c := range []struct {
		from, to time.Time
		want     []int
	}{
		{time.Time{}, time.Time{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{at(12), at(13), []int{1}},
		{at(15), at(20), nil},
		{at(15), at(20.001), []int{2}},
		{at(4.9), at(10.5), []int{0, 1}},
		{at(80), time.Time{}, []int{8, 9}},
		{time.Time{}, at(0.001), []int{0}},
		{at(500), time.Time{}, nil},
		{at(20), at(10), nil},
	} {
		var got []int
		for _, info := range s.Segments("door", c.from, c.to) {
			got = append(got, int(info.StartTime().Sub(begin)/(10*time.Second)))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("from %s to %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if s.Segments("nobody", time.Time{}, time.Time{}) != nil {
		t.Error("a stream that does not exist has segments")
	}
}

func TestUsageCountsWhatIsPending(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	first := addSegment(t, s, "door", begin, 4)
	addSegment(t, s, "door", begin.Add(10*time.Second), 2)
	list := fragmentsOf(t, s, first)
	for _, f := range list[:3] {
		if err := s.MarkPersisted(first, f); err != nil {
			t.Fatal(err)
		}
	}
	u := s.Usage("door")
	// Of the first its last fragment (from the end of the third), of the second all 1.96 s.
	if want := 1960*time.Millisecond + time.Second; u.PendingDuration != want || u.Segments != 2 {
		t.Errorf("pending %s, want %s; %+v", u.PendingDuration, want, u)
	}
	if want := begin.Add(2960 * time.Millisecond); !u.PendingSince.Equal(want) {
		t.Errorf("pending since %s, want %s", u.PendingSince, want)
	}
	var onDisk int64
	for _, info := range s.Segments("door", time.Time{}, time.Time{}) {
		onDisk += info.Bytes
	}
	if u.Bytes != onDisk || u.PendingBytes >= u.Bytes {
		t.Errorf("%+v, but the segments have %d bytes", u, onDisk)
	}
}

// A live upload sends the newest fragment first, and what it missed later. A camera that sends a
// frame every 2 s leaves that much between the last frame of a fragment and the next one.
func TestUsageCountsWhatIsPendingInAnyOrder(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	w, err := s.Create("door", headerAt(begin))
	if err != nil {
		t.Fatal(err)
	}
	var list []mkv.Fragment
	for i := range 5 { // of 8 s each, the last frame at 6 s
		at := time.Duration(i) * 8 * time.Second
		if err := w.BeginFragment(at, true); err != nil {
			t.Fatal(err)
		}
		for frame := range 4 {
			if err := w.WriteFrame(1, at+time.Duration(frame)*2*time.Second, frame == 0, [][]byte{{0x65, 1, 2, 3}}); err != nil {
				t.Fatal(err)
			}
		}
		f, err := w.EndFragment()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	check := func(when string, pending time.Duration, since time.Duration) {
		t.Helper()
		u := s.Usage("door")
		if u.PendingDuration != pending || !u.PendingSince.Equal(begin.Add(since)) {
			t.Errorf("%s: pending %s since %s, want %s since %s", when, u.PendingDuration, u.PendingSince.Sub(begin), pending, since)
		}
	}
	mark := func(fragments ...int) {
		for _, i := range fragments {
			if err := s.MarkPersisted(w.Key(), list[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	check("nothing is done", 38*time.Second, 0)
	mark(4)
	check("the newest is done", 30*time.Second, 0)
	mark(0)
	check("and the oldest", 24*time.Second, 6*time.Second)
	if info := s.Segments("door", begin, time.Time{})[0]; info.PendingBytes != info.Bytes-list[0].Size-list[4].Size {
		t.Errorf("%d bytes are pending of %d", info.PendingBytes, info.Bytes)
	}
	mark(2, 1)
	check("all but one are done", 8*time.Second, 22*time.Second)
	mark(3)
	if u := s.Usage("door"); u.PendingDuration != 0 || u.PendingBytes != 0 || !u.PendingSince.IsZero() {
		t.Errorf("everything is done: %+v", u)
	}
	seal(t, w)
}

// Also of a finished segment, and after a restart, when only the side file records what is done.
func TestUsageCountsWhatIsPendingOfAFinishedSegmentInAnyOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	key := addSegment(t, s, "door", begin, 6)
	list := fragmentsOf(t, s, key)
	for _, i := range []int{5, 1, 2} {
		if err := s.MarkPersisted(key, list[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, when := range []string{"before", "after"} {
		u := s.Usage("door")
		// The first fragment with what lies between it and the second; the fourth and the fifth from the end of the third.
		if want := time.Second + 2040*time.Millisecond; u.PendingDuration != want || !u.PendingSince.Equal(begin) {
			t.Errorf("%s a restart, pending %s, want %s; since %s", when, u.PendingDuration, want, u.PendingSince)
		}
		if want := u.Bytes - list[5].Size - list[1].Size - list[2].Size; u.PendingBytes != want {
			t.Errorf("%s a restart, %d bytes are pending, want %d", when, u.PendingBytes, want)
		}
		if when == "before" {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
		}
	}
}

func TestReadersFollowTheSegmentBeingWritten(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	changes, stop := s.Changes("door")
	defer stop()
	w := startSegment(t, s, "door", begin, 1)
	<-changes
	r, err := s.OpenSegment(w.Key())
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		list, finished, err := r.Fragments()
		if err != nil || finished || len(list) != n {
			t.Fatalf("%d fragments, finished %v, %v; want %d", len(list), finished, err, n)
		}
		f := list[n-1]
		data := make([]byte, f.Size)
		if _, err := r.ReadAt(data, f.Offset); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, payload((n-1)*25+24)) {
			t.Errorf("fragment %d lacks its last frame", n)
		}
		writeFragments(t, w, n, 1)
		<-changes
	}
	seal(t, w)
	<-changes
	if list, finished, err := r.Fragments(); err != nil || !finished || len(list) != 4 {
		t.Errorf("after the end: %d fragments, finished %v, %v", len(list), finished, err)
	}
	if err := s.Delete(w.Key()); !errors.Is(err, ErrBusy) {
		t.Errorf("deleted under its reader: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(w.Key()); err != nil {
		t.Error(err)
	}
}

func TestPauseRefusesNewSegmentsWithItsReason(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.Pause("door", health.UserFault("full", nil, "The limit is reached."))
	_, err := s.Create("door", headerAt(begin))
	if !errors.Is(err, ErrPaused) || health.FaultOf(err, "x").Code != "full" {
		t.Errorf("%v", err)
	}
	s.Resume("door")
	addSegment(t, s, "door", begin, 1)
}

func TestSegmentWithoutAFrameLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	w, err := s.Create("door", headerAt(begin))
	if err != nil {
		t.Fatal(err)
	}
	seal(t, w)
	if got := files(t, filepath.Join(dir, "door")); !slices.Equal(got, []string{".stream"}) {
		t.Error(got)
	}
}

func TestDeleteStreamWaitsForReaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	k := addSegment(t, s, "door", begin, 1)
	addSegment(t, s, "door", begin.Add(time.Minute), 1)
	addSegment(t, s, "yard", begin, 1)
	r, err := s.OpenSegment(k)
	if err != nil {
		t.Fatal(err)
	}
	deleted := make(chan error)
	go func() { deleted <- s.DeleteStream(t.Context(), "door") }()
	select {
	case err := <-deleted:
		t.Fatalf("deleted under its reader: %v", err)
	case <-time.After(50 * time.Millisecond): // it must not end
	}
	_ = r.Close()
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	if got := s.Streams(); !slices.Equal(got, []string{"yard"}) {
		t.Errorf("streams: %v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "door")); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
	addSegment(t, s, "door", begin, 1) // a stream of that name can begin again
}

func TestSecondAgentOnADirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	addSegment(t, s, "door", begin, 1)
	_, err := Open(Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("the second store says %v, want the first one's pid", err)
	}
	r, err := OpenReadOnly(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Segments("door", time.Time{}, time.Time{}); len(got) != 1 {
		t.Errorf("reading beside the agent shows %v", got)
	}
	if _, err := r.Create("door", headerAt(begin.Add(time.Hour))); err == nil {
		t.Error("a read-only store records")
	}
	if err := errors.Join(r.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestStreamNamesNeverLeaveTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	names := []string{"..", ".", ".hidden", strings.Repeat("x", 256), "a/b", "quarantine"}
	for _, name := range names {
		addSegment(t, s, name, begin, 1)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range files(t, filepath.Dir(dir)) {
		if name != filepath.Base(dir) {
			t.Errorf("%s was made outside of the directory", name)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, open(t, dir).Streams()); diff != "" {
		t.Error(diff)
	}
}

// crash copies a store's files as a power cut or a kill leaves them.
func crash(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestRecoveryKeepsEveryCompletedFragmentWhereverTheFileIsTorn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	w := startSegment(t, s, "door", begin, 4)
	list, _ := w.shown.Completed()
	if err := w.BeginFragment(4*time.Second, true); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := w.WriteFrame(1, 4*time.Second+time.Duration(i)*frameInterval, i == 0, [][]byte{payload(100 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkPersisted(w.Key(), list[0]); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 7))
	for range 60 {
		torn := crash(t, dir)
		path := filepath.Join(torn, "door", layout.WritingName(w.Key().ID()))
		size := w.Bytes()
		cut := random.Int64N(size + 1)
		if err := os.Truncate(path, cut); err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, f := range list {
			if f.Offset+f.Size <= cut {
				want++
			}
		}
		recovered := open(t, torn)
		segments := recovered.Segments("door", time.Time{}, time.Time{})
		if len(segments) == 0 {
			if want > 0 {
				t.Errorf("cut at %d of %d: nothing is left of %d fragments", cut, size, want)
			}
			continue
		}
		if segments[0].State != Sealed {
			t.Errorf("cut at %d: the state is %s", cut, segments[0].State)
		}
		got := fragmentsOf(t, recovered, segments[0].Key)
		if len(got) < want {
			t.Errorf("cut at %d of %d: %d fragments, want %d", cut, size, len(got), want)
		}
		if want > 0 && !recovered.Done(segments[0].Key, 0) {
			t.Errorf("cut at %d: the note of the persisted fragment is lost", cut)
		}
		if err := recovered.Close(); err != nil {
			t.Error(err)
		}
	}
	seal(t, w)
}

func TestUnreadableFilesAreSetAsideAndReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	addSegment(t, s, "door", begin, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	garbled := bytes.Repeat([]byte("this is not Matroska at all "), 4000)
	name := layout.WritingName(layout.ID{Start: begin.Add(time.Hour).UnixMilli()})
	if err := os.WriteFile(filepath.Join(dir, "door", name), garbled, 0o600); err != nil {
		t.Fatal(err)
	}
	registry := health.NewRegistry(time.Now)
	s, err := Open(Options{Dir: dir, Health: registry.Component("", health.JobStore)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if data, err := os.ReadFile(filepath.Join(dir, "door", layout.QuarantineName, name)); err != nil || !bytes.Equal(data, garbled) {
		t.Errorf("the file was not set aside as it was: %v", err)
	}
	if worst, ok := registry.Component("", health.JobStore).Snapshot().Worst(); !ok || !strings.Contains(worst.Text, layout.QuarantineName) {
		t.Errorf("it is not reported: %+v", worst)
	}
	if got := s.Segments("door", time.Time{}, time.Time{}); len(got) != 1 {
		t.Errorf("segments: %v", got)
	}
}

func TestALargeFileWithoutAFrameIsSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	w, err := s.Create("door", headerAt(begin))
	if err != nil {
		t.Fatal(err)
	}
	size := w.Bytes()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "door", layout.WritingName(w.Key().ID()))
	if err := os.Truncate(path, size+4<<20); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if got := s.Segments("door", time.Time{}, time.Time{}); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if list, err := s.Quarantined(); err != nil || len(list) != 1 || filepath.Base(list[0]) != filepath.Base(path) {
		t.Errorf("set aside: %v %v", list, err)
	}
}

func TestTornProgressLinesAreAsIfNotWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	k := addSegment(t, s, "door", begin, 3)
	list := fragmentsOf(t, s, k)
	for _, f := range list[:2] {
		if err := s.MarkPersisted(k, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "door", layout.ProgressName(k.ID()))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.IndexByte(data, '\n') + 1
	for cut := second; cut < len(data)-1; cut++ {
		torn := crash(t, dir)
		if err := os.Truncate(filepath.Join(torn, "door", layout.ProgressName(k.ID())), int64(cut)); err != nil {
			t.Fatal(err)
		}
		s := open(t, torn)
		if !s.Done(k, list[0].Start) {
			t.Errorf("cut at %d: the first note is lost", cut)
		}
		if err := s.MarkPersisted(k, list[2]); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s = open(t, torn); !s.Done(k, list[2].Start) {
			t.Errorf("cut at %d: a note after the torn line is lost", cut)
		}
		_ = s.Close()
	}
}

func FuzzParseName(f *testing.F) {
	for _, name := range []string{
		"20261121T042048.123Z.writing.mkv", "20261121T041548.083Z+299960.sealed.mkv", "20261121T041548.083Z.progress",
		"20261121T041048.043Z+299960.uploaded.mkv", "20261121T040548.003Z+299960.refused.mkv", "x.garbage",
		"e000001-20261121T040548.003Z+299960.refused.mkv", "e1-20261121T040548.003Z.progress", ".sealed.mkv", "+1.sealed.mkv",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, ok := layout.ParseName(name)
		if !ok || p.Suffix == layout.ProgressSuffix || p.Suffix == layout.GarbageSuffix {
			return
		}
		e := catalog.Entry{ID: p.ID, Length: uint32(p.Length), State: p.State, Refused: p.Refused}
		again, ok := layout.ParseName(e.Name())
		if !ok || again.ID != p.ID || again.Length != p.Length || again.State != p.State || e.Name() != name {
			t.Errorf("%q is %+v, whose name %q is %+v", name, p, e.Name(), again)
		}
	})
}

// TestAnAbandonedSegmentKeepsWhatIsInItsFile returns a segment up in the middle of a fragment.
func TestAnAbandonedSegmentKeepsWhatIsInItsFile(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	w := startSegment(t, s, "door", begin, 3)
	if err := w.BeginFragment(3*time.Second, true); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(1, 3*time.Second, true, [][]byte{payload(75)}); err != nil {
		t.Fatal(err)
	}
	if n := w.Written(); n != 75 {
		t.Errorf("%d frames are in the file", n)
	}
	for range 2 { // the second time there is nothing to do
		if err := w.Abandon(); err != nil {
			t.Fatal(err)
		}
	}
	infos := s.Segments("door", time.Time{}, time.Time{})
	if len(infos) != 1 || infos[0].State != Sealed {
		t.Fatalf("%+v", infos)
	}
	if list := fragmentsOf(t, s, infos[0].Key); len(list) != 3 {
		t.Errorf("%d fragments are left of it", len(list))
	}
	addSegment(t, s, "door", begin.Add(time.Minute), 1) // and recording continues
}
