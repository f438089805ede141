package element

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// described has a field of each kind that Unmarshal lets through.
type described struct {
	Tracks struct{ TrackEntry []describedTrack }
}

type describedTrack struct {
	TrackNumber  uint64
	CodecID      string
	CodecPrivate []byte
	Audio        struct{ SamplingFrequency float64 }
	Encoding     *struct {
		ContentEncoding []struct{ ContentEncryption *struct{} }
	} `ebml:"ContentEncodings"`
}

const idEncodings, idEncoding, idEncryption = 0x6D80, 0x6240, 0x5035

// made makes an element with a size field of that many bytes; 0 is the shortest.
func made(id uint32, wide int, content ...string) string {
	all := strings.Join(content, "")
	size := uint64(len(all))
	for wide == 0 || size >= 1<<(7*wide)-1 {
		wide++
	}
	field := binary.BigEndian.AppendUint64(nil, size|1<<(7*wide))
	head := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
	return string(head) + string(field[8-wide:]) + all
}

func unmarshal(content string) (described, error) {
	var d described
	err := Unmarshal(Head{ID: IDTracks, Size: int64(len(content))}, []byte(content), &d)
	return d, err
}

// wanted is a track that has everything, with what others wrote before, behind and between.
func wanted(between string) string {
	encryption := made(idEncodings, 0, between, made(idEncoding, 0, made(idEncryption, 0, between), between))
	return made(IDTrackEntry, 0, between, made(IDTrackNumber, 0, "\x07"), between, made(IDCodecID, 0, "A_AAC\x00\x00"),
		made(IDCodecPrivate, 0, "\x12\x10"), between, encryption,
		made(IDAudio, 0, between, made(IDSamplingFrequency, 0, "\x45\xFA\x00\x00"), between), between)
}

// Elements that ebml-go does not know, or that v has no field for, do not change how the others are read, even when
// their content looks like elements that v asks for.
func TestWhatIsNotAskedForIsPassedOver(t *testing.T) {
	t.Parallel()
	bait := made(IDTrackNumber, 0, "\x63") + made(IDTrackEntry, 0, made(IDTrackNumber, 0, "\x63"))
	rows := map[string]string{"nothing": ""}
	for wide := 1; wide <= 8; wide++ {
		for name, id := range map[string]uint32{
			"known, 1": IDVideo, "known, 2": IDName, "known, 3": 0x22B59C, "known, 4": IDCues,
			"new, 1": 0xFE, "new, 2": 0x4FFE, "new, 3": 0x2FFFFE, "new, 4": 0x1FFFFFFE,
		} {
			rows[name+string(rune('0'+wide))] = made(id, wide, bait)
		}
	}
	rows["a number of 9 bytes"] = made(IDTrackNumber, 0, "\x01\x01\x01\x01\x01\x01\x01\x01\x01")
	rows["a frequency of nothing"] = made(IDSamplingFrequency, 0)
	rows["a frequency of 2 bytes"] = made(IDSamplingFrequency, 0, "\x01\x01")
	rows["a codec too long to be one"] = made(IDCodecID, 0, strings.Repeat("\x00", maxString+1))
	for name, between := range rows {
		d, err := unmarshal(between + wanted(between) + between)
		if err != nil || len(d.Tracks.TrackEntry) != 1 {
			t.Errorf("%s: %+v, %v", name, d, err)
			continue
		}
		got := d.Tracks.TrackEntry[0]
		if got.TrackNumber != 7 || got.CodecID != "A_AAC" || string(got.CodecPrivate) != "\x12\x10" || got.Audio.SamplingFrequency != 8000 ||
			got.Encoding == nil || len(got.Encoding.ContentEncoding) != 1 || got.Encoding.ContentEncoding[0].ContentEncryption == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSizesThatAreNotThereAreRefused(t *testing.T) {
	t.Parallel()
	whole := wanted("")
	for n := 1; n < len(whole); n++ {
		if d, err := unmarshal(whole[:n]); err == nil {
			t.Errorf("cut off at %d: %+v", n, d)
		}
	}
	const huge, unknown = "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFE", "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
	for name, c := range map[string]struct {
		content string
		want    error
	}{
		"a track of 2^56 bytes":             {"\xAE" + huge, ErrPastParent},
		"a track of unknown size":           {"\xAE" + unknown + whole, ErrPastParent},
		"a codec's data of 2^56 bytes":      {made(IDTrackEntry, 0, "\x63\xA2"+huge), ErrPastParent},
		"a codec's data of unknown size":    {made(IDTrackEntry, 0, "\x63\xA2\xFF"), ErrPastParent},
		"one byte past its parent":          {made(IDTrackEntry, 0, "\x63\xA2\x82x") + "\xEC\x80", ErrPastParent},
		"what nobody asks for, 2^56 bytes":  {"\xEC" + huge, ErrPastParent},
		"what nobody asks for, no size":     {"\xEC\x00", ErrNoSize},
		"no element":                        {whole + "\x00", ErrNoID},
		"more tracks than anybody can have": {strings.Repeat("\xAE\x80", maxElements+1), ErrTooMany},
	} {
		if d, err := unmarshal(c.content); !errors.Is(err, c.want) {
			t.Errorf("%s: %d tracks, %v, want %v", name, len(d.Tracks.TrackEntry), err, c.want)
		}
	}
	var d described
	if err := Unmarshal(Head{ID: IDTracks, Size: 1 << 40}, []byte(whole), &d); !errors.Is(err, ErrPastParent) {
		t.Errorf("content that is not all there: %v", err)
	}
}

// FuzzUnmarshal holds that ebml-go reads whatever is let through to it, and finds the tracks.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(wanted("")))
	f.Add([]byte(wanted(made(IDName, 8, "x"))))
	f.Add([]byte(made(0x1FFFFFFE, 8, "\xAE\x80") + wanted("\xEC\x80")))
	f.Fuzz(func(t *testing.T, content []byte) {
		tracks := 0
		for rest := content; len(rest) > 0; {
			h, err := ParseHead(rest)
			if err != nil || h.Size < 0 || h.Size > int64(len(rest)-h.Len) {
				break
			}
			if h.ID == IDTrackEntry {
				tracks++
			}
			rest = rest[h.Len+int(h.Size):]
		}
		checked := bytes.Clone(content)
		limit := limit{left: maxElements}
		sound := limit.check(checked, placesOf(reflect.TypeFor[described]())[IDTracks].inside)
		d, err := unmarshal(string(content))
		if (err == nil) != (sound == nil) {
			t.Fatalf("let through: %v, read: %v", sound, err)
		}
		if err == nil && len(d.Tracks.TrackEntry) != tracks {
			t.Fatalf("%d tracks, want %d", len(d.Tracks.TrackEntry), tracks)
		}
	})
}
