package recorder

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// Parameter sets of H.265: those of pictures of 720x480 with two temporal layers, of which the lower one has a level of its own.
const (
	vps265, pps265 = "\x40\x01\x0c\x01", "\x44\x01\xc1\x73"
	idr265         = "\x26\x01\xaf\x08"
	layeredSPS     = "42010201600000030090000003000003005a40005aa005a201e1659598acd24995ffe00100012d810000030001000003001908"
)

// TestAnyReadableParameterSetsAreRecorded has parameter sets that only a part can be read of, none of which is enough, and none at all.
func TestAnyReadableParameterSetsAreRecorded(t *testing.T) {
	t.Parallel()
	layered, err := hex.DecodeString(layeredSPS)
	if err != nil {
		t.Fatal(err)
	}
	sps, pps, cutOff := string(realSPS), string(realPPS), string(layered[:len(layered)-6])
	for name, c := range map[string]struct {
		codec accessunit.Codec
		unit  []string
		said  string // by the status, where it is not recorded
	}{
		"temporal layers with levels": {accessunit.H265, []string{vps265, string(layered), pps265, idr265}, ""},
		"an SPS that is cut off":      {accessunit.H264, []string{sps[:len(sps)-2], pps, idr}, ""},
		"a cut-off SPS of H.265":      {accessunit.H265, []string{vps265, cutOff, pps265, idr265}, "that cannot be read"},
		"an SPS without its size":     {accessunit.H264, []string{sps[:4], pps, idr}, "parameter sets (VPS, SPS, PPS) that cannot be read"},
		"no SPS":                      {accessunit.H264, []string{pps, idr}, "sends no parameter sets"},
		"nothing":                     {accessunit.H265, []string{idr265}, "sends no parameter sets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSegmenterRig(t)
			b.beginSession(c.codec, 90_000, nil, nil)
			b.frame(0, 0, c.unit...)
			if got := len(b.store.Segments("door", time.Time{}, time.Time{})); (got == 1) != (c.said == "") {
				t.Errorf("%d segments", got)
			}
			text := ""
			for _, condition := range b.part.Snapshot().Conditions {
				text += condition.Text
			}
			if c.said == "" && text != "" || !strings.Contains(text, c.said) {
				t.Errorf("status says %q, want %q", text, c.said)
			}
		})
	}
}

// films are the pictures of two encoders, of which each has all parameter sets and NAL units of its own.
type films struct {
	codec accessunit.Codec
	name  string // of the format, as ffmpeg writes it
	sets  [2][]string
	units [2][]string // a slice for each picture
}

// encode encodes the same pictures with each of the encoders.
func encode(t *testing.T, codec accessunit.Codec, name string, encoders ...[]string) *films {
	t.Helper()
	testtools.Need(t, "ffmpeg")
	f := &films{codec: codec, name: name}
	for i, encoder := range encoders {
		out := exec.Command("ffmpeg", slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1.2"},
			encoder, []string{"-bf", "0", "-g", "10", "-threads", "1", "-f", name, "-"})...)
		stream, err := out.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range nal.SplitAnnexB(stream) {
			switch kind := kindOf(codec, unit); {
			case kind == set && f.units[i] == nil:
				f.sets[i] = append(f.sets[i], string(unit))
			case kind == slice:
				f.units[i] = append(f.units[i], string(unit))
			}
		}
	}
	return f
}

// The kinds of NAL units that make pictures.
const (
	other = iota
	set
	slice
)

func kindOf(codec accessunit.Codec, unit []byte) int {
	h264, h265 := unit[0]&0x1F, unit[0]>>1&0x3F
	switch {
	case codec == accessunit.H264 && (h264 == 7 || h264 == 8), codec == accessunit.H265 && h265 >= 32 && h265 <= 34:
		return set
	case codec == accessunit.H264 && (h264 == 1 || h264 == 5), codec == accessunit.H265 && h265 < 32:
		return slice
	}
	return other
}

