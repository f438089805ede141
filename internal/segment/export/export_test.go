package export

import (
	"errors"
	"fmt"
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
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	begin = time.Date(2026, 11, 21, 4, 20, 48, 123e6, time.UTC)
	track = mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte{1, 2, 3}, Width: 16, Height: 16}
)

const frameInterval = 40 * time.Millisecond

func open(t *testing.T, dir string) *segment.Store {
	t.Helper()
	s, err := segment.Open(segment.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// create begins a segment.
func create(t *testing.T, s *segment.Store, start time.Time, track mkv.Track) *segment.Writer {
	t.Helper()
	w, err := s.Create("door", mkv.Header{Start: start, Title: "door", Tracks: []mkv.Track{track}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// writeFragment adds a fragment of a second, 25 frames, for each of the times.
func writeFragment(t *testing.T, w *segment.Writer, from ...time.Duration) {
	t.Helper()
	if err := w.BeginFragment(from[0], true); err != nil {
		t.Fatal(err)
	}
	for _, from := range from {
		for i := range 25 {
			payload := strings.Repeat(fmt.Sprintf("frame %06d ", i), 20)
			if err := w.WriteFrame(1, from+time.Duration(i)*frameInterval, i == 0, [][]byte{[]byte(payload)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.EndFragment(); err != nil {
		t.Fatal(err)
	}
}

func seal(t *testing.T, w *segment.Writer) {
	t.Helper()
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
}

// addSegment records and seals a segment of three fragments of a second.
func addSegment(t *testing.T, s *segment.Store, start time.Time) segment.Key {
	t.Helper()
	w := create(t, s, start, track)
	for i := range 3 {
		writeFragment(t, w, time.Duration(i)*time.Second)
	}
	seal(t, w)
	return w.Key()
}

// slowReader is the file of an export whose reader stops reading: at is reached once, and the export continues with
// resume.
type slowReader struct {
	*os.File
	after          int // bytes
	at, resume     chan struct{}
	written, stops int
}

func newSlowReader(t *testing.T, after int) *slowReader {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out.mkv"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &slowReader{File: f, after: after, at: make(chan struct{}), resume: make(chan struct{})}
}

func (w *slowReader) Write(p []byte) (int, error) {
	if w.written += len(p); w.written > w.after && w.stops == 0 {
		w.stops++
		close(w.at)
		<-w.resume
	}
	return w.File.Write(p)
}

// openFiles lists the files under dir that this process has open.
func openFiles(t *testing.T, dir string) (open []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && strings.HasPrefix(path, dir+"/") && strings.Contains(path, ".mkv") {
			open = append(open, filepath.Base(path))
		}
	}
	return open
}

type outcome struct {
	Result
	err error
}

func startExport(t *testing.T, s *segment.Store, o Options, out mkv.File) <-chan outcome {
	t.Helper()
	done := make(chan outcome, 1)
	go func() {
		e, err := Run(t.Context(), s, o, out)
		done <- outcome{e, err}
	}()
	return done
}

// threeTimesThree records nine segments of 3 s in three groups, which lie a minute apart.
func threeTimesThree(t *testing.T, s *segment.Store) (keys []segment.Key) {
	t.Helper()
	for i := range 9 {
		at := begin.Add(time.Duration(i/3)*time.Minute + time.Duration(i%3)*3*time.Second)
		keys = append(keys, addSegment(t, s, at))
	}
	return keys
}

func TestAnExportHoldsOneSegmentHoweverSlowItsReader(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		beside := i%2 == 1 // beside the agent, as the command does
		format := []Format{Matroska, MP4}[i/2]
		t.Run(fmt.Sprint("beside ", beside, ", format ", format), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir)
			keys := threeTimesThree(t, s)
			exporting := s
			if beside {
				var err error
				if exporting, err = segment.OpenReadOnly(segment.Options{Dir: dir}); err != nil {
					t.Fatal(err)
				}
			}
			out := newSlowReader(t, 4*7000) // in the second segment
			var shares []float64
			done := startExport(t, exporting, Options{
				Stream: "door", Format: format, Progress: func(done, total int64) { shares = append(shares, float64(done)/float64(total)) },
			}, out)
			<-out.at
			held := filepath.Base(s.Path(keys[1]))
			if got := openFiles(t, dir); !slices.Equal(got, []string{held}) {
				t.Errorf("the export holds %q, want %s alone", got, held)
			}
			for i, k := range keys {
				if i == 3 || i == 8 {
					continue // the first of the second group, and the last of all, stay
				}
				if err := s.Delete(k); err != nil && (beside || i != 1 || !errors.Is(err, segment.ErrBusy)) {
					t.Errorf("segment %d: %v", i, err)
				}
			}
			close(out.resume)
			e := <-done
			if e.err != nil {
				t.Fatal(e.err)
			}
			at := func(i int) time.Time { return keys[i].StartTime() }
			end := func(i int) time.Time { return at(i).Add(2*time.Second + 24*frameInterval) }
			want := []Gap{
				{From: at(2), To: end(2), Deleted: true},
				{From: end(2), To: at(3)},
				{From: at(4), To: end(5), Deleted: true},
				{From: end(5), To: at(6)},
				{From: at(6), To: end(7), Deleted: true},
			}
			if diff := cmp.Diff(want, e.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if e.Fragments != 4*3 || !e.From.Equal(at(0)) || !e.To.Equal(end(8)) {
				t.Errorf("%d fragments from %s to %s", e.Fragments, e.From, e.To)
			}
			if last := shares[len(shares)-1]; last != 1 || !slices.IsSorted(shares) {
				t.Errorf("progress %v", shares)
			}
		})
	}
}

// TestWhatIsDeletedAtTheEndsOfAnExportIsReported deletes all that was planned but one segment in the middle, or all.
func TestWhatIsDeletedAtTheEndsOfAnExportIsReported(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	keys := []segment.Key{addSegment(t, s, begin), addSegment(t, s, begin.Add(3*time.Second))}
	e := exporter{store: s, o: Options{Stream: "door"}, file: newContainer(Options{Stream: "door"}, newSlowReader(t, 1<<30))}
	_, e.disk, _ = s.Disk()
	err := errors.Join(e.plan(t.Context()), s.Delete(keys[0]))
	if err = errors.Join(err, e.copy(t.Context(), e.parts[0]), e.copy(t.Context(), e.parts[1])); err != nil {
		t.Fatal(err)
	}
	if g := e.result.Gaps; len(g) != 1 || !g[0].Deleted || !g[0].From.Equal(begin) || !e.result.From.Equal(begin.Add(3*time.Second)) {
		t.Errorf("%+v", e.result)
	}
	out := newSlowReader(t, 1<<30)
	all := exporter{store: s, o: Options{Stream: "door"}, file: newContainer(Options{Stream: "door"}, out), disk: e.disk}
	if err := errors.Join(all.plan(t.Context()), s.Delete(keys[1])); err != nil {
		t.Fatal(err)
	}
	err = all.run(t.Context())
	var fault *health.Fault
	if !errors.As(err, &fault) || !strings.Contains(fault.Text, "were deleted before they could be exported") || out.written > 0 {
		t.Errorf("%v; %d bytes", err, out.written)
	}
}

func TestAnExportDoesNotTakeADiskThatIsGoneForDeletion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "disk")
	s := open(t, dir)
	threeTimesThree(t, s)
	out := newSlowReader(t, 0)
	done := startExport(t, s, Options{Stream: "door"}, out)
	<-out.at
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	close(out.resume)
	if e := <-done; e.err == nil || !strings.Contains(e.err.Error(), "put it back") {
		t.Errorf("%+v: %v", e, e.err)
	}
}

func TestAChangeOfFormatIsFoundBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	threeTimesThree(t, s)
	other := track
	other.CodecPrivate = []byte{4, 5, 6}
	w := create(t, s, begin.Add(time.Hour), other)
	writeFragment(t, w, 0)
	seal(t, w)
	out := newSlowReader(t, 1<<30)
	_, err := Run(t.Context(), s, Options{Stream: "door"}, out)
	if err == nil || !strings.Contains(err.Error(), "changed its format") || out.written > 0 {
		t.Errorf("%v; %d bytes", err, out.written)
	}
}

func TestAnExportReportsTheGapsWithinSegments(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	w := create(t, s, begin, track)
	for _, from := range [][]time.Duration{{0}, {3 * time.Second, 7 * time.Second}, {20 * time.Second}} {
		writeFragment(t, w, from...)
	}
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	want := []Gap{{From: at(960), To: at(3000)}, {From: at(3960), To: at(7000)}, {From: at(7960), To: at(20_000)}}
	for _, what := range []string{"being written", "sealed"} {
		e, err := Run(t.Context(), s, Options{Stream: "door"}, newSlowReader(t, 1<<30))
		if diff := cmp.Diff(want, e.Gaps); err != nil || diff != "" {
			t.Errorf("%s (-want +got):\n%s%v", what, diff, err)
		}
		if what == "being written" {
			seal(t, w)
		}
	}
}
