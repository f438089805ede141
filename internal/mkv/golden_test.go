package mkv

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// goldenHeads is one after the other what describes files of many kinds: sizes of one to three bytes, all kinds of
// tracks, with and without what may be missing.
func goldenHeads(t *testing.T) []byte {
	t.Helper()
	private := func(n int) []byte { return bytes.Repeat([]byte{0x67, 0x00, 0xFF}, n)[:n] }
	picture := Track{Number: 1, Kind: Video, CodecID: CodecAVC, CodecPrivate: private(40), Width: 3840, Height: 2160}
	g711 := Track{Number: 2, Kind: Audio, CodecID: CodecACM, CodecPrivate: private(18), SampleRate: 8000, Channels: 1, BitDepth: 16}
	aac := Track{Number: 3, Kind: Audio, CodecID: CodecAAC, CodecPrivate: private(5), Name: "Hof, außen", SampleRate: 44100, Channels: 2}
	large := Track{Number: 1, Kind: Video, CodecID: CodecHEVC, CodecPrivate: private(200), Name: "video", Width: 320, Height: 180}
	var all []byte
	for _, h := range []Header{
		goldenHeader(),
		{Start: time.UnixMilli(0), Title: "", Tracks: []Track{{Number: 1, Kind: Video, CodecID: CodecAVC}}},
		{Start: time.UnixMilli(1), Title: strings.Repeat("n", 126), Tracks: []Track{picture}},
		{Start: time.UnixMilli(978_307_200_000), Title: strings.Repeat("n", 127), Tracks: []Track{picture, g711, aac}},
		{Start: time.UnixMilli(4_102_444_799_999), Title: strings.Repeat("ü", 128), Tracks: []Track{large, g711}},
	} {
		m := &memory{}
		w, err := NewWriter(m, h, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, keyframe := range []bool{false, true, true} { // a hundred hours apart
			if err := w.BeginFragment(time.Duration(i)*100*time.Hour, keyframe); err != nil {
				t.Fatal(err)
			}
			if err := w.WriteFrame(1, time.Duration(i)*100*time.Hour, keyframe, [][]byte{private(200)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(AppendStreamHeader(all, h), m.data...)
	}
	for _, n := range []int{0, 1, 126, 127, 128, 16_383} {
		all = AppendTags(all, []Tag{{"AWS_KINESISVIDEO_IMAGE_GENERATION", ""}, {"n", strings.Repeat("v", n)}})
	}
	return all
}

// What is not media is also byte for byte what that version wrote: recovery and verification work it out again
// and compare, and so do readers of other people.
func TestFilesAreByteForByteThoseOfEarlierVersions(t *testing.T) {
	t.Parallel()
	m := &memory{}
	if err := writeGolden(t, m, WriterOptions{}).Close(); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"finished-5e223e4.mkv": m.data, "heads-5e223e4.bin": goldenHeads(t)} {
		want, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		if at < max(len(got), len(want)) {
			t.Errorf("%s: %d bytes differ from the %d that are expected, from byte %d on", name, len(got), len(want), at)
		}
	}
}
