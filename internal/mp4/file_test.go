package mp4

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// avcC is a record with one SPS and one PPS, whose content nobody reads here.
var avcC = []byte{1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1, 0, 4, 0x67, 0x42, 0xC0, 0x1E, 1, 0, 2, 0x68, 0xCE}

var (
	videoTrack = mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: avcC, Width: 320, Height: 240}
	audioTrack = audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 1}.Track(2)
)

func movie(tb testing.TB) Movie {
	tb.Helper()
	m := Movie{Title: "door", Start: time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC), Length: time.Minute}
	for i, t := range []mkv.Track{videoTrack, audioTrack} {
		track, ok := NewTrack(uint32(i+1), t, false)
		if !ok {
			tb.Fatalf("%s is not taken", t.CodecID)
		}
		m.Tracks = append(m.Tracks, track)
	}
	return m
}

// sparse is a disk that holds no zeros.
type sparse struct {
	pages map[int64][]byte
	size  int64
}

const page = 1 << 16

var noBytes [page]byte

func (s *sparse) WriteAt(p []byte, off int64) (n int, _ error) {
	for n < len(p) {
		at := off + int64(n)
		part := p[n:min(len(p), n+int(page-at%page))]
		if n += len(part); s.pages[at/page] == nil {
			if bytes.Equal(part, noBytes[:len(part)]) {
				continue
			}
			s.pages[at/page] = make([]byte, page)
		}
		copy(s.pages[at/page][at%page:], part)
	}
	s.size = max(s.size, off+int64(n))
	return n, nil
}

func (s *sparse) ReadAt(p []byte, off int64) (n int, _ error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= s.size {
			return n, io.EOF
		}
		part := p[n:min(len(p), n+int(page-at%page))]
		clear(part)
		if have := s.pages[at/page]; have != nil {
			copy(part, have[at%page:])
		}
		n += len(part)
	}
	return n, nil
}

// boxAt returns the content of the first box on a path, and where that is in data; -1: there is none.
func boxAt(data []byte, path ...string) (content []byte, at int) {
	at = -1
	offset := 0
	children(data, func(kind string, b []byte) {
		if at < 0 && kind == path[0] {
			content, at = b[boxHead:], offset+boxHead
		}
		offset += len(b)
	})
	if at < 0 || len(path) == 1 {
		return content, at
	}
	inner, in := boxAt(content, path[1:]...)
	if in < 0 {
		return nil, -1
	}
	return inner, at + in
}

// moovOf reads the index of a file: in front, or where the media ends.
func moovOf(t *testing.T, disk io.ReaderAt, size int64) (moov []byte, at int64) {
	t.Helper()
	for at < size {
		var head [16]byte
		if _, err := disk.ReadAt(head[:], at); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		length := int64(binary.BigEndian.Uint32(head[:]))
		if length == 1 {
			length = int64(binary.BigEndian.Uint64(head[8:]))
		}
		if string(head[4:8]) == "moov" {
			moov = make([]byte, length)
			if _, err := disk.ReadAt(moov, at); err != nil {
				t.Fatal(err)
			}
			return moov, at
		}
		if length < boxHead {
			t.Fatalf("a box at %d has %d bytes", at, length)
		}
		at += length
	}
	t.Fatal("there is no moov box")
	return nil, 0
}

