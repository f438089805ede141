package mkv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// goldenHeader and writeGolden make what the files in testdata hold, which version 421301e wrote.
func goldenHeader() Header {
	return Header{Start: sampleStart, Title: "front-door", Tracks: []Track{
		{Number: 1, Kind: Video, CodecID: CodecAVC, CodecPrivate: []byte{1, 2, 3, 4}, Name: "video", Width: 320, Height: 240},
		{Number: 2, Kind: Audio, CodecID: CodecAAC, CodecPrivate: []byte{0x15, 0x88}, SampleRate: 8000, Channels: 1},
	}}
}

func writeGolden(t testing.TB, f File, o WriterOptions) *Writer {
	t.Helper()
	w, err := NewWriter(f, goldenHeader(), o)
	for i := range 3 {
		at := time.Duration(i) * time.Second
		err = errors.Join(err, w.BeginFragment(at, true))
		for n := range 4 {
			unit := make([]byte, 150)
			for k := range unit {
				unit[k] = byte(1 + (i*50+n*7+k)%250)
			}
			when := at + time.Duration(n)*250*time.Millisecond
			err = errors.Join(err, w.WriteFrame(1, when, n == 0, [][]byte{unit[:20], unit[20:]}))
			err = errors.Join(err, w.WriteFrame(2, when, true, [][]byte{bytes.Repeat([]byte{byte(0xD5 + n)}, 80)}))
		}
	}
	if _, endErr := w.EndFragment(); errors.Join(err, endErr) != nil {
		t.Fatal(err, endErr)
	}
	return w
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+"-421301e.mkv"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// bufferSizes keep a fragment's head in memory to its end, or not.
var bufferSizes = map[string]WriterOptions{"in one write": {}, "in pieces": {BufferSize: 600}}

func verified(data []byte) (Verification, error) {
	r, err := Open(sliceReader(data), int64(len(data)))
	if err != nil {
		return Verification{}, err
	}
	return r.Verify(true)
}

func TestWhatIsSentIsByteForByteThatOfEarlierVersions(t *testing.T) {
	t.Parallel()
	want := golden(t, "wire")
	wire := func(f io.ReaderAt, list []Fragment) []byte {
		got := AppendStreamHeader(nil, goldenHeader())
		for _, fragment := range list {
			head := make([]byte, ClusterHeadSize)
			PutClusterHead(head, fragment.Size, sampleStart.Add(fragment.Start).UnixMilli())
			blocks, err := io.ReadAll(fragmentBlocks(f, fragment))
			if err != nil {
				t.Fatal(err)
			}
			got = append(append(got, head...), blocks...)
		}
		return got
	}
	for name, o := range bufferSizes {
		m := &memory{}
		w := writeGolden(t, m, o)
		if got := wire(m, w.Fragments()); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes differ from the %d that are expected", name, len(got), len(want))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(m, w.Size())
		if err != nil {
			t.Fatal(err)
		}
		list, err := r.Fragments()
		if got := wire(m, list); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s, finished: %d bytes differ from the %d that are expected, %v", name, len(got), len(want), err)
		}
	}
}

func TestFilesOfEarlierVersionsAreReadAndHaveNoChecksum(t *testing.T) {
	t.Parallel()
	data := golden(t, "finished")
	v, err := verified(data)
	if err != nil || len(v.Fragments) != 3 || v.Unsummed != 3 || len(v.Damaged) > 0 {
		t.Errorf("%+v %v", v, err)
	}
	m := &memory{data: golden(t, "open")}
	recovered, err := Recover(m, int64(len(m.data)))
	if err != nil || len(recovered.Fragments) != 3 || recovered.Damaged > 0 || recovered.Cut > 0 {
		t.Errorf("%+v %v", recovered, err)
	}
	if !bytes.Equal(m.data, data) {
		t.Error("recovery makes another file of it than that version did")
	}
	m = &memory{data: bytes.Clone(data)}
	if again, err := Recover(m, int64(len(data))); err != nil || again.Finished || !bytes.Equal(m.data, data) {
		t.Errorf("a whole file was touched: %+v %v", again, err)
	}
	// A page that was lost shows without a checksum, too.
	second := recovered.Fragments[1]
	clear(data[second.Offset+60 : second.Offset+150])
	if v, err := verified(data); err != nil || len(v.Damaged) != 1 || v.Damaged[0].From != time.Second {
		t.Errorf("zeros in a frame: %+v %v", v, err)
	}
}

// Each byte of a finished file is that which was written, or the file is damaged.
func TestVerifySeesEachByteThatChanged(t *testing.T) {
	t.Parallel()
	for name, o := range bufferSizes {
		m := &memory{}
		w := writeGolden(t, m, o)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if v, err := verified(m.data); err != nil || len(v.Fragments) != 3 || len(v.Damaged) > 0 || v.Unsummed > 0 {
			t.Fatalf("%s: %+v %v", name, v, err)
		}
		for i := range m.data {
			for _, mask := range []byte{1, 0x80, 0xFF} {
				m.data[i] ^= mask
				v, err := verified(m.data)
				if err == nil && len(v.Damaged) == 0 {
					t.Errorf("%s: byte %d of %d changed by %#x, and nothing is said; the fragments are %+v", name, i, len(m.data), mask, w.Fragments())
				}
				m.data[i] ^= mask
			}
		}
	}
}