// mixed has each picture of the first encoder, except for two in each GOP of the other one. The last parameter set of an encoder, its
// PPS, is in front of its first picture after one of the other encoder.
func (f *films) mixed() (units [][]string) {
	last := len(f.sets[0]) - 1
	for i := range f.units[0] {
		switch i % 10 {
		case 0:
			units = append(units, append(slices.Clone(f.sets[0]), f.units[0][i]))
		case 3:
			units = append(units, []string{f.sets[1][last], f.units[1][i]})
		case 4:
			units = append(units, []string{f.units[1][i]})
		case 5:
			units = append(units, []string{f.sets[0][last], f.units[0][i]})
		default:
			units = append(units, []string{f.units[0][i]})
		}
	}
	return units
}

// inOtherBytes has an SPS of H.265 that means the same, and has a VUI that restricts the stream a little, at every second keyframe.
func (f *films) inOtherBytes(t *testing.T) (units [][]string) {
	t.Helper()
	const old, restricted = "0001", "010101110000100000000100000" + "01" // three flags that are not set, and the end
	sps := f.sets[0][1]
	var text strings.Builder
	for _, b := range []byte(sps) {
		fmt.Fprintf(&text, "%08b", b)
	}
	digits := strings.TrimRight(text.String(), "0")
	if !strings.HasSuffix(digits, old) {
		t.Fatalf("the SPS ends with %s", digits[len(digits)-8:])
	}
	digits = digits[:len(digits)-len(old)] + restricted
	digits += strings.Repeat("0", (8-len(digits)%8)%8)
	var changed []byte
	for ; digits != ""; digits = digits[8:] {
		var b byte
		_, _ = fmt.Sscanf(digits[:8], "%b", &b)
		changed = append(changed, b)
	}
	for i, unit := range f.units[0] {
		switch {
		case i%10 > 0:
			units = append(units, []string{unit})
		case i%20 > 0:
			units = append(units, []string{f.sets[0][0], string(changed), f.sets[0][2], unit})
		default:
			units = append(units, append(slices.Clone(f.sets[0]), unit))
		}
	}
	return units
}

// TestReplacedParameterSetsAreDecoded records streams whose parameter sets change within a GOP and back, and compares the pictures
// that ffmpeg decodes of the segment and of the stream.
func TestReplacedParameterSetsAreDecoded(t *testing.T) {
	t.Parallel()
	const common = "keyint=10:min-keyint=10:bframes=0:scenecut=0:qp=26:pools=none:frame-threads=1:open-gop=0:"
	for name, units := range map[string]func(t *testing.T) (*films, [][]string){
		"a PPS of H.264": func(t *testing.T) (*films, [][]string) {
			f := encode(t, accessunit.H264, "h264",
				x264("-qp", "24", "-x264-params", "cabac=1:weightp=0"), x264("-qp", "24", "-x264-params", "cabac=0:weightp=0"))
			return f, f.mixed()
		},
		"a PPS of H.265": func(t *testing.T) (*films, [][]string) {
			f := encode(t, accessunit.H265, "hevc", x265(common+"signhide=1"), x265(common+"signhide=0"))
			return f, f.mixed()
		},
		"an SPS of H.265 in other bytes": func(t *testing.T) (*films, [][]string) {
			f := encode(t, accessunit.H265, "hevc", x265(common))
			return f, f.inOtherBytes(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, units := units(t)
			a, b := f.sets[0], f.sets[1]
			if last := len(a) - 1; b != nil && (a[last] == b[last] || !slices.Equal(a[:last], b[:last])) {
				t.Fatalf("not only the PPS differ: %x, %x", a, b)
			}
			var stream []byte
			rig := newSegmenterRig(t)
			rig.beginSession(f.codec, 90_000, nil, nil)
			for i, unit := range units {
				for _, part := range unit {
					stream = append(append(stream, 0, 0, 0, 1), part...)
				}
				at := time.Duration(i) * tick
				rig.frame(at, at, unit...)
			}
			source := filepath.Join(t.TempDir(), "source."+f.name)
			if err := os.WriteFile(source, stream, 0o600); err != nil {
				t.Fatal(err)
			}
			want, got := frameSums(t, source), frameSums(t, rig.onlySegment())
			if len(want) != len(units) || !slices.Equal(got, want) {
				t.Errorf("%d of %d pictures are equal, in a stream of %d", equal(got, want), len(want), len(units))
			}
		})
	}
}

// equal counts how many pictures are the same.
func equal(got, want []string) (n int) {
	for i := range min(len(got), len(want)) {
		if got[i] == want[i] {
			n++
		}
	}
	return n
}

