package accessunit

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"slices"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// spsRow is a sequence parameter set with what ffprobe says of a stream that has it.
type spsRow struct {
	codec         Codec
	set           string // in hexadecimal
	width, height int
	picture       mkv.Picture
	unread        bool // the library cannot read it
}

// spsRows are of x264 and x265, except for those that are cut off or changed: ffprobe reads and ffmpeg plays them as well.
var spsRows = map[string]spsRow{
	"baseline, cropped": {H264, "6742c028d900780227e5c044000003000400000300c83c60c920", 1920, 1080, mkv.Picture{}, false},
	"high, 4:3 pixels": {H264, "6764001eacd940a02ff970e1000003000100000300320f162d96", 640, 360,
		mkv.Picture{DisplayWidth: 640, DisplayHeight: 270}, false},
	"high 10":          {H264, "676e001fa6cd9405005bb011000003000100000300320f183196", 1280, 720, mkv.Picture{}, false},
	"high 4:2:2":       {H264, "677a001ebcd940b43ff8bc0440000003004000000c83c58b6580", 720, 486, mkv.Picture{}, false},
	"high 4:4:4":       {H264, "67f4000d919b282a10f1f1f808800000030080000019078a14cb", 322, 242, mkv.Picture{}, false},
	"scaling matrices": {H264, "6764001eacd940a03db011000003000100000300320f162d96", 640, 480, mkv.Picture{}, false},
	"without colours":  {H264, "6764000df36505821eef016c800000030080000019078a14cb", 350, 254, mkv.Picture{Range: 2}, false},
	"interlaced, all of the VUI": {H264, "6764001eacd940b424d80b70101014000003000400000300c9810003d090007a12930c03e28532c0", 720, 576,
		mkv.Picture{Interlaced: true, Range: 2, Primaries: 1, Transfer: 1, Matrix: 1}, false},
	"the VUI ends within its HRD": {H264, "6764001eacd940b424d80b70101014000003000400000300c9810003d090007a1293", 720, 576,
		mkv.Picture{Interlaced: true, Range: 2, Primaries: 1, Transfer: 1, Matrix: 1}, true},
	"the VUI ends within its rate": {H264, "6764001eacd940a02ff970e10000030001", 640, 360,
		mkv.Picture{DisplayWidth: 640, DisplayHeight: 270}, true},
	"main": {H265, "420101016000000300900000030000030078a003c08010e596566924caf0168080000003008000000c84", 1920, 1080,
		mkv.Picture{Range: 1}, false},
	"main 10, HRD": {H265, "42010102200000030090000003000003005da00280802d1365959a4932bc39b0200000030020000003032c0292cbc001e848003d0910",
		1280, 720, mkv.Picture{DisplayWidth: 1280, DisplayHeight: 540, Range: 2}, false},
	"4:2:2": {H265, "4201010408000003009d0800000300003cb00b4804a724ed96566924caf0168080000003008000000c84", 354, 290,
		mkv.Picture{Range: 1}, false},
	"4:4:4, scaling": {H265, "4201010408000003009e0800000300003c90014901f39e7cb2b349272bc05a020000030002000003003210", 322, 242,
		mkv.Picture{Range: 1}, false},
	"two temporal layers": {H265,
		"42010201600000030090000003000003005a0000a005a201e1659598acd24995ffe00100012d810000030001000003001908", 720, 480,
		mkv.Picture{DisplayWidth: 640, DisplayHeight: 480, Range: 2}, false},
	"with a level": {H265,
		"42010201600000030090000003000003005a40005aa005a201e1659598acd24995ffe00100012d810000030001000003001908", 720, 480,
		mkv.Picture{DisplayWidth: 640, DisplayHeight: 480, Range: 2}, true},
	"with a profile": {H265, "42010201600000030090000003000003005a80000160000003009000000300000300a005a201e1659598acd24995ffe00100012d8" +
		"10000030001000003001908", 720, 480, mkv.Picture{DisplayWidth: 640, DisplayHeight: 480, Range: 2}, true},
	"with a profile and a level": {H265, "42010201600000030090000003000003005ac00001600000030090000003000003005aa005a201e1659598acd24995ffe" +
		"00100012d810000030001000003001908", 720, 480, mkv.Picture{DisplayWidth: 640, DisplayHeight: 480, Range: 2}, true},
	"seven layers, each with a level": {H265, "42010c01600000030090000003000003005a55503c3c3c3c3c3ca005020171f2e53e4932f9", 640, 360,
		mkv.Picture{}, true},
	"a long-term picture": {H265, "42010101600000030090000003000003005aa005020171f2e53e4932d00f20", 640, 360, mkv.Picture{}, true},
	"long-term pictures and layers": {H265, "42010401600000030090000003000003005a50003c3ca005020171f2e53e4932c8030281f2", 640, 360,
		mkv.Picture{}, true},
}