// TestAFileBeyond4GiB has offsets of 64 bits, which lead to the samples.
func TestAFileBeyond4GiB(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		table  string
		sample int // bytes
	}{{"stco", 1 << 20}, {"co64", 1<<30 + 7<<20}} {
		disk := &sparse{pages: make(map[int64][]byte)}
		m := movie(t)
		f, err := NewFile(disk, 4<<10)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(AppendHeader(nil, m))
		zeros := make([]byte, 1<<20)
		for i := range 5 {
			head := AppendFragment(nil, uint32(i+1), []Chunk{{&m.Tracks[0], []Sample{{
				Time: uint64(i) * 1000, Duration: 1000, Size: uint32(c.sample), Sync: true,
			}}}})
			_, headErr := f.Write(append(head, "sample"...))
			err = errors.Join(err, headErr)
			for left := c.sample - len("sample"); left > 0; left -= len(zeros) {
				_, zeroErr := f.Write(zeros[:min(left, len(zeros))])
				err = errors.Join(err, zeroErr)
			}
		}
		size, finishErr := f.Finish(t.Context())
		if err = errors.Join(err, finishErr); err != nil {
			t.Fatal(err)
		}
		moov, _ := moovOf(t, disk, size)
		table, _ := boxAt(moov, "moov", "trak", "mdia", "minf", "stbl", c.table)
		if len(table) < 8 || binary.BigEndian.Uint32(table[4:]) != 5 {
			t.Fatalf("%s has %x", c.table, table)
		}
		width := (len(table) - 8) / 5
		for i := range 5 {
			entry := append(make([]byte, 8-width), table[8+i*width:8+(i+1)*width]...)
			var got [6]byte
			if _, err := disk.ReadAt(got[:], int64(binary.BigEndian.Uint64(entry))); err != nil || string(got[:]) != "sample" {
				t.Errorf("%s: sample %d is at %x: %q %v", c.table, i, entry, got, err)
			}
		}
	}
}

// day writes fragments of 10 s with 300 frames of video and 500 of audio, of a byte each, whose times are never as long.
func day(tb testing.TB, f io.Writer, fragments int) (index IndexSize) {
	tb.Helper()
	m := movie(tb)
	if _, err := f.Write(AppendHeader(nil, m)); err != nil {
		tb.Fatal(err)
	}
	video, sound := make([]Sample, 300), make([]Sample, 500)
	var out []byte
	for n := range fragments {
		for i := range video {
			from, to := (n*300+i)*100/3, (n*300+i+1)*100/3
			video[i] = Sample{Time: uint64(from), Duration: uint32(to - from), Size: 1, Sync: i == 0, Offset: int32(i % 2)}
		}
		for i := range sound {
			sound[i] = Sample{Time: uint64(n*500+i) * 160, Duration: 160, Size: 1, Sync: true}
		}
		chunks := []Chunk{{&m.Tracks[0], video[:150]}, {&m.Tracks[1], sound[:250]}, {&m.Tracks[0], video[150:]}, {&m.Tracks[1], sound[250:]}}
		index.Add(chunks)
		out = AppendFragment(out[:0], uint32(n+1), chunks)
		if _, err := f.Write(append(out, make([]byte, 800)...)); err != nil {
			tb.Fatal(err)
		}
	}
	return index
}

