package mediafile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// change makes another file from one, and returns its path.
type change func(t *testing.T, path string) string

// edited changes the bytes of a file.
func edited(edit func(data []byte) []byte) change {
	return func(t *testing.T, path string) string {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, edit(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// eachBox changes the boxes of a kind in an MP4 file.
func eachBox(kind string, edit func(b []byte) []byte) change {
	return edited(func(data []byte) (out []byte) {
		for len(data) >= 8 {
			size := binary.BigEndian.Uint32(data)
			b := data[:size]
			if data = data[size:]; string(b[4:8]) == kind {
				b = edit(bytes.Clone(b))
			}
			out = append(out, b...)
		}
		return out
	})
}

func boxOf(kind string, content []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(content))), kind...), content...)
}

// toTheEnd removes the length of a box.
func toTheEnd(b []byte) []byte { return append(make([]byte, 4), b[4:]...) }

func wideSize(b []byte) []byte {
	head := append([]byte{0, 0, 0, 1}, b[4:8]...)
	return append(binary.BigEndian.AppendUint64(head, uint64(len(b)+8)), b[8:]...)
}

func skipped(b []byte) []byte { return boxOf("skip", b[8:]) }

// from1000 is a stream that starts in the middle of a packet.
var from1000 = edited(func(data []byte) []byte { return data[1000:] })

func withHTTP(data []byte) []byte { return append([]byte("HTTP/1.0 200 OK\r\n\r\n"), data...) }

func behind(more []byte) change {
	return edited(func(data []byte) []byte { return append(data, more...) })
}

// compressed returns a moov box as QuickTime compresses it.
func compressed(b []byte) []byte {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, _ = w.Write(b)
	_ = w.Close()
	size := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	return boxOf("moov", boxOf("cmov", append(boxOf("dcom", []byte("zlib")), boxOf("cmvd", append(size, packed.Bytes()...))...)))
}

// withoutTimes turns the tfdt box of a moof box with one track into an unknown one.
func withoutTimes(b []byte) []byte { return bytes.Replace(b, []byte("tfdt"), []byte("free"), 1) }

// spread adds bytes after each packet of a transport stream.
func spread(n int) change {
	return edited(func(data []byte) (out []byte) {
		for p := range slices.Chunk(data, 188) {
			out = append(append(out, p...), bytes.Repeat([]byte{0x12}, n)...)
		}
		return out
	})
}

// zeroed overwrites the head of a cluster in the middle.
func zeroed(data []byte) []byte {
	id := binary.BigEndian.AppendUint32(nil, element.IDCluster)
	at := len(data)/2 + bytes.Index(data[len(data)/2:], id)
	clear(data[at-50 : at+12])
	return data
}

// gstreamer has GStreamer rewrite a file.
func gstreamer(muxer string) change {
	return func(t *testing.T, path string) string {
		t.Helper()
		to := filepath.Join(filepath.Dir(path), "gstreamer")
		pipeline := "filesrc location=" + path + " ! qtdemux name=d " + muxer + " name=m ! filesink location=" + to +
			" d.video_0 ! queue ! h264parse ! m. d.audio_0 ! queue ! aacparse ! m."
		arguments := append([]string{"-q", "-e"}, strings.Fields(pipeline)...)
		if out, err := exec.Command("gst-launch-1.0", arguments...).CombinedOutput(); err != nil {
			t.Fatalf("gst-launch-1.0: %v %s", err, out)
		}
		return to
	}
}