func TestVerifyNamesTheDamagedFragment(t *testing.T) {
	t.Parallel()
	m := &memory{}
	w := writeGolden(t, m, WriterOptions{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	list := w.Fragments()
	for name, tc := range map[string]struct {
		corrupt   func(data []byte, f Fragment)
		fragments int
	}{
		"a byte of a frame":     {func(data []byte, f Fragment) { data[f.Offset+100] ^= 4 }, 3},
		"a byte of its time":    {func(data []byte, f Fragment) { data[f.Offset+ClusterHeadSize-1] ^= 1 }, 3},
		"zeros in a frame":      {func(data []byte, f Fragment) { clear(data[f.Offset+60 : f.Offset+150]) }, 3},
		"zeros over everything": {func(data []byte, f Fragment) { clear(data[f.Offset : f.Offset+f.Size]) }, 2},
		"its head":              {func(data []byte, f Fragment) { clear(data[f.Offset : f.Offset+8]) }, 2},
		"a block's head":        {func(data []byte, f Fragment) { clear(data[f.Offset+ClusterHeadSize : f.Offset+ClusterHeadSize+4]) }, 2},
		"its checksum":          {func(data []byte, f Fragment) { data[f.Offset-3] ^= 1 }, 3},
	} {
		for n, f := range list {
			data := bytes.Clone(m.data)
			tc.corrupt(data, f)
			v, err := verified(data)
			if err != nil || len(v.Fragments) != tc.fragments || len(v.Damaged) != 1 {
				t.Errorf("%s of fragment %d: %+v %v", name, n, v, err)
				continue
			}
			if d := v.Damaged[0]; d.From > f.Last || (d.To != 0 && d.To < f.Start) || (d.To == 0 && n < 2) {
				t.Errorf("%s of fragment %d, %s to %s: the damage is said to be from %s to %s", name, n, f.Start, f.Last, d.From, d.To)
			}
		}
	}
}

// A file that is being written has the checksums of all that is completed, and readers are never held up.
func TestChecksumsAreThereBeforeTheFileIsFinished(t *testing.T) {
	t.Parallel()
	for name, o := range bufferSizes {
		m := &memory{}
		w := writeGolden(t, m, o)
		err := w.BeginFragment(3*time.Second, true)
		err = errors.Join(err, w.WriteFrame(1, 3*time.Second, true, [][]byte{{1, 2, 3}}), w.Flush())
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(m, int64(len(m.data)))
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.Verify(false)
		if err != nil || len(v.Fragments) != 3 || v.Unsummed > 0 || len(v.Damaged) > 0 {
			t.Errorf("%s: %+v %v", name, v, err)
		}
		m.data[v.Fragments[0].Offset+70] ^= 1
		if v, err = r.Verify(false); err != nil || len(v.Damaged) != 1 || !errors.Is(v.Damaged[0].Err, ErrChecksum) {
			t.Errorf("%s, damaged: %+v %v", name, v, err)
		}
	}
}

// A power cut may leave any part of what completes a fragment: all of its frames stay.
func TestRecoverPassesOverATornSeal(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2} {
		m := &memory{}
		w := writeGolden(t, m, WriterOptions{BufferSize: 600})
		f := w.Fragments()[n]
		for from := range completionSize + 1 {
			for _, tail := range []bool{false, true} { // which end is missing
				torn := &memory{data: bytes.Clone(m.data)}
				open := append(appendSumRoom(nil), make([]byte, ClusterHeadSize)...)
				putClusterHead(open[sumSize:], element.UnknownSize8, f.Start.Milliseconds())
				if at := f.Offset - sumSize; tail {
					copy(torn.data[at+int64(from):], open[from:completionSize])
				} else {
					copy(torn.data[at:], open[:from])
				}
				r, err := Recover(torn, int64(len(torn.data)))
				if err != nil || len(r.Fragments) != 3 || r.Damaged > 0 || r.Cut > 0 {
					t.Errorf("fragment %d torn at %d, tail %v: %+v %v", n, from, tail, r, err)
					continue
				}
				if v, err := verified(torn.data); err != nil || v.Unsummed > 0 || len(v.Damaged) > 0 {
					t.Errorf("fragment %d torn at %d, tail %v: read again: %+v %v", n, from, tail, v, err)
				}
			}
		}
	}
}

// What recovery keeps is what was written, frame for frame, wherever a page was lost or a byte changed.
func TestRecoverKeepsGoodFramesAndNoneThatChanged(t *testing.T) {
	t.Parallel()
	for name, o := range bufferSizes {
		m := &memory{}
		w := writeGolden(t, m, o)
		want := framesIn(t, m.data)
		first := w.Fragments()[0].Offset
		for at := first; at < int64(len(m.data)); at += 7 {
			for what, corrupt := range map[string]func([]byte){
				"zeros":  func(data []byte) { clear(data[at:min(at+256, int64(len(data)))]) },
				"a byte": func(data []byte) { data[at] ^= 0x10 },
			} {
				where := fmt.Sprintf("%s, %s at %d", name, what, at)
				torn := &memory{data: bytes.Clone(m.data)}
				corrupt(torn.data)
				r, err := Recover(torn, int64(len(torn.data)))
				if err != nil {
					t.Errorf("%s: %v", where, err)
					continue
				}
				got := framesIn(t, torn.data)
				for when, frame := range got {
					if want[when] != frame {
						t.Errorf("%s: the frame %s is another one", where, when)
					}
				}
				hit := 0 // fragments that hold changed bytes, or whose checksum does
				for _, f := range w.Fragments() {
					if from := f.Offset - sumSize; !bytes.Equal(m.data[from:f.Offset+f.Size], orZeros(torn.data, from, f.Offset+f.Size)) {
						hit++
						continue
					}
					if got[fmt.Sprint(1, f.Start)] == "" {
						t.Errorf("%s: the fragment at %s is lost: %+v", where, f.Start, r)
					}
				}
				if v, err := verified(torn.data); err != nil || len(v.Damaged) > 0 || v.Unsummed > 0 {
					t.Errorf("%s: read again: %+v %v", where, v, err)
				}
				if hit > 2 {
					t.Errorf("%s: %d fragments are not as they were", where, hit)
				}
			}
		}
	}
}

func orZeros(data []byte, from, to int64) []byte {
	if to > int64(len(data)) {
		return nil
	}
	return data[from:to]
}

// framesOf returns a file's frames by track and time.
func framesIn(t *testing.T, data []byte) map[string]string {
	t.Helper()
	r, err := Open(sliceReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Fragments()
	if err != nil {
		t.Fatal(err)
	}
	frames := make(map[string]string)
	for _, f := range list {
		for b, err := range r.Blocks(f) {
			if err != nil {
				t.Fatal(err)
			}
			frames[fmt.Sprint(b.Track, b.Time)] = string(b.Data)
		}
	}
	return frames
}

// Damage before the first fragment: its head shares a page with the file's header.
func TestRecoverKeepsWhatFollowsALostFirstHead(t *testing.T) {
	t.Parallel()
	m := &memory{}
	w := writeGolden(t, m, WriterOptions{})
	first := w.Fragments()[0]
	for from := first.Offset - 2*sumSize + 14; from <= first.Offset; from++ {
		torn := &memory{data: bytes.Clone(m.data)}
		clear(torn.data[from : first.Offset+40])
		r, err := Recover(torn, int64(len(torn.data)))
		if err != nil || len(r.Fragments) != 2 {
			t.Errorf("zeros from %d: %+v %v", from, r, err)
		}
	}
	m.data[first.Offset-2*sumSize-3] ^= 1
	before := bytes.Clone(m.data)
	if _, err := Recover(m, int64(len(m.data))); err == nil || errors.Is(err, ErrEmpty) || !bytes.Equal(before, m.data) {
		t.Errorf("a damaged header: %v", err)
	}
}

func TestACopyDoesNotVouchForWhatIsDamaged(t *testing.T) {
	t.Parallel()
	m := &memory{}
	w := writeGolden(t, m, WriterOptions{})
	list := w.Fragments()
	m.data[list[1].Offset+70] ^= 1
	for name, tc := range map[string]struct {
		data    []byte
		damaged int // the copy says that it is
	}{"a damaged one": {m.data, 1}, "of an earlier version": {golden(t, "finished"), 0}} {
		r, err := Open(sliceReader(tc.data), int64(len(tc.data)))
		if err != nil {
			t.Fatal(err)
		}
		fragments, err := r.Fragments()
		if err != nil {
			t.Fatal(err)
		}
		out := &memory{}
		c, err := NewWriter(out, goldenHeader(), WriterOptions{})
		for _, f := range fragments {
			err = errors.Join(err, c.CopyFragment(r.scan.r, f, f.Start+5*time.Second))
		}
		if err = errors.Join(err, c.Close()); err != nil {
			t.Fatal(err)
		}
		v, err := verified(out.data)
		if err != nil || len(v.Fragments) != 3 || v.Unsummed > 0 || len(v.Damaged) != tc.damaged {
			t.Errorf("%s: %+v %v", name, v, err)
		}
		if diff := cmp.Diff(c.Fragments(), v.Fragments); diff != "" {
			t.Error(diff)
		}
	}
}

func TestHoldsZeros(t *testing.T) {
	t.Parallel()
	for size := range 300 {
		for from := 0; from < size; from += 3 {
			for n := 0; from+n <= size; n += 5 {
				data := bytes.Repeat([]byte{1}, size)
				clear(data[from : from+n])
				if got := holdsZeros(data); got != (n >= zeroRun) {
					t.Fatalf("%d zeros at %d of %d bytes: %v", n, from, size, got)
				}
			}
		}
	}
}