// others are the parameter sets that a track needs beside a sequence parameter set.
var others = map[Codec][][]byte{
	H264: {smallPPS},
	H265: {{h265VPS << 1, 1, 0x0C}, {h265PPS << 1, 1, 0xC1, 0x73}},
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	set, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// readsWhole reports whether the library reads a sequence parameter set to its end.
func readsWhole(c Codec, set []byte) bool {
	if c == H264 {
		return new(h264.SPS).Unmarshal(set) == nil
	}
	return new(h265.SPS).Unmarshal(set) == nil
}

// trackOf is the track of a sequence parameter set.
func trackOf(c Codec, set []byte) (mkv.Track, bool) {
	sets := c.NewParameterSets()
	sets.Add(set)
	for _, other := range others[c] {
		sets.Add(other)
	}
	return sets.Track()
}

func TestSequenceParameterSets(t *testing.T) {
	t.Parallel()
	for name, row := range spsRows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := unhex(t, row.set)
			if readsWhole(row.codec, set) == row.unread {
				t.Errorf("the library reads it: %v", row.unread)
			}
			track, ok := trackOf(row.codec, set)
			if !ok || track.Width != row.width || track.Height != row.height || track.Picture != row.picture {
				t.Fatalf("%v, %dx%d, %+v", ok, track.Width, track.Height, track.Picture)
			}
			if !bytes.Contains(track.CodecPrivate, set) {
				t.Error("it is not in the header")
			}
			sets := row.codec.NewParameterSets()
			if !sets.Add(set) || sets.Add(set) || !sets.Holds(set) {
				t.Error("it is not known when it is repeated")
			}
		})
	}
}

// TestSetsThatAreReadInPartDiffer has sets that differ in what the library does not read.
func TestSetsThatAreReadInPartDiffer(t *testing.T) {
	t.Parallel()
	for name, row := range spsRows {
		if !row.unread {
			continue
		}
		set := unhex(t, row.set)
		other := append(bytes.Clone(set), 0xA5)
		sets := row.codec.NewParameterSets()
		if !sets.Add(set) || !sets.Add(other) || sets.Holds(set) || !sets.Holds(other) {
			t.Errorf("%s: another one does not replace it", name)
		}
	}
	set := unhex(t, spsRows["the VUI ends within its HRD"].set)
	sets := H264.NewParameterSets()
	sets.Add(set)
	if sets.Add(append([]byte{0x27}, set[1:]...)) {
		t.Error("another nal_ref_idc makes it another set")
	}
}

// TestSetsWithoutASizeAreRefused cuts sets off, ever earlier: each is read to the same size, or refused.
func TestSetsWithoutASizeAreRefused(t *testing.T) {
	t.Parallel()
	for name, row := range spsRows {
		set := unhex(t, row.set)
		refused := false
		for size := len(set); size >= 0; size-- {
			track, ok := trackOf(row.codec, set[:size])
			if ok && (refused || track.Width != row.width || track.Height != row.height) {
				t.Errorf("%s: %d of %d bytes are read as %dx%d", name, size, len(set), track.Width, track.Height)
			}
			refused = refused || !ok
		}
	}
}

// TestUnreadableSetsAreTold has cameras that send no sequence parameter set, and one that cannot be read.
func TestUnreadableSetsAreTold(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		sets [][]byte
		want bool
	}{
		"none":                    {nil, false},
		"picture only":            {[][]byte{smallPPS}, false},
		"all":                     {[][]byte{smallSPS, smallPPS}, false},
		"a torn one":              {[][]byte{smallSPS[:4], smallPPS}, true},
		"a torn one after a good": {[][]byte{smallSPS, smallSPS[:4], smallPPS}, false},
		"the same in other bytes": {[][]byte{smallSPS, append([]byte{0x27}, smallSPS[1:]...)}, false},
	} {
		described, inBand := NewInspector(H264, row.sets), NewInspector(H264, nil)
		inBand.Inspect(row.sets)
		if described.Unreadable != row.want || inBand.Unreadable != row.want {
			t.Errorf("%s: %v in the description, %v in the stream", name, described.Unreadable, inBand.Unreadable)
		}
	}
}

