package audio

import (
	"bytes"
	"encoding/hex"
	"os/exec"
	"slices"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// TestWhatIsMadeOfDescriptions has a row for each encoding.
func TestWhatIsMadeOfDescriptions(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rtpmap, fmtp string
		name         string
		upload       Upload
		clock, rate  int
		channels     int
		id           string // of Matroska; "" when it cannot be recorded, or is unknown yet
	}{
		{"MPEG4-GENERIC/16000/1", "config=1408", "AAC", Played, 16_000, 16_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/48000/2", "config=1190", "AAC", Played, 48_000, 48_000, 2, "A_AAC"},
		{"MPEG4-GENERIC/90000", "config=1408", "AAC", Played, 90_000, 16_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/48000/2", "config=11b0", "AAC with 6 channels", Never, 48_000, 48_000, 6, "A_AAC"},
		{"MPEG4-GENERIC/48000/2", "config=2b098800", "HE-AAC", Played, 48_000, 24_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/48000/2", "config=130856e598", "HE-AAC", Played, 48_000, 24_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/48000/2", "config=eb098800", "HE-AAC v2", Played, 48_000, 24_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/16000/1", "config=0C08", "AAC Main", Never, 16_000, 16_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/16000/1", "config=2408", "AAC LTP", Never, 16_000, 16_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/48000/1", "config=b98c00", "AAC-LD", Never, 48_000, 48_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/48000/1", "config=f8e62000", "AAC-ELD", Never, 48_000, 48_000, 1, "A_AAC"},
		{"MPEG4-GENERIC/48000/2", "", "AAC", Played, 48_000, 48_000, 2, "A_AAC"},
		{"MPEG4-GENERIC/12345/2", "", "AAC without a config", Never, 0, 0, 0, ""},
		{"MPEG4-GENERIC/8000/1", "config=40", "AAC of an unknown kind", Never, 0, 0, 0, ""},
		{"MP4A-LATM/16000/1", "cpresent=0;config=400028103fc0", "AAC", Played, 16_000, 16_000, 1, "A_AAC"},
		{"MP4A-LATM/90000", "cpresent=1", "AAC", Played, 90_000, 0, 0, ""},
		{"OPUS/48000/2", "sprop-stereo=1", "Opus", Never, 48_000, 48_000, 2, "A_OPUS"},
		{"OPUS/48000", "", "Opus", Never, 48_000, 48_000, 2, "A_OPUS"},
		{"OPUS/16000/1", "sprop-stereo=0", "Opus", Never, 48_000, 48_000, 1, "A_OPUS"},
		{"MULTIOPUS/48000/6", "channel_mapping=0,4,1,2,3,5;num_streams=4;coupled_streams=2", "Opus", Never, 48_000, 48_000, 6, "A_OPUS"},
		{"MULTIOPUS/48000/6", "", "MULTIOPUS with settings that are not possible", Never, 0, 0, 0, ""},
		{"PCMU/8000", "", "G.711", Stored, 8000, 8000, 1, "A_MS/ACM"},
		{"PCMA/16000/2", "", "G.711", Stored, 16_000, 16_000, 2, "A_MS/ACM"},
		{"G722/8000", "", "G.722", Never, 8000, 16_000, 1, "A_MS/ACM"},
		{"G726-16/8000", "", "G.726", Never, 8000, 8000, 1, "A_MS/ACM"},
		{"AAL2-G726-40/8000", "", "G.726", Never, 8000, 8000, 1, "A_MS/ACM"},
		{"L8/16000", "", "LPCM", Never, 16_000, 16_000, 1, "A_PCM/INT/LIT"},
		{"L16/44100/2", "", "LPCM", Never, 44_100, 44_100, 2, "A_PCM/INT/BIG"},
		{"L24/48000/6", "", "LPCM", Never, 48_000, 48_000, 6, "A_PCM/INT/BIG"},
		{"MPA/90000", "", "MP2 or MP3", Never, 90_000, 0, 0, ""},
		{"AC3/48000/6", "", "AC-3", Never, 48_000, 0, 0, ""},
		{"EAC3/48000/6", "", "E-AC-3", Never, 48_000, 0, 0, ""},
		{"SPEEX/16000", "", "Speex", Never, 0, 0, 0, ""},
		{"G729/8000", "", "G.729", Never, 0, 0, 0, ""},
		{"X-STRANGE/8000", "", "an unknown codec (X-STRANGE)", Never, 0, 0, 0, ""},
	} {
		d := described(row.rtpmap, row.fmtp)
		s, ok := d.Stream()
		if d.Name() != row.name || ok != (row.clock > 0) || ok && (s.Clock != row.clock || s.Upload() != row.upload) {
			t.Errorf("%s %s is %q, %v, with the clock %d and %d, want %+v", row.rtpmap, row.fmtp, d.Name(), ok, s.Clock, s.Upload(), row)
		}
		if !ok {
			continue
		}
		f := s.Format
		if f.Rate != row.rate || f.Channels != row.channels || (f.Codec != Unknown) != (row.id != "") {
			t.Errorf("%s %s is %+v, want %+v", row.rtpmap, row.fmtp, f, row)
		}
		if row.id == "" {
			continue
		}
		track := f.Track(2)
		again, skipped, ok := Of(track)
		same := track.CodecID == row.id && again.Track(2).Equal(track) && UploadOf(track) == row.upload && NameOf(track) == row.name
		if !ok || !same || skipped != 0 {
			t.Errorf("%s: %+v is read as %+v", row.rtpmap, track, again)
		}
		if wants := row.upload > Never; (len(f.Silence()) > 0) != wants {
			t.Errorf("%s has %d bytes of silence", row.rtpmap, len(f.Silence()))
		}
	}
}

// TestTracksOfOthers reads Matroska tracks of other programs.
func TestTracksOfOthers(t *testing.T) {
	t.Parallel()
	head := append([]byte("OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00"), 3, 0, 0)
	for name, row := range map[string]struct {
		track mkv.Track
		want  string
		ok    bool
	}{
		"Opus, skipping": {mkv.Track{CodecID: "A_OPUS", CodecPrivate: head, SampleRate: 48_000, Channels: 2}, "Opus", true},
		"FLAC":           {mkv.Track{CodecID: "A_FLAC", CodecPrivate: []byte("fLaC"), SampleRate: 48_000, Channels: 2}, "FLAC", true},
		"Vorbis":         {mkv.Track{CodecID: "A_VORBIS", CodecPrivate: []byte{2}, SampleRate: 48_000, Channels: 2}, "VORBIS", true},
		"a codec of Windows": {mkv.Track{CodecID: mkv.CodecACM, CodecPrivate: []byte("\x61\x01\x02\x00\x80\xbb\x00\x00"), SampleRate: 48_000,
			Channels: 2}, "of a codec of Windows", true},
		"an invalid name":    {mkv.Track{CodecID: "A_\x00", SampleRate: 48_000, Channels: 2}, "", false},
		"a missing rate":     {mkv.Track{CodecID: "A_AC3", Channels: 2}, "", false},
		"AAC without config": {mkv.Track{CodecID: mkv.CodecAAC, SampleRate: 48_000, Channels: 2}, "", false},
		"a long head":        {mkv.Track{CodecID: "A_X", CodecPrivate: make([]byte, maxPrivate+1), SampleRate: 1}, "", false},
	} {
		f, skipped, ok := Of(row.track)
		if ok != row.ok || ok && f.Name() != row.want {
			t.Errorf("%s: %v %+v", name, ok, f)
		}
		if f.Codec == Opus && (skipped.Microseconds() != 6500 || f.Config[10] != 0 || !bytes.HasSuffix(f.Config, []byte{3, 0, 0})) {
			t.Errorf("%s: %s of %x", name, skipped, f.Config)
		}
	}
}

// TestG726IsTurnedAround compares both bit orders, as ffmpeg encodes the same audio.
func TestG726IsTurnedAround(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	for bits, rate := range map[int]string{2: "16k", 3: "24k", 4: "32k", 5: "40k"} {
		encoded := make(map[string][]byte)
		for _, codec := range []string{"g726", "g726le"} {
			out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000:duration=1",
				"-c:a", codec, "-b:a", rate, "-f", codec, "-").Output()
			if err != nil {
				t.Fatal(err)
			}
			encoded[codec] = out
		}
		want := encoded["g726"]
		if got := leftJustified(nil, encoded["g726le"], bits); len(got) == 0 || !bytes.Equal(got[:len(got)-bits], want[:len(got)-bits]) {
			t.Errorf("%d bits: %d bytes differ", bits, len(got))
		}
	}
}

// TestLostPackets counts exactly the missing packets.
func TestLostPackets(t *testing.T) {
	t.Parallel()
	const ticks = 160
	packet := func(sequence, n int) Packet {
		return Packet{Sequence: uint16(sequence), Timestamp: uint32(n * ticks), Payload: unitOf(n, ticks)}
	}
	for name, row := range map[string]struct {
		packets      []Packet
		lost, frames int
	}{
		"nothing":               {[]Packet{packet(65_534, 0), packet(65_535, 1), packet(0, 2), packet(1, 3)}, 0, 4},
		"two":                   {[]Packet{packet(5, 0), packet(6, 1), packet(9, 4)}, 2, 3},
		"a duplicate":           {[]Packet{packet(5, 0), packet(6, 1), packet(6, 1), packet(7, 2)}, 0, 3},
		"one arrived late":      {[]Packet{packet(5, 0), packet(7, 2), packet(6, 1), packet(8, 3)}, 1, 3},
		"numbers do not change": {[]Packet{packet(5, 0), packet(5, 1), packet(5, 2)}, 0, 3},
		"numbers restart":       {[]Packet{packet(30_000, 0), packet(30_001, 1), packet(3, 2), packet(4, 3)}, 0, 4},
		"others have numbers":   {[]Packet{packet(5, 0), packet(7, 1), packet(9, 2)}, 0, 3},
		"a pause with others":   {[]Packet{packet(5, 0), packet(7, 50), packet(8, 51)}, 0, 3},
		"a pause":               {[]Packet{packet(5, 0), packet(6, 50)}, 0, 2},
		"an empty one":          {[]Packet{packet(5, 0), {Sequence: 6, Timestamp: ticks}, packet(7, 2)}, 0, 2},
		"another source starts": {[]Packet{packet(5, 0), {Sequence: 90, Timestamp: 7, SSRC: 1, Payload: unitOf(1, ticks)}}, 0, 2},
	} {
		if g := readAll(t, described("PCMU/8000", ""), row.packets); g.lost != row.lost || len(g.frames) != row.frames {
			t.Errorf("%s: %d lost and %d frames, want %d and %d", name, g.lost, len(g.frames), row.lost, row.frames)
		}
	}
	hole := []Packet{
		{Sequence: 1, Payload: headed([][2]int{{40, 13}, {0, 3}}, make([]byte, 20))},
		{Sequence: 3, Timestamp: 1024, Marker: true, Payload: hbr(unitOf(1, 30))},
		{Sequence: 4, Timestamp: 2048, Marker: true, Payload: []byte{0xFF, 0xFF}},
		{Sequence: 5, Timestamp: 3072, Marker: true, Payload: hbr(unitOf(3, 30))},
	}
	if g := readAll(t, described(aac16, hbrFMTP), hole); g.lost != 2 || len(g.frames) != 2 {
		t.Errorf("%d are lost of a unit in parts and a broken one, %d read", g.lost, len(g.frames))
	}
}

func TestFramesThatSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	frame := func(text string, size int) []byte {
		head, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return append(head, make([]byte, size-len(head))...)
	}
	mp3 := frame("fffb9064", 417)              // 128 kbit/s at 44.1 kHz
	mp2 := frame("fffd8404", 384)              // 128 kbit/s at 48 kHz
	low := frame("fff34864", 144)              // layer 3 of MPEG-2, 32 kbit/s at 16 kHz
	ac3 := frame("0b770000144043", 768)        // 192 kbit/s at 48 kHz, two channels
	eac3 := frame("0b77017f348000000000", 768) // stereo
	more := frame("0b77417f3f8000000000", 768) // further channels
	parts := func(header func(at int) []byte, data []byte) (list []Packet) {
		for at := 0; at < len(data); at += 200 {
			list = append(list, Packet{Sequence: uint16(len(list)), Payload: append(header(at), data[at:min(at+200, len(data))]...)})
		}
		return list
	}
	ofMPEG := func(at int) []byte { return []byte{0, 0, byte(at >> 8), byte(at)} }
	ofAC3 := func(at int) []byte { return []byte{byte(min(at, 1)*2 + 1), 4} }
	join := func(header string, frames ...[]byte) []Packet {
		return []Packet{{Payload: append([]byte(header), bytes.Join(frames, nil)...)}}
	}
	for name, row := range map[string]struct {
		rtpmap  string
		packets []Packet
		want    []string
		codec   Codec
	}{
		"MP3":                       {"MPA/90000", join("\x00\x00\x00\x00", mp3, mp3), []string{show(0, mp3), show(2351, mp3)}, MP3},
		"MP3 of half the rate":      {"MPA/90000", join("\x00\x00\x00\x00", low, low), []string{show(0, low), show(3240, low)}, MP3},
		"MP3 without a header":      {"MPA/90000", join("", mp3), []string{show(0, mp3)}, MP3},
		"MP2":                       {"MPA/90000", join("\x00\x00\x00\x00", mp2), []string{show(0, mp2)}, MP2},
		"MP3 in parts":              {"MPA/90000", parts(ofMPEG, mp3), []string{show(0, mp3)}, MP3},
		"AC-3":                      {"AC3/48000", join("\x00\x02", ac3, ac3), []string{show(0, ac3), show(1536, ac3)}, AC3},
		"AC-3 in parts":             {"AC3/48000", parts(ofAC3, ac3), []string{show(0, ac3)}, AC3},
		"E-AC-3":                    {"EAC3/48000", join("\x00\x01", eac3), []string{show(0, eac3)}, EAC3},
		"E-AC-3 with more channels": {"EAC3/48000", join("\x00\x02", eac3, more), []string{show(0, slices.Concat(eac3, more))}, EAC3},
	} {
		g := readAll(t, described(row.rtpmap, ""), row.packets)
		if !slices.Equal(g.frames, row.want) || g.lost > 0 || g.format.Codec != row.codec {
			t.Errorf("%s: %d lost, %+v\n%q\nwant\n%q", name, g.lost, g.format, g.frames, row.want)
		}
	}
}
