package mkv

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFinishedFileIsCleanSeekableAndHoldsEveryFrame(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 4)
	want := frameSums(t, "-i", s.annexB(t))
	for name, options := range map[string]WriterOptions{
		"each fragment in one write": {},
		"fragments in pieces":        {BufferSize: 2000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := create(t)
			w := s.write(t, f, options)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if info, err := f.Stat(); err != nil || info.Size() != w.Size() {
				t.Errorf("the file has %v bytes, the writer says %d", info.Size(), w.Size())
			}
			mustBeClean(t, f.Name())
			if diff := cmp.Diff(want, frameSums(t, "-i", f.Name())); diff != "" {
				t.Errorf("decoded pictures differ: %s", diff)
			}
			duration, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=duration:format_tags=creation_time",
				"-of", "csv=p=0", f.Name()).Output()
			if err != nil || !strings.HasPrefix(string(duration), "4.000000") || !strings.Contains(string(duration), "2026-03-04T05:06:07.890") {
				t.Errorf("duration and start: %s %v", duration, err)
			}
			// Seeking to the third second by the cues must give its keyframe's picture first.
			if got := frameSums(t, "-ss", "2", "-noaccurate_seek", "-i", f.Name()); len(got) != 50 || got[0] != want[50] {
				t.Errorf("seeking to 2 s returns %d pictures, want 50 beginning with picture 50", len(got))
			}
		})
	}
}

func TestFileBeingWrittenCanBePlayed(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 3)
	f := create(t)
	w := s.write(t, f, WriterOptions{})
	if _, err := w.EndFragment(); err != nil {
		t.Fatal(err)
	}
	mustBeClean(t, f.Name())
	if got := len(frameSums(t, "-i", f.Name())); got != len(s.units) {
		t.Errorf("%d pictures, want %d", got, len(s.units))
	}
}

func TestReaderGivesBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 3)
	f := create(t)
	w := s.write(t, f, WriterOptions{BufferSize: 5000})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(f, w.Size())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.header(), r.Header()); diff != "" {
		t.Error(diff)
	}
	fragments, err := r.Fragments()
	if err != nil || !r.Complete() {
		t.Fatalf("%v, complete %v", err, r.Complete())
	}
	if diff := cmp.Diff(w.Fragments(), fragments); diff != "" {
		t.Error(diff)
	}
	frame := 0
	for _, fragment := range fragments {
		for block, err := range r.Blocks(fragment) {
			if err != nil {
				t.Fatal(err)
			}
			var want []byte
			for _, nalu := range s.units[frame] {
				want = append(want, byte(len(nalu)>>24), byte(len(nalu)>>16), byte(len(nalu)>>8), byte(len(nalu)))
				want = append(want, nalu...)
			}
			at, keyframe := time.Duration(frame)*sampleFrame, frame%25 == 0
			if block.Track != 1 || block.Time != at || block.Keyframe != keyframe || !bytes.Equal(block.Data, want) {
				t.Fatalf("frame %d: track %d at %v, keyframe %v, %d bytes", frame, block.Track, block.Time, block.Keyframe, len(block.Data))
			}
			frame++
		}
	}
	if frame != len(s.units) {
		t.Errorf("read %d frames of %d", frame, len(s.units))
	}
}

func TestStreamHeaderAndRewrittenClustersMakeAStreamWithAbsoluteTimes(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 3)
	f := create(t)
	w := s.write(t, f, WriterOptions{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wire := AppendStreamHeader(nil, s.header())
	for _, fragment := range w.Fragments() {
		data := make([]byte, fragment.Size)
		if _, err := f.ReadAt(data, fragment.Offset); err != nil {
			t.Fatal(err)
		}
		PutClusterHead(data, fragment.Size, sampleStart.Add(fragment.Start).UnixMilli())
		wire = append(wire, data...)
	}
	path := f.Name() + ".wire"
	if err := os.WriteFile(path, wire, 0o600); err != nil {
		t.Fatal(err)
	}
	mustBeClean(t, path)
	first, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "packet=pts", "-read_intervals", "%+#1",
		"-of", "csv=p=0", path).Output()
	if err != nil || !strings.HasPrefix(string(first), "1772600767890") {
		t.Errorf("first time on the wire: %s %v", first, err)
	}
}