// onlySegment ends the recording and returns a copy of its only segment.
func (b *segmenterRig) onlySegment() string {
	b.t.Helper()
	if err := b.recording.seal(); err != nil {
		b.t.Fatal(err)
	}
	list := b.store.Segments("door", time.Time{}, time.Time{})
	if len(list) != 1 {
		b.t.Fatalf("%d segments", len(list))
	}
	r, err := b.store.OpenSegment(list[0].Key)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	content := make([]byte, list[0].Bytes)
	if _, err := r.ReadAt(content, 0); err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.t.TempDir(), "segment.mkv")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// TestReplacedParameterSetsStayInTheStream lists which parameter sets are in the blocks of a segment, and in those of the next one with
// the same header: players have one decoder for both.
func TestReplacedParameterSetsStayInTheStream(t *testing.T) {
	t.Parallel()
	layered, err := hex.DecodeString(layeredSPS)
	if err != nil {
		t.Fatal(err)
	}
	sps, pps, sps5 := string(realSPS), string(realPPS), string(layered)
	for name, c := range map[string]struct {
		codec  accessunit.Codec
		header []string
		other  string // in front of the second picture
		stays  bool   // the sets of the header, from then on
	}{
		"H.264: the same PPS":           {accessunit.H264, []string{sps, pps}, pps, false},
		"H.264: a PPS of another id":    {accessunit.H264, []string{sps, pps}, "\x68\x5e\x3c\x80", false},
		"H.264: another PPS":            {accessunit.H264, []string{sps, pps}, "\x68\xef\x3c\x80", true},
		"H.264: another SPS":            {accessunit.H264, []string{sps, pps}, sps[:3] + "\x0d" + sps[4:], true},
		"H.264: an SPS in other bytes":  {accessunit.H264, []string{sps, pps}, "\x27" + sps[1:], true},
		"H.264: an SPS without an id":   {accessunit.H264, []string{sps, pps}, sps[:4], true},
		"H.264: a PPS without an id":    {accessunit.H264, []string{sps, pps}, "\x68\x00\x00", true},
		"H.265: the same SPS":           {accessunit.H265, []string{vps265, sps5, pps265}, sps5, false},
		"H.265: a VPS of another id":    {accessunit.H265, []string{vps265, sps5, pps265}, "\x40\x01\x1c\x01", false},
		"H.265: another VPS":            {accessunit.H265, []string{vps265, sps5, pps265}, "\x40\x01\x0c\x02", true},
		"H.265: another SPS":            {accessunit.H265, []string{vps265, sps5, pps265}, sps5 + "\x01", true},
		"H.265: another PPS":            {accessunit.H265, []string{vps265, sps5, pps265}, "\x44\x01\xc1\x72", true},
		"H.265: a PPS of another id":    {accessunit.H265, []string{vps265, sps5, pps265}, "\x44\x01\x51\x72", false},
		"H.265: a VPS without anything": {accessunit.H265, []string{vps265, sps5, pps265}, "\x40\x01\x00", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSegmenterRig(t)
			b.beginSession(c.codec, 90_000, nil, nil)
			key, picture := idr, slice1
			if c.codec == accessunit.H265 {
				key, picture = idr265, "\x02\x01\xd0\x08"
			}
			first := append(slices.Clone(c.header), key)
			second := append(slices.Clone(c.header), picture)
			for i, unit := range [][]string{first, {c.other, picture}, second, first, first} {
				b.newSegmentDue = i == 4
				at := time.Duration(i) * time.Second
				b.frame(at, at, unit...)
			}
			var blocks [][]byte
			eachBlock(t, b, func(_ time.Duration, block mkv.Block) { blocks = append(blocks, bytes.Clone(block.Data)) })
			if len(blocks) != 5 {
				t.Fatalf("%d blocks", len(blocks))
			}
			for i, block := range blocks {
				for _, set := range c.header {
					if got := bytes.Contains(block, []byte(set)); got != (c.stays && i > 1 || i == 1 && strings.Contains(c.other, set) && c.stays) {
						t.Errorf("block %d has the set %x: %v", i, set, got)
					}
				}
			}
			if bytes.Contains(blocks[1], []byte(c.other)) == slices.Contains(c.header, c.other) {
				t.Error("the set in front of the second picture is in its block only if the header does not have it")
			}
		})
	}
}
