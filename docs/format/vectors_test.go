package format_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// updateVectors makes the tests write the vectors instead of comparing with them.
const updateVectors = "UPDATE_VECTORS"

// begin is when the first segment of the vectors starts.
var begin = time.Date(2026, 11, 21, 4, 15, 48, 83e6, time.UTC)

// readVectors fills a table from a file of vectors.
func readVectors(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("vectors", name))
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		err = d.Decode(v)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestVectorsOfNames(t *testing.T) {
	t.Parallel()
	type row struct {
		Name    string
		Segment *[4]any // epoch, start, length, and state or null; null: no file of a segment
	}
	var rows []row
	readVectors(t, "names.json", &rows)
	var foreign []*[4]any
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Name
	}
	eachOf(t, "parse_name(x)", names, &foreign)
	for i, r := range rows {
		var ours *[4]any
		if p, ok := layout.ParseName(r.Name); ok {
			ours = &[4]any{float64(p.Epoch), float64(p.Start), float64(p.Length), nil}
			if strings.HasSuffix(r.Name, ".mkv") {
				if ours[3] = p.State.String(); p.Refused {
					ours[3] = "refused"
				}
			}
		}
		for who, got := range map[string]*[4]any{"the agent": ours, "the reader": foreign[i]} {
			if diff := cmp.Diff(r.Segment, got); diff != "" {
				t.Errorf("%q (-vector +%s):\n%s", r.Name, who, diff)
			}
		}
	}
}

func TestVectorsOfDirectories(t *testing.T) {
	t.Parallel()
	var rows map[string][]string // by stream: the plain name, if it has one, and the escaped name
	readVectors(t, "directories.json", &rows)
	streams := slices.Sorted(maps.Keys(rows))
	var foreign [][]string
	eachOf(t, "directory_names(x)", streams, &foreign)
	for i, stream := range streams {
		if diff := cmp.Diff(rows[stream], layout.DirectoriesOf(stream)); diff != "" {
			t.Errorf("%q (-vector +agent):\n%s", stream, diff)
		}
		if diff := cmp.Diff(rows[stream], foreign[i]); diff != "" {
			t.Errorf("%q (-vector +reader):\n%s", stream, diff)
		}
	}
}

// vectorTracks are video, and AAC of 8 kHz.
func vectorTracks(audio bool) []mkv.Track {
	tracks := []mkv.Track{{
		Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte{1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0, 0}, Name: "video",
		Width: 320, Height: 240,
	}}
	if audio {
		tracks = append(tracks, mkv.Track{
			Number: 2, Kind: mkv.Audio, CodecID: mkv.CodecAAC, CodecPrivate: []byte{0x15, 0x88}, SampleRate: 8000, Channels: 1,
		})
	}
	return tracks
}

// writeSegment writes n fragments of a second, each with four frames of which two are shown in another order, and leaves
// the file open.
func writeSegment(t *testing.T, path string, start time.Time, n int, audio bool, buffer int) (*os.File, *mkv.Writer) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	header := mkv.Header{Start: start, Title: "front-door", Tracks: vectorTracks(audio)}
	w, err := mkv.NewWriter(f, header, mkv.WriterOptions{BufferSize: buffer})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		writeFragment(t, w, i, audio)
		if _, err := w.EndFragment(); err != nil {
			t.Fatal(err)
		}
	}
	return f, w
}