// TestFilesArePlayedAsFFmpegPlaysThem compares the pictures, one by one.
func TestFilesArePlayedAsFFmpegPlaysThem(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "mkvmerge", "gst-launch-1.0")
	const front, based = "+faststart", "frag_keyframe+empty_moov+default_base_moof"
	cut := edited(func(data []byte) []byte { return data[:len(data)*2/3] })
	for name, row := range map[string]struct {
		file      string
		arguments []string
		change    change
	}{
		"MP4, an index without length":       {"a.mp4", nil, eachBox("moov", toTheEnd)},
		"MP4, data without length":           {"a.mp4", []string{"-movflags", front}, eachBox("mdat", toTheEnd)},
		"MP4, sizes of 64 bits":              {"a.mp4", nil, eachBox("moov", wideSize)},
		"MP4, zeros at the end":              {"a.mp4", nil, behind(make([]byte, 64))},
		"MP4, text at the end":               {"a.mp4", nil, behind([]byte("and some text"))},
		"MP4, cut off":                       {"a.mp4", []string{"-movflags", front}, cut},
		"MP4, nothing cut to a GOP":          {"a.mp4", []string{"-use_editlist", "0"}, nil},
		"MP4, negative shifts":               {"a.mp4", []string{"-movflags", "negative_cts_offsets"}, nil},
		"MP4, another brand first":           {"a.mp4", []string{"-movflags", based}, edited(unknownFirst)},
		"MOV, a compressed index":            {"a.mov", nil, eachBox("moov", compressed)},
		"MOV, no brand":                      {"a.mov", nil, eachBox("ftyp", skipped)},
		"fragments without index":            {"a.mp4", []string{"-movflags", "frag_keyframe+empty_moov+skip_trailer"}, nil},
		"fragments without times":            {"a.mp4", []string{"-an", "-movflags", based}, eachBox("moof", withoutTimes)},
		"fragments, cut off":                 {"a.mp4", []string{"-movflags", "frag_keyframe+empty_moov"}, cut},
		"fragments of DASH":                  {"a.mp4", []string{"-movflags", "dash+frag_keyframe"}, nil},
		"fragments of Smooth Streaming":      {"a.ismv", nil, nil},
		"fragments with negative shifts":     {"a.mp4", []string{"-movflags", "frag_keyframe+negative_cts_offsets"}, nil},
		"MP4 of GStreamer":                   {"a.mp4", nil, gstreamer("mp4mux")},
		"fragments of GStreamer":             {"a.mp4", nil, gstreamer("mp4mux fragment-duration=500 streamable=true")},
		"MKV, zlib":                          {"a.mkv", nil, remux("--compression", "-1:zlib")},
		"MKV, zlib of the video":             {"a.mkv", nil, remux("--compression", "0:zlib", "--compression", "1:none")},
		"MKV, block groups":                  {"a.mkv", nil, remux("--engage", "no_simpleblocks")},
		"MKV, short clusters":                {"a.mkv", []string{"-cluster_time_limit", "100"}, nil},
		"MKV, unknown sizes":                 {"a.mkv", []string{"-live", "1"}, nil},
		"MKV, cut off":                       {"a.mkv", nil, cut},
		"MKV of GStreamer":                   {"a.mp4", nil, gstreamer("matroskamux streamable=true")},
		"TS, 192 bytes":                      {"a.ts", []string{"-mpegts_m2ts_mode", "1"}, nil},
		"TS, 204 bytes":                      {"a.ts", nil, spread(16)},
		"TS, from the middle of a packet on": {"a.ts", nil, from1000},
		"TS, a header of HTTP":               {"a.ts", nil, edited(withHTTP)},
		"TS of GStreamer":                    {"a.mp4", nil, gstreamer("mpegtsmux")},
		"M2TS of GStreamer":                  {"a.mp4", nil, gstreamer("mpegtsmux m2ts-mode=true")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := encode(t, row.file, slices.Concat(h264B, aac, row.arguments)...)
			if row.change != nil {
				path = row.change(t, path)
			}
			got, sound := played(t, path)
			want := sums(t, "-i", path)
			if own := sums(t, "-f", "h264", "-i", got); len(want) < 20 || !slices.Equal(own, want) {
				t.Errorf("%d pictures, want the %d of ffmpeg", len(own), len(want))
			}
			if silent := slices.Contains(row.arguments, "-an"); (sound == 0) != silent {
				t.Errorf("%d frames of audio", sound)
			}
		})
	}
}

// TestWhatIsOverwrittenIsPassedOver skips bytes that are not elements, and reports that frames are missing.
func TestWhatIsOverwrittenIsPassedOver(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	path := encode(t, "a.mkv", slices.Concat(h264B, aac, []string{"-cluster_time_limit", "100"})...)
	f := open(t, edited(zeroed)(t, path))
	pictures, lost := 0, 0
	for {
		frame, err := f.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if lost += frame.Lost; !frame.Audio {
			pictures++
		}
	}
	if pictures < 35 || pictures == 50 || lost == 0 {
		t.Errorf("%d pictures, %d missing", pictures, lost)
	}
}

// unknownFirst puts an unknown box in front. Offsets of fragments are relative to the fragment.
func unknownFirst(data []byte) []byte { return append(boxOf("zzzz", []byte("unknown")), data...) }

// played writes the video of a file as Annex B.
func played(t *testing.T, path string) (annexB string, sound int) {
	t.Helper()
	f := open(t, path)
	var out []byte
	add := func(list [][]byte) {
		for _, nal := range list {
			out = append(append(out, 0, 0, 0, 1), nal...)
		}
	}
	for add(f.Video.Sets); ; {
		frame, err := f.Next()
		switch {
		case errors.Is(err, io.EOF):
			annexB = filepath.Join(t.TempDir(), "played")
			if err := os.WriteFile(annexB, out, 0o600); err != nil {
				t.Fatal(err)
			}
			return annexB, sound
		case err != nil:
			t.Fatal(err)
		case frame.Audio:
			sound++
		default:
			add(frame.NALUs)
		}
	}
}

// sums returns the checksums of the pictures that ffmpeg decodes. Its warnings are ignored.
func sums(t *testing.T, input ...string) (list []string) {
	t.Helper()
	out, _ := exec.Command("ffmpeg", slices.Concat([]string{"-v", "quiet"}, input,
		[]string{"-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"})...).Output()
	for line := range strings.Lines(string(out)) {
		if fields := strings.Split(strings.TrimSpace(line), ","); len(fields) > 5 {
			list = append(list, strings.TrimSpace(fields[5]))
		}
	}
	return list
}