func temporary(tb testing.TB) *os.File {
	tb.Helper()
	f, err := os.Create(filepath.Join(tb.TempDir(), "out.mp4"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	return f
}

// TestAnIndexTakesNoMemory: what Finish allocates does not depend on the length of the media. It runs alone, as it counts the memory of
// the process.
func TestAnIndexTakesNoMemory(t *testing.T) { //nolint:paralleltest
	f, err := NewFile(temporary(t), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	const hour = 360
	day(t, f, hour)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := f.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("the index of an hour, 288,000 samples, takes %d bytes", got)
	}
}

// TestAnIndexIsGivenUp where nobody waits for it any more: that of a month takes half a minute.
func TestAnIndexIsGivenUp(t *testing.T) {
	t.Parallel()
	out := temporary(t)
	f, err := NewFile(out, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	day(t, f, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Finish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context it says %v", err)
	}
}

// TestTheIndexIsWhereItFits: in front when it has the room that was reserved for it, and else behind the media.
func TestTheIndexIsWhereItFits(t *testing.T) {
	t.Parallel()
	var counted int64
	{
		index := day(t, io.Discard, 10)
		counted = index.Bytes(movie(t))
	}
	for _, c := range []struct {
		name  string
		room  int64
		front bool
	}{{"as counted", counted, true}, {"too small", counted / 2, false}, {"none", 0, false}, {"an hour's", 1 << 20, true}} {
		out := temporary(t)
		f, err := NewFile(out, c.room)
		if err != nil {
			t.Fatal(err)
		}
		day(t, f, 10)
		size, err := f.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		info, err := out.Stat()
		if err != nil || info.Size() != size {
			t.Errorf("%s: the file has %v bytes, not %d: %v", c.name, info, size, err)
		}
		moov, at := moovOf(t, out, size)
		if front := at == int64(len(fileType())); front != c.front {
			t.Errorf("%s: the index is at %d of %d", c.name, at, size)
		}
		if slack := counted - int64(len(moov)); slack < 0 || slack > 2*slackBytes {
			t.Errorf("%d bytes are counted, and the index has %d", counted, len(moov))
		}
		if mvex, at := boxAt(moov, "moov", "mvex"); at >= 0 {
			t.Errorf("%s: the file says that it has fragments: %x", c.name, mvex)
		}
	}
}

// TestAFullDiskIsAnError of whatever is written at last.
func TestAFullDiskIsAnError(t *testing.T) {
	t.Parallel()
	for _, room := range []int64{0, 1 << 20} {
		disk := &fullDisk{sparse: &sparse{pages: make(map[int64][]byte)}, after: 1 << 30}
		f, err := NewFile(disk, room)
		if err != nil {
			t.Fatal(err)
		}
		day(t, f, 10)
		disk.after = 0
		if _, err := f.Finish(t.Context()); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
	if _, err := NewFile(&fullDisk{}, 100); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("at the start: %v", err)
	}
}

type fullDisk struct {
	*sparse
	after int
}

func (d *fullDisk) WriteAt(p []byte, off int64) (int, error) {
	if d.after -= len(p); d.after < 0 {
		return 0, io.ErrShortWrite
	}
	return d.sparse.WriteAt(p, off)
}

// TestAnIndexBeyond4GiB says what to do instead.
func TestAnIndexBeyond4GiB(t *testing.T) {
	t.Parallel()
	if _, err := NewFile(&fullDisk{}, 1<<33); err == nil || !strings.Contains(err.Error(), "export a shorter time") {
		t.Error(err)
	}
}

// FuzzFile makes files of streams that are damaged on their way.
func FuzzFile(f *testing.F) {
	var stream bytes.Buffer
	day(f, &stream, 2)
	f.Add(stream.Bytes(), int64(4<<10))
	f.Add(stream.Bytes()[:1000], int64(0))
	f.Add(AppendHeader(nil, movie(f)), int64(100))
	f.Add([]byte{}, int64(-1))
	f.Fuzz(func(t *testing.T, data []byte, room int64) {
		disk := &sparse{pages: make(map[int64][]byte)}
		file, err := NewFile(disk, min(room, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		size, err := file.Finish(t.Context())
		if err == nil && size < int64(len(data)) {
			t.Errorf("%d bytes became %d", len(data), size)
		}
	})
}

// FuzzParameterSets reads records that cameras and files have.
func FuzzParameterSets(f *testing.F) {
	f.Add(avcC, false)
	f.Add([]byte{1, 0x42}, false)
	f.Add(append(make([]byte, 22), 1, 0xA0, 0, 1, 0, 2, 0x40, 1), true)
	f.Fuzz(func(t *testing.T, record []byte, h265 bool) {
		track := videoTrack
		if track.CodecPrivate = record; h265 {
			track.CodecID = mkv.CodecHEVC
		}
		if sets := ParameterSets(track); len(sets) > 2*len(record) {
			t.Errorf("%d bytes have sets of %d", len(record), len(sets))
		}
		NewTrack(1, track, true)
	})
}

func BenchmarkIndexOfADay(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		f, err := NewFile(temporary(b), 100<<20)
		if err != nil {
			b.Fatal(err)
		}
		day(b, f, 8640)
		b.StartTimer()
		if _, err := f.Finish(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
}
