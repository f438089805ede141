// Package format_test holds docs/format.md to the code: the vectors beside it are what the agent writes, and the reader
// beside it, which knows the page only, reads in them, and in a store that is recorded, what the agent does.
package format_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// storeView is what a reader says of a recording directory. Times are Unix ms.
type storeView struct {
	Format  int
	Streams []streamView
}

type streamView struct {
	Stream, Directory string
	Segments          []segmentView
	Quarantine        []string
}

type segmentView struct {
	Name       string
	Epoch      uint32
	Start, End int64
	Recorded   [2]int64
	State      string
	Bytes      int64
	Finished   bool
	Header     string // of its checksum
	Tracks     [][2]any
	Fragments  []fragmentView
	Gaps       [][2]int64
	GapsKnown  bool
}

type fragmentView struct {
	Offset, Size, Start, Last int64
	Frames                    int
	Keyframe                  bool
	Checksum                  string
	Upload                    string
	Blocks                    [][5]int64 // track, time, 1 for a keyframe, offset and size of the frame
}

// readForeign runs the reader of the page on a recording directory.
func readForeign(t *testing.T, dir string) (view storeView) {
	t.Helper()
	python(t, nil, &view, "reader.py", dir, "--frames")
	return view
}

// python runs a program, hands it JSON and reads JSON from it.
func python(t *testing.T, in, out any, args ...string) {
	t.Helper()
	testtools.Need(t, "python3")
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "python3", append([]string{"-B"}, args...)...)
	var complaint strings.Builder
	command.Stdin, command.Stderr = bytes.NewReader(input), &complaint
	printed, err := command.Output()
	if err == nil {
		err = json.Unmarshal(printed, out)
	}
	if err != nil {
		t.Fatalf("python3 %s: %v\n%s", strings.Join(args, " "), err, complaint.String())
	}
}

// eachOf calls a function of the reader with each of a list.
func eachOf(t *testing.T, function string, in, out any) {
	t.Helper()
	python(t, in, out, "-c", "import json, sys; sys.path.insert(0, '.'); import reader; "+
		"json.dump([reader."+function+" for x in json.load(sys.stdin)], sys.stdout)")
}