func writeFragment(t *testing.T, w *mkv.Writer, i int, audio bool) {
	t.Helper()
	at := func(ms int) time.Duration { return time.Duration(i*1000+ms) * time.Millisecond }
	err := w.BeginFragment(at(0), true)
	for j, ms := range []int{0, 500, 250, 750} {
		if err == nil {
			err = w.WriteFrame(1, at(ms), j == 0, [][]byte{{9, 0xf0}, bytes.Repeat([]byte{0x65, byte(i*16 + j + 1)}, 30)})
		}
		if err == nil && audio && j < 2 {
			err = w.WriteFrame(2, at(ms+20), true, [][]byte{{0x21, 0x10, byte(i + 1)}})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func finish(t *testing.T, f *os.File, w *mkv.Writer) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// makeVectorStore makes a store with every kind of file. It is the same each time.
func makeVectorStore(t *testing.T, dir string) {
	t.Helper()
	write := func(name, content string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(path), 0o750)
		if err == nil {
			err = os.WriteFile(path, []byte(content), 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	id := func(after time.Duration) layout.ID { return layout.ID{Start: begin.Add(after).UnixMilli()} }
	write(".kvs-edge-agent.lock", "4711 gaps\n")
	write(".kvs-edge-volume", "00112233445566778899aabbccddeeff\n")
	write(".kvs-edge-format", "2 v0.2.0\n")
	write("media/film.mp4", "not a stream\n")
	door := func(name, content string) { write("front-door/"+name, content) }
	door(".stream", `{"stream":"front-door"}`+"\n")
	door(".stream.new", `{"stream":"fro`)
	door("notes.txt", "of a person\n")
	path := func(name string) string { return filepath.Join(dir, "front-door", name) }

	one := id(0) // of three fragments: persisted, refused, pending
	f, w := writeSegment(t, path(layout.FinishedName(one, 2750, layout.SealedSuffix)), begin, 3, true, 0)
	size := w.Fragments()[0].Size
	finish(t, f, w)
	door(layout.ProgressName(one), fmt.Sprintf("persisted 0 %d 750\nrefused 1000 %d 1750 4006 INVALID_MKV_DATA\ntried 1000 1795233600000 0\n"+
		"later 1000 1 1\npersisted 20", size, size))

	two := id(10 * time.Second) // persisted but for one
	f, w = writeSegment(t, path(layout.FinishedName(two, 2750, layout.RefusedSuffix)), begin.Add(10*time.Second), 3, false, 0)
	finish(t, f, w)
	door(layout.ProgressName(two),
		"persisted 0 262 750\nrefused 2000 262 2750 4001 MAX_FRAGMENT_DURATION_REACHED\ntried 2000 1795233700000 2\n")

	three := id(20 * time.Second) // its head was written before its end was known, for each fragment
	f, w = writeSegment(t, path(layout.FinishedName(three, 1750, layout.UploadedSuffix)), begin.Add(20*time.Second), 2, false, 100)
	finish(t, f, w)
	door(layout.ProgressName(three), "refused 0 262 750 4006 INVALID_MKV_DATA\n") // is left where the name was not durable

	four := id(30 * time.Second) // a byte was changed in the second fragment
	f, w = writeSegment(t, path(layout.FinishedName(four, 2750, layout.SealedSuffix)), begin.Add(30*time.Second), 3, false, 0)
	finish(t, f, w)
	if _, err := f.WriteAt([]byte{0x77}, w.Fragments()[1].Offset+60); err != nil {
		t.Fatal(err)
	}

	five := id(40 * time.Second) // recovered, with damage in place of the second fragment
	f, w = writeSegment(t, path(layout.FinishedName(five, 2750, layout.SealedSuffix)), begin.Add(40*time.Second), 3, false, 0)
	if _, err := f.WriteAt(bytes.Repeat([]byte{0}, 200), w.Fragments()[1].Offset); err != nil {
		t.Fatal(err)
	}
	if r, err := mkv.Recover(f, w.Size()); err != nil || r.Damaged == 0 {
		t.Fatalf("%+v %v", r, err)
	}

	six := id(50 * time.Second) // cut before its end by somebody
	f, w = writeSegment(t, path(layout.FinishedName(six, 2750, layout.SealedSuffix)), begin.Add(50*time.Second), 3, false, 0)
	finish(t, f, w)
	if err := f.Truncate(w.Fragments()[2].Offset + 50); err != nil {
		t.Fatal(err)
	}

	now := id(60 * time.Second) // two fragments, and the head and a frame and a half of the next
	f, w = writeSegment(t, path(layout.WritingName(now)), begin.Add(60*time.Second), 2, true, 100)
	writeFragment(t, w, 2, true)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(w.Fragments()[1].Offset + w.Fragments()[1].Size + 14 + 22 + 70 + 40); err != nil {
		t.Fatal(err)
	}
	door(layout.ProgressName(now), fmt.Sprintf("persisted 0 %d 750\n", w.Fragments()[0].Size))
	door(layout.DoubtName(now), "")
	door(layout.FinishedName(id(-time.Minute), 750, layout.GarbageSuffix), "was media\n")
	door(layout.ProgressName(id(-time.Minute)), "persisted 0 262 750\n")
	door("quarantine/"+layout.WritingName(id(-time.Hour)), "no Matroska\n")
	door("quarantine/"+layout.WritingName(id(-time.Hour))+".again", "no Matroska either\n")
	door(layout.GapsFileName, fmt.Sprintf("since %s\n%s 750 20000\n%[2]s 750 20000\n%[1]s 1000 900\n%[1]s 1000\n%[3]s 5 3005\n",
		one, two, three))

	later := layout.ID{Epoch: 1, Start: begin.Add(-time.Hour).UnixMilli()} // after a clock that was an hour and a minute ahead
	f, w = writeSegment(t, path(layout.FinishedName(later, 750, layout.SealedSuffix)), begin.Add(-time.Hour), 1, false, 0)
	finish(t, f, w)
	start := begin.UnixMilli()
	door(layout.ClockFileName, fmt.Sprintf(`[{"from":%d,"until":%d,"addMs":-3660000,"ahead":true},`+
		`{"epoch":1,"from":0,"until":0,"addMs":0,"begin":%d}]`+"\n", start+5000, start+45000, later.Start-100))

	for name, mark := range map[string]string{
		"_hidden%1692419006a88aab3372cf255367e2cc": `{"stream":".hidden","lastEnd":1795234548833,"new":true}`,
		"lost": "", "torn": `{"stream":"to`, "copied": `{"stream":"front-door"}`, "of%nobody": `{"stream":"else"}`,
	} {
		if mark != "" {
			write(name+"/.stream", mark+"\n")
		} else if err := os.Mkdir(filepath.Join(dir, name), 0o750); err != nil {
			t.Fatal(err)
		}
		f, w = writeSegment(t, filepath.Join(dir, name, layout.FinishedName(one, 750, layout.UploadedSuffix)), begin, 1, false, 0)
		finish(t, f, w)
	}
}

// TestTheVectorStoreIsWhatIsWritten also holds that the form of a file never changes within a format.
func TestTheVectorStoreIsWhatIsWritten(t *testing.T) {
	t.Parallel()
	made, kept := t.TempDir(), filepath.Join("vectors", "store")
	makeVectorStore(t, made)
	if os.Getenv(updateVectors) != "" {
		if err := os.RemoveAll(kept); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(kept, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(contents(t, kept), contents(t, made)); diff != "" {
		t.Errorf("the files differ (-vectors +agent):\n%s", diff)
	}
}

// contents are the files of a tree by their names.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[name], err = os.ReadFile(filepath.Join(dir, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheForeignReaderReadsTheVectorStore(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS("vectors/store")); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(readForeign(t, dir), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const kept = "vectors/store.json"
	if os.Getenv(updateVectors) != "" {
		if err := os.WriteFile(kept, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got)+"\n", "\n")); diff != "" {
		t.Errorf("the reader reads the store otherwise (-vector +reader):\n%s", diff)
	}
	expectSame(t, dir)
}

// rowName is the stream that a row of a table is made as: one reading serves all of them.
func rowName(i int) string { return fmt.Sprintf("row-%03d", i) }

// makeRow writes a file of a stream in a recording directory.
func makeRow(t *testing.T, dir string, i int, name string, content []byte) {
	t.Helper()
	stream := filepath.Join(dir, rowName(i))
	err := os.MkdirAll(stream, 0o750)
	if err == nil {
		err = os.WriteFile(filepath.Join(stream, name), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestVectorsOfProgress reads notes beside a segment of three fragments in each state.
func TestVectorsOfProgress(t *testing.T) {
	t.Parallel()
	var rows []struct {
		State, Notes string
		Upload       [3]string // of the fragments at 0, 1000 and 2000
	}
	readVectors(t, "progress.json", &rows)
	dir, id := t.TempDir(), layout.ID{Start: begin.UnixMilli()}
	for i, row := range rows {
		makeRow(t, dir, i, layout.ProgressName(id), []byte(row.Notes))
		f, w := writeSegment(t, filepath.Join(dir, rowName(i), layout.FinishedName(id, 2750, "."+row.State+".mkv")), begin, 3, false, 0)
		finish(t, f, w)
	}
	view := expectSame(t, dir)
	s, err := segment.Open(segment.Options{Dir: dir}) // takes up what the notes say
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		for j, want := range row.Upload {
			if got := view.Streams[i].Segments[0].Fragments[j].Upload; got != want {
				t.Errorf("%s, %q: fragment %d is %q to the reader, want %q", row.State, row.Notes, j, got, want)
			}
			k := segment.Key{Stream: rowName(i), Start: id.Start}
			if pending := !s.Done(k, time.Duration(j)*time.Second); pending != (want == "pending") {
				t.Errorf("%s, %q: fragment %d is pending to the agent: %v, want %q", row.State, row.Notes, j, pending, want)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestVectorsOfTimes reads when segments were recorded of which a side file says that their times are wrong.
func TestVectorsOfTimes(t *testing.T) {
	t.Parallel()
	var rows []struct {
		About    string
		Segments map[string]string // recorded from and to, by name
		Clock    json.RawMessage
	}
	readVectors(t, "clock.json", &rows)
	dir := t.TempDir()
	for i, row := range rows {
		makeRow(t, dir, i, layout.ClockFileName, row.Clock)
		for name := range row.Segments {
			p, ok := layout.ParseName(name)
			if !ok {
				t.Fatalf("%s: %s", row.About, name)
			}
			f, w := writeSegment(t, filepath.Join(dir, rowName(i), name), time.UnixMilli(p.Start).UTC(), 1, false, 0)
			finish(t, f, w)
		}
	}
	stamp := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
	for i, stream := range expectSame(t, dir).Streams {
		for _, s := range stream.Segments {
			if got, want := stamp(s.Recorded[0])+" "+stamp(s.Recorded[1]), rows[i].Segments[s.Name]; got != want {
				t.Errorf("%s: %s was recorded %s to the reader, want %s", rows[i].About, s.Name, got, want)
			}
		}
	}
}
