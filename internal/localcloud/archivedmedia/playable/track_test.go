package playable

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// Codec private data that ffmpeg 5.1 wrote: of x264, x265 and its AAC encoder.
const (
	avcC = "0142c00dffe100166742c00dda0507ec0440000003004000000c83c50aa801000468ce0fc8"
	hvcC = "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c95940921" +
		"0001002a42010101600000030090000003000003003ca00a080f16595952930bc05a02000003000200000300321022000100064401c073c189"
	aac = "118856e500"
)

func private(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWhichTracksArePlayed holds the rows of the API reference's requirements.
func TestWhichTracksArePlayed(t *testing.T) {
	t.Parallel()
	video := func(id string, data []byte) strictmkv.Track {
		return strictmkv.Track{Number: 1, UID: 1, Type: strictmkv.TypeVideo, CodecID: id, CodecPrivate: data}
	}
	audio := func(id string, data []byte) strictmkv.Track {
		return strictmkv.Track{Number: 2, UID: 2, Type: strictmkv.TypeAudio, CodecID: id, CodecPrivate: data}
	}
	const unplayable, missing, broken = "UnsupportedStreamMediaTypeException", "MissingCodecPrivateDataException",
		"InvalidCodecPrivateDataException"
	type list = []strictmkv.Track
	wave := func(tag byte) []byte { // 8 kHz, mono
		return []byte{tag, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0}
	}
	good, sound := private(t, avcC), private(t, aac)
	for name, row := range map[string]struct {
		tracks     list
		want, says string
	}{
		"H.264":                        {list{video("V_MPEG4/ISO/AVC", good)}, "avc1.42c00d", ""},
		"H.264 as the reference names": {list{video("V_MPEG/ISO/AVC", good)}, "avc1.42c00d", ""},
		"H.265":                        {list{video("V_MPEGH/ISO/HEVC", private(t, hvcC))}, "hev1.1.6.L60.90", ""},
		"H.265 as the reference names": {list{video("V_MPEG/ISO/HEVC", private(t, hvcC))}, "hev1.1.6.L60.90", ""},
		"H.264 and AAC":                {list{video("V_MPEG4/ISO/AVC", good), audio("A_AAC", sound)}, "avc1.42c00d,mp4a.40.2", ""},
		"AAC alone":                    {list{audio("A_AAC", sound)}, "mp4a.40.2", ""},
		"no tracks":                    {nil, unplayable, "no track"},
		"G.711 A-law":                  {list{video("V_MPEG4/ISO/AVC", good), audio("A_MS/ACM", wave(6))}, "avc1.42c00d,alaw", ""},
		"G.711 µ-law":                  {list{video("V_MPEG4/ISO/AVC", good), audio("A_MS/ACM", wave(7))}, "avc1.42c00d,ulaw", ""},
		"linear PCM":                   {list{video("V_MPEG4/ISO/AVC", good), audio("A_MS/ACM", wave(1))}, broken, "format tag"},
		"a cut WAVEFORMATEX":           {list{video("V_MPEG4/ISO/AVC", good), audio("A_MS/ACM", sound)}, broken, "shorter than a WAVEFORMATEX"},
		"VP8":                          {list{video("V_VP8", good)}, unplayable, `"V_VP8"`},
		"AAC first":                    {list{audio("A_AAC", sound), video("V_MPEG4/ISO/AVC", good)}, unplayable, "first track"},
		"two pictures": {list{video("V_MPEG4/ISO/AVC", good), video("V_MPEG4/ISO/AVC", good)}, unplayable,
			"the second one audio"},
		"H.264 as audio": {list{audio("V_MPEG4/ISO/AVC", good)}, unplayable, "type 2"},
		"three tracks": {list{video("V_MPEG4/ISO/AVC", good), audio("A_AAC", sound), audio("A_AAC", sound)},
			unplayable, "3 tracks"},
		"no private data":      {list{video("V_MPEG4/ISO/AVC", nil)}, missing, "track 1"},
		"no private data, AAC": {list{video("V_MPEG4/ISO/AVC", good), audio("A_AAC", nil)}, missing, "track 2"},
		"Annex B":              {list{video("V_MPEG4/ISO/AVC", private(t, "0000000167"))}, broken, "not an avcC"},
		"a cut avcC":           {list{video("V_MPEG4/ISO/AVC", good[:len(good)-1])}, broken, "ends too early"},
		"an avcC without sets": {list{video("V_MPEG4/ISO/AVC", private(t, "0142c00dffe000"))}, broken, "no sequence"},
		"an avcC as hvcC":      {list{video("V_MPEGH/ISO/HEVC", good)}, broken, "track 1"},
		"broken AAC":           {list{video("V_MPEG4/ISO/AVC", good), audio("A_AAC", []byte{0xFF})}, broken, "track 2"},
	} {
		tracks, err := TracksOf(&strictmkv.Header{Tracks: row.tracks})
		var refused *awsapi.Error
		switch {
		case err == nil:
			var names []string
			for _, track := range tracks {
				names = append(names, track.Name)
				if _, err := track.Init(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if got := strings.Join(names, ","); got != row.want {
				t.Errorf("%s: %s, want %s", name, got, row.want)
			}
		case !errors.As(err, &refused) || refused.Name != row.want || !strings.Contains(refused.Message, row.says):
			t.Errorf("%s: %v, want %s: %s", name, err, row.want, row.says)
		}
	}
}

// FuzzCodecPrivate: whatever a producer sends, it is refused by name, or there is a head for it.
func FuzzCodecPrivate(f *testing.F) {
	f.Add(uint8(0), private(f, avcC))
	f.Add(uint8(1), private(f, hvcC))
	f.Add(uint8(2), private(f, aac))
	f.Add(uint8(3), []byte{6, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0})
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		id := []string{strictmkv.CodecAVC, strictmkv.CodecHEVC, strictmkv.CodecAAC, strictmkv.CodecACM}[kind%4]
		of := uint64(strictmkv.TypeVideo)
		if id == strictmkv.CodecAAC || id == strictmkv.CodecACM {
			of = strictmkv.TypeAudio
		}
		tracks, err := TracksOf(&strictmkv.Header{Tracks: []strictmkv.Track{{Number: 1, UID: 1, Type: of, CodecID: id, CodecPrivate: data}}})
		var refused *awsapi.Error
		if err != nil {
			if !errors.As(err, &refused) {
				t.Errorf("refused without a name: %v", err)
			}
			return
		}
		if _, err := tracks[0].Init(); err != nil {
			t.Errorf("%x has no head: %v", data, err)
		}
		for _, size := range []int{0, 1, len(data)} {
			_, _ = tracks[0].data(data[:min(size, len(data))], true)
		}
	})
}

// TestWhatPlaysWhichTracks holds the tables of the developer guide, "Video playback track requirements".
func TestWhatPlaysWhichTracks(t *testing.T) {
	t.Parallel()
	const hls, ts, dash, clip = "HLS", "TS", "DASH", "clip"
	names := map[Use]string{ByHLS: hls, ByTransportStream: ts, ByDASH: dash, ByClip: clip}
	for name, row := range map[string]struct {
		kinds []string
		want  []string
	}{
		"H.264":              {[]string{kindH264}, []string{hls, ts, dash, clip}},
		"H.264, AAC":         {[]string{kindH264, kindAAC}, []string{hls, ts, dash, clip}},
		"H.264, A-law":       {[]string{kindH264, kindALaw}, []string{dash, clip}},
		"H.264, µ-law":       {[]string{kindH264, kindULaw}, []string{dash}},
		"AAC":                {[]string{kindAAC}, []string{hls, ts, dash}},
		"H.265":              {[]string{kindH265}, []string{hls, dash, clip}},
		"H.265, AAC":         {[]string{kindH265, kindAAC}, []string{hls, dash, clip}},
		"H.265, A-law":       {[]string{kindH265, kindALaw}, nil},
		"H.265, µ-law":       {[]string{kindH265, kindULaw}, nil},
		"A-law":              {[]string{kindALaw}, nil},
		"AAC, H.264":         {[]string{kindAAC, kindH264}, nil},
		"H.264, H.264":       {[]string{kindH264, kindH264}, nil},
		"H.264 and two AACs": {[]string{kindH264, kindAAC, kindAAC}, nil},
	} {
		var tracks Tracks
		for _, kind := range row.kinds {
			tracks = append(tracks, Track{kind: kind})
		}
		for use, by := range names {
			err := tracks.PlayedBy(use)
			var refused *awsapi.Error
			if played := slices.Contains(row.want, by); played != (err == nil) {
				t.Errorf("%s played by %s: %v", name, by, err)
			} else if !played && (!errors.As(err, &refused) || refused.Name != "UnsupportedStreamMediaTypeException") {
				t.Errorf("%s is refused by %s with %v", name, by, err)
			}
		}
	}
}