// withOneOrder returns a set of one layer with the same numbers of pictures for all layers that are added, instead of for each; nil
// where they cannot be found.
func withOneOrder(set []byte, sps h265.SPS) []byte {
	if !sps.SubLayerOrderingInfoPresentFlag {
		return set
	}
	sps.SubLayerOrderingInfoPresentFlag = false
	rbsp := h264.EmulationPreventionRemove(set)
	for bit := range 8 * len(rbsp) {
		changed := bytes.Clone(rbsp)
		changed[bit/8] ^= 0x80 >> (bit % 8)
		changed = escape(changed)
		var read h265.SPS
		if read.Unmarshal(changed) == nil && reflect.DeepEqual(read, sps) {
			return changed
		}
	}
	return nil
}

// withSubLayers adds temporal layers with profiles and levels to a sequence parameter set of H.265.
func withSubLayers(set []byte, layers int, flags uint16, filler byte) []byte {
	const general = 15
	rbsp := h264.EmulationPreventionRemove(set)
	flags &= uint16(0xFFFF << (16 - 2*layers))
	head := slices.Clone(rbsp[:general])
	head[2] = head[2]&^0x0E | byte(layers)<<1
	head = binary.BigEndian.AppendUint16(head, flags)
	for i := range layers {
		size := 0
		if flags&(0x8000>>(2*i)) != 0 {
			size += 11
		}
		if flags&(0x4000>>(2*i)) != 0 {
			size++
		}
		head = append(head, bytes.Repeat([]byte{filler}, size)...)
	}
	return escape(append(head, rbsp[general:]...))
}

// FuzzSequenceParameterSets checks that each set that the library reads is read, with its size, and that the profiles and levels of
// temporal layers change nothing about it.
func FuzzSequenceParameterSets(f *testing.F) {
	for i, name := range []string{"high 10", "the VUI ends within its HRD", "main", "main 10, HRD", "with a profile and a level"} {
		f.Add(spsRows[name].codec == H265, unhex(f, spsRows[name].set), uint8(i), uint16(0x5555*i), byte(i))
	}
	f.Fuzz(func(t *testing.T, of265 bool, set []byte, layers uint8, flags uint16, filler byte) {
		codec := H264
		if of265 {
			codec = H265
		}
		track, ok := trackOf(codec, set)
		if len(set) < 4 || len(set) > maxParameterSet || set[len(set)-1] == 0 {
			return
		}
		if w, h, known := librarySize(codec, set); known && (!ok || track.Width != w || track.Height != h) {
			t.Fatalf("%v, %dx%d instead of %dx%d", ok, track.Width, track.Height, w, h)
		}
		var sps h265.SPS
		rbsp := h264.EmulationPreventionRemove(set)
		if !of265 || !ok || rbsp[len(rbsp)-1] == 0 || sps.Unmarshal(set) != nil || sps.MaxSubLayersMinus1 > 0 || sps.ID > 15 {
			return
		}
		set = withOneOrder(set, sps)
		if set == nil {
			return
		}
		layered, ok := trackOf(H265, withSubLayers(set, 1+int(layers%6), flags, filler))
		if !ok || layered.Width != track.Width || layered.Height != track.Height {
			t.Errorf("with layers it is %v, %dx%d instead of %dx%d", ok, layered.Width, layered.Height, track.Width, track.Height)
		}
	})
}

// librarySize is the size of the pictures of a set that the library reads to its end, if that size, and its id, can be true.
func librarySize(c Codec, set []byte) (w, h int, known bool) {
	if c == H264 {
		var sps h264.SPS
		if sps.Unmarshal(set) != nil {
			return 0, 0, false
		}
		w, h = h264Size(sps)
		return w, h, sps.ID <= 31 && w > 0 && h > 0
	}
	var sps h265.SPS
	if sps.Unmarshal(set) != nil {
		return 0, 0, false
	}
	return sps.Width(), sps.Height(), sps.ID <= 15 && credible(sps.Width(), sps.Height())
}

// TestSetsThatAreCutOff has cameras that describe a whole set, and send one in the stream that is cut off.
func TestSetsThatAreCutOff(t *testing.T) {
	t.Parallel()
	for name, row := range spsRows {
		if row.unread {
			continue
		}
		whole := unhex(t, row.set)
		for size := len(whole) - 1; size > 0; size-- {
			cut := bytes.TrimRight(whole[:size], "\x00")
			sets := row.codec.NewParameterSets()
			sets.Add(whole)
			if len(cut) > 4 && !readsWhole(row.codec, cut) && (sets.Add(cut) || !sets.Holds(whole)) {
				t.Errorf("%s: %d of %d bytes take its place", name, size, len(whole))
			}
			if _, ok := trackOf(row.codec, cut); ok && row.codec == H265 && !readsWhole(row.codec, cut) {
				t.Errorf("%s: %d of %d bytes are taken, which nothing decodes with", name, size, len(whole))
			}
		}
	}
}
