package mp4

import (
	"bytes"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// TestWhichCodecsMP4Has lists what players take.
func TestWhichCodecsMP4Has(t *testing.T) {
	t.Parallel()
	sound := func(f audio.Format) mkv.Track { return f.Track(2) }
	other := videoTrack
	other.CodecID, other.CodecPrivate = mkv.CodecHEVC, append(make([]byte, 22), 1, 0xA1, 0, 1, 0, 2, 0x42, 1)
	for _, c := range []struct {
		name   string
		track  mkv.Track
		inBand bool
		entry  string // "" for none
		has    []string
	}{
		{"H.264", videoTrack, false, "avc1", []string{"avcC"}},
		{"H.264 that changes", videoTrack, true, "avc3", []string{"avcC"}},
		{"H.265", other, false, "hvc1", []string{"hvcC", "\x01\xA1"}},
		{"H.265 that changes", other, true, "hev1", []string{"hvcC", "\x01\x21"}},
		{"anamorphic", mkv.Track{
			Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: avcC, Width: 352, Height: 288,
			Picture: mkv.Picture{DisplayWidth: 384, DisplayHeight: 288, Range: 2, Matrix: 6},
		}, false, "avc1", []string{"pasp\x00\x00\x00\x0c\x00\x00\x00\x0b", "colrnclx\x00\x02\x00\x02\x00\x06\x80"}},
		{"AAC", sound(audio.Format{Codec: audio.AAC, Rate: 16_000, Channels: 1, Config: []byte{0x14, 0x08}}), false, "mp4a",
			[]string{"esds", "\x04\x80\x80\x80\x14\x40\x15", "\x05\x80\x80\x80\x02\x14\x08", "\x3e\x80\x00\x00"}},
		{"AAC at 96 kHz", sound(audio.Format{Codec: audio.AAC, Rate: 96_000, Channels: 2, Config: []byte{0x10, 0x10}}), false, "mp4a",
			[]string{"\x00\x02\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00"}},
		{"MP3", sound(audio.Format{Codec: audio.MP3, Rate: 44_100, Channels: 2}), false, "mp4a", []string{"\x6B\x15"}},
		{"MP2 at a low rate", sound(audio.Format{Codec: audio.MP2, Rate: 16_000, Channels: 1}), false, "mp4a", []string{"\x69\x15"}},
		{"mu-law", audioTrack, false, "ulaw", nil},
		{"A-law", sound(audio.Format{Codec: audio.ALaw, Rate: 8000, Channels: 1}), false, "alaw", nil},
		{"Opus", sound(audio.Format{
			Codec: audio.Opus, Rate: 48_000, Channels: 2, Config: []byte("OpusHead\x01\x02\x38\x01\x80\xBB\x00\x00\x00\x00\x00"),
		}), false, "Opus", []string{"dOps\x00\x02\x00\x00\x00\x00\xBB\x80\x00\x00\x00"}},
		{"G.726", sound(audio.Format{Codec: audio.G726, Rate: 8000, Channels: 1, Bits: 4}), false, "", nil},
		{"G.722", sound(audio.Format{Codec: audio.G722, Rate: 16_000, Channels: 1}), false, "", nil},
		{"LPCM", sound(audio.Format{Codec: audio.PCM, Rate: 8000, Channels: 1, Bits: 16}), false, "", nil},
		{"AC-3", sound(audio.Format{Codec: audio.AC3, Rate: 48_000, Channels: 2}), false, "", nil},
		{"another video codec", mkv.Track{Kind: mkv.Video, CodecID: "V_VP9"}, false, "", nil},
	} {
		track, ok := NewTrack(1, c.track, c.inBand)
		if ok != (c.entry != "") {
			t.Errorf("%s: taken: %v", c.name, ok)
			continue
		}
		if ok && string(track.entry[4:8]) != c.entry {
			t.Errorf("%s: its sample entry is %q, want %q", c.name, track.entry[4:8], c.entry)
		}
		for _, part := range c.has {
			if !bytes.Contains(track.entry, []byte(part)) {
				t.Errorf("%s: there is no %q in %q", c.name, part, track.entry)
			}
		}
	}
}

func TestParameterSetsOfARecord(t *testing.T) {
	t.Parallel()
	want := []byte{0, 0, 0, 4, 0x67, 0x42, 0xC0, 0x1E, 0, 0, 0, 2, 0x68, 0xCE}
	if got := ParameterSets(videoTrack); !bytes.Equal(got, want) {
		t.Errorf("H.264: %x", got)
	}
	record := append(make([]byte, 22), 2, 0xA0, 0, 2, 0, 1, 0x40, 0, 1, 0x41, 0xA1, 0, 1, 0, 2, 0x42, 1)
	other := mkv.Track{CodecID: mkv.CodecHEVC, CodecPrivate: record}
	want = []byte{0, 0, 0, 1, 0x40, 0, 0, 0, 1, 0x41, 0, 0, 0, 2, 0x42, 1}
	if got := ParameterSets(other); !bytes.Equal(got, want) {
		t.Errorf("H.265: %x", got)
	}
}