func TestMisuseIsRefused(t *testing.T) {
	t.Parallel()
	video := Track{Number: 1, Kind: Video, CodecID: CodecAVC, Width: 16, Height: 16}
	for name, h := range map[string]Header{
		"no track":       {Start: sampleStart},
		"wrong number":   {Start: sampleStart, Tracks: []Track{{Number: 2, Kind: Video, CodecID: CodecAVC}}},
		"no codec":       {Start: sampleStart, Tracks: []Track{{Number: 1, Kind: Video}}},
		"no start":       {Tracks: []Track{video}},
		"start in ns":    {Start: sampleStart.Add(1), Tracks: []Track{video}},
		"too many":       {Start: sampleStart, Tracks: []Track{video, video, video, video}},
		"unknown kind 7": {Start: sampleStart, Tracks: []Track{{Number: 1, Kind: 7, CodecID: CodecAVC}}},
	} {
		if _, err := NewWriter(create(t), h, WriterOptions{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	w, err := NewWriter(create(t), Header{Start: sampleStart, Tracks: []Track{video}}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	frame := [][]byte{{1, 2, 3}}
	if err := w.WriteFrame(1, 0, true, frame); !errors.Is(err, ErrNoFragment) {
		t.Errorf("a frame outside of a fragment: %v", err)
	}
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(2, 0, true, frame); err == nil {
		t.Error("a frame of a track that is not there was accepted")
	}
	if err := w.WriteFrame(1, 33*time.Second, true, frame); err == nil {
		t.Error("a frame too far from its cluster was accepted")
	}
	if err := w.WriteFrame(1, 0, true, frame); err != nil {
		t.Errorf("a good frame after refused ones: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.BeginFragment(0, true); err == nil {
		t.Error("a fragment after Close was accepted")
	}
}

// TestAFragmentWithoutAFrameIsTakenBack begins fragments into which nothing comes, and counts what
// is in the file.
func TestAFragmentWithoutAFrameIsTakenBack(t *testing.T) {
	t.Parallel()
	f := create(t)
	video := Track{Number: 1, Kind: Video, CodecID: CodecAVC, Width: 16, Height: 16}
	w, err := NewWriter(f, Header{Start: sampleStart, Tracks: []Track{video}}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		at := time.Duration(i) * time.Second
		if err := w.BeginFragment(at, true); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			continue
		}
		if err := w.WriteFrame(1, at, true, [][]byte{{1, 2, 3}}); err != nil {
			t.Fatal(err)
		}
		if n := w.Written(); n != i/2 {
			t.Errorf("%d frames are in the file, want %d", n, i/2)
		}
	}
	if _, err := w.EndFragment(); err != nil {
		t.Fatal(err)
	}
	if err := w.BeginFragment(3*time.Second, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.EndFragment(); !errors.Is(err, ErrNoFragment) {
		t.Errorf("an empty fragment ended with %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(f, w.Size())
	if err != nil {
		t.Fatal(err)
	}
	if list, err := r.Fragments(); err != nil || len(list) != 2 || w.Written() != 2 {
		t.Errorf("%d frames in %+v, %v", w.Written(), list, err)
	}
}

// failing refuses writes once it is full, as a disk does.
type failing struct {
	*os.File
	left int
}

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.left {
		n, _ := f.File.Write(p[:f.left])
		f.left = 0
		return n, io.ErrShortWrite
	}
	f.left -= len(p)
	return f.File.Write(p)
}

func TestErrorOfTheDiskStaysAndWhatWasCompletedIsRecovered(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 3)
	whole := create(t)
	w := s.write(t, whole, WriterOptions{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	second := w.Fragments()[1]

	f := &failing{File: create(t), left: int(second.Offset + second.Size/2)}
	w, err := NewWriter(f, s.header(), WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	for i, unit := range s.units {
		if isKeyframe(unit) {
			failed = w.BeginFragment(time.Duration(i)*sampleFrame, true)
		}
		if failed == nil {
			failed = w.WriteFrame(1, time.Duration(i)*sampleFrame, isKeyframe(unit), unit)
		}
		if failed != nil {
			break
		}
	}
	if !errors.Is(failed, io.ErrShortWrite) || !errors.Is(w.Close(), io.ErrShortWrite) {
		t.Fatalf("the disk's error is %v", failed)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	recovered, err := Recover(f.File, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if len(recovered.Fragments) != 2 || recovered.Fragments[0].Frames != 25 || recovered.Fragments[1].Frames == 0 {
		t.Errorf("recovered %+v", recovered.Fragments)
	}
	mustBeClean(t, f.Name())
}

func TestWritingAFrameAllocatesNothing(t *testing.T) {
	w, err := NewWriter(discard{}, Header{Start: sampleStart, Tracks: []Track{{Number: 1, Kind: Video, CodecID: CodecAVC}}}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	unit := [][]byte{make([]byte, 100), make([]byte, 20_000)}
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	write := func() {
		if err := w.WriteFrame(1, 0, true, unit); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		write()
	}
	if n := testing.AllocsPerRun(1000, write); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error)            { return len(p), nil }
func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

func BenchmarkWriteFrame(b *testing.B) {
	w, err := NewWriter(discard{}, Header{Start: sampleStart, Tracks: []Track{{Number: 1, Kind: Video, CodecID: CodecAVC}}}, WriterOptions{})
	if err != nil {
		b.Fatal(err)
	}
	unit := [][]byte{make([]byte, 20_000)}
	b.SetBytes(20_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i%50 == 0 {
			if err := w.BeginFragment(time.Duration(i)*sampleFrame, true); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.WriteFrame(1, time.Duration(i)*sampleFrame, i%50 == 0, unit); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkChecksum writes fragments to a file and says which part of the time their checksums take, in
// hundredths.
func BenchmarkChecksum(b *testing.B) {
	frame := make([]byte, 20_000)
	for i := range frame {
		frame[i] = byte(i*7 + i>>8)
	}
	unit, f := [][]byte{frame}, create(b)
	var writing, summing time.Duration
	b.SetBytes(50 * int64(len(frame)))
	for b.Loop() {
		if err := errors.Join(f.Truncate(0), seekStart(f)); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		w, err := NewWriter(f, Header{Start: sampleStart, Tracks: []Track{{Number: 1, Kind: Video, CodecID: CodecAVC}}}, WriterOptions{})
		err = errors.Join(err, w.BeginFragment(0, true))
		for i := range 50 {
			err = errors.Join(err, w.WriteFrame(1, time.Duration(i)*sampleFrame, i == 0, unit))
		}
		if err = errors.Join(err, w.Close()); err != nil {
			b.Fatal(err)
		}
		writing += time.Since(began)
		began = time.Now()
		sum := uint32(0)
		for range 50 {
			sum = addSum(sum, frame)
		}
		summing += time.Since(began)
	}
	b.ReportMetric(100*float64(summing)/float64(writing), "%checksum")
}

func seekStart(f io.Seeker) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// TestTheBufferTakesNoMoreThanItsLimit writes frames of many sizes: with many cameras, each byte of the buffer is there as often.
func TestTheBufferTakesNoMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 700, 20_000, 70_000, DefaultBufferSize - 1000} {
		w := writeGolden(t, discard{}, WriterOptions{})
		if err := w.BeginFragment(time.Minute, true); err != nil {
			t.Fatal(err)
		}
		unit := make([]byte, size)
		for i := range 3*DefaultBufferSize/size + 3 {
			at := time.Minute + time.Duration(i)*time.Microsecond
			if err := w.WriteFrame(1, at, i == 0, [][]byte{unit}); err != nil {
				t.Fatal(err)
			}
		}
		if got := cap(w.buffer); got > DefaultBufferSize {
			t.Errorf("with frames of %d bytes it takes %d, its limit is %d", size, got, DefaultBufferSize)
		}
	}
}