// expectSame compares what the foreign reader says of a recording directory with what the agent reads in it.
func expectSame(t *testing.T, dir string) storeView {
	t.Helper()
	got := readForeign(t, dir)
	s, err := segment.OpenReadOnly(segment.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	expectStreams(t, s, dir, got)
	return got
}

// expectStreams compares what the foreign reader says with what a store does.
func expectStreams(t *testing.T, s *segment.Store, dir string, got storeView) {
	t.Helper()
	quarantined, err := s.Quarantined()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, stream := range got.Streams {
		if seen[stream.Stream] = true; len(stream.Segments)+len(stream.Quarantine) == 0 {
			continue
		}
		for _, name := range stream.Quarantine {
			path := filepath.Join(dir, stream.Directory, "quarantine", name)
			if len(quarantined) == 0 || quarantined[0] != path {
				t.Errorf("the reader has set aside %s, the store has %v", path, quarantined)
				continue
			}
			quarantined = quarantined[1:]
		}
		infos := s.Segments(stream.Stream, time.Time{}, time.Time{})
		if len(infos) != len(stream.Segments) {
			t.Errorf("stream %s: the reader has %d segments, the store %d", stream.Stream, len(stream.Segments), len(infos))
			continue
		}
		for i, info := range infos {
			expectSegment(t, s, info, stream.Directory, stream.Segments[i])
		}
	}
	if len(quarantined) > 0 {
		t.Errorf("the reader does not list %v", quarantined)
	}
	for _, name := range s.Streams() {
		if !seen[name] {
			t.Errorf("the reader does not find the stream %s", name)
		}
	}
}

func expectSegment(t *testing.T, s *segment.Store, info segment.Info, directory string, got segmentView) {
	t.Helper()
	path := s.Path(info.Key)
	r, err := s.OpenSegment(info.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mkv.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	want := segmentView{
		Name: filepath.Base(path), Epoch: info.Epoch, Start: info.Start, End: info.End.UnixMilli(), Bytes: int64(len(data)),
		Recorded: [2]int64{info.RecordedFrom.UnixMilli(), info.RecordedTo.UnixMilli()},
		State:    info.State.String(), Finished: m.Complete(), Header: got.Header, GapsKnown: info.GapsKnown, Gaps: [][2]int64{},
	}
	if info.Refused {
		want.State = "refused"
	}
	if info.State == segment.Writing { // the store that reads beside the agent does not look so far
		want.End, want.Recorded = got.End, got.Recorded
	}
	for _, g := range info.Gaps {
		want.Gaps = append(want.Gaps, [2]int64{g.From.UnixMilli(), g.To.UnixMilli()})
	}
	for _, track := range m.Header().Tracks {
		want.Tracks = append(want.Tracks, [2]any{float64(track.Number), track.CodecID})
	}
	want.Fragments = fragmentsOf(t, s, info, m)
	expectBlocks(t, info, m, data, got.Fragments)
	for i := range got.Fragments {
		got.Fragments[i].Blocks = nil
	}
	if filepath.Base(filepath.Dir(path)) != directory {
		t.Errorf("%s: the reader finds it in %s", path, directory)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-agent +reader):\n%s", path, diff)
	}
}

// fragmentsOf lists the completed fragments of a segment as the agent sees them.
func fragmentsOf(t *testing.T, s *segment.Store, info segment.Info, m *mkv.Reader) []fragmentView {
	t.Helper()
	verified, _ := m.Verify(info.State != segment.Writing)
	notes := progress.New(atomicfile.OS{}, filepath.Dir(s.Path(info.Key)), info.ID())
	if read, _, err := progress.Load(atomicfile.OS{}, filepath.Dir(s.Path(info.Key)), info.ID(), true); err == nil {
		notes = read
	}
	list := []fragmentView{}
	for _, f := range verified.Fragments {
		start := info.Start + f.Start.Milliseconds()
		view := fragmentView{
			Offset: f.Offset, Size: f.Size, Start: start, Last: info.Start + f.Last.Milliseconds(), Frames: f.Frames, Keyframe: f.Keyframe,
			Checksum: "right", Upload: "pending",
		}
		if verified.Unsummed > 0 {
			view.Checksum = "none"
		}
		for _, d := range verified.Damaged {
			if d.From == f.Start && d.To == f.Last {
				view.Checksum = "wrong"
			}
		}
		done := s.Done(info.Key, f.Start)
		if info.Refused && notes.Requeued() { // a store that only reads leaves it to the agent to rename it
			done = notes.Done(f.Start)
		}
		if done {
			view.Upload = "persisted"
		}
		for _, one := range s.Refused(info.Stream) {
			if one.Key == info.Key && one.Fragment.Start == f.Start {
				view.Upload = "refused " + one.Code
			}
		}
		list = append(list, view)
	}
	return list
}

// expectBlocks finds each frame where the reader says that it is.
func expectBlocks(t *testing.T, info segment.Info, m *mkv.Reader, data []byte, got []fragmentView) {
	t.Helper()
	for _, view := range got {
		f := mkv.Fragment{Offset: view.Offset, Size: view.Size, Start: time.Duration(view.Start-info.Start) * time.Millisecond}
		i := 0
		for b, err := range m.Blocks(f) {
			if err != nil || i == len(view.Blocks) {
				t.Fatalf("%s: the reader has %d frames: %v", info.StartTime(), len(view.Blocks), err)
			}
			keyframe := int64(0)
			if b.Keyframe {
				keyframe = 1
			}
			one := view.Blocks[i]
			want := [5]int64{int64(b.Track), info.Start + b.Time.Milliseconds(), keyframe, one[3], int64(len(b.Data))}
			if one != want || !bytes.Equal(data[one[3]:one[3]+one[4]], b.Data) {
				t.Errorf("%s: the reader has frame %v, want %v", info.StartTime(), one, want)
			}
			i++
		}
		if i != len(view.Blocks) {
			t.Errorf("%s: the reader has %d frames, the file %d", info.StartTime(), len(view.Blocks), i)
		}
	}
}

func TestTheForeignReaderReadsAStoreOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	view := expectSame(t, "../../cmd/kvs-edge-agent/testdata/store-421301e/recordings")
	segments, refused := 0, 0
	for _, stream := range view.Streams {
		for _, s := range stream.Segments {
			segments++
			for _, f := range s.Fragments {
				if strings.HasPrefix(f.Upload, "refused ") {
					refused++
				}
				if f.Checksum != "none" {
					t.Errorf("%s has a checksum", s.Name)
				}
			}
		}
	}
	if len(view.Streams) < 5 || segments < 15 || refused == 0 {
		t.Errorf("%d streams with %d segments, and %d refused fragments", len(view.Streams), segments, refused)
	}
}

func TestTheForeignReaderRefusesAStoreThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "python3")
	dir := t.TempDir()
	for content, known := range map[string]bool{"4 v9\n": false, "17": false, "2\n": true, "": true, "no number": true, "0": true} {
		if err := os.WriteFile(filepath.Join(dir, ".kvs-edge-format"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "python3", "-B", "reader.py", dir).CombinedOutput()
		_, ours := segment.OpenReadOnly(segment.Options{Dir: dir})
		if (err == nil) != known || (ours == nil) != known {
			t.Errorf("%q: the reader says %q, the agent %v", content, out, ours)
		}
	}
}

// TestTheForeignReaderReadsFilesThatAreCutOrChanged cuts a segment's file at each byte, and changes each of its bytes.
func TestTheForeignReaderReadsFilesThatAreCutOrChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join("vectors", "store", "front-door", "20261121T041548.083Z+2750.sealed.mkv")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Cut, Changed []int } // numbers of fragments
	python(t, nil, &got, "-c", "import json, sys; sys.path.insert(0, '.'); from segmentfile import read_segment\n"+
		"data = open(sys.argv[1], 'rb').read(); count = lambda d: len(read_segment(d, 0)['fragments'])\n"+
		"print(json.dumps({'Cut': [count(data[:n]) for n in range(len(data))], 'Changed': ["+
		"count(data[:n] + bytes([data[n] ^ 1 << n % 8]) + data[n + 1:]) for n in range(len(data))]}))", path)
	if len(got.Cut) != len(data) || len(got.Changed) != len(data) {
		t.Fatalf("%d cuts and %d changes of %d bytes were read", len(got.Cut), len(got.Changed), len(data))
	}
	for n, fragments := range got.Cut {
		want := 0
		if m, err := mkv.Open(bytes.NewReader(data[:n]), int64(n)); err == nil {
			list, err := m.Fragments()
			if err != nil {
				t.Fatal(err)
			}
			want = len(list)
		}
		if fragments != want {
			t.Errorf("cut at %d: the reader has %d fragments, the agent %d", n, fragments, want)
		}
	}
}
