package audio

import (
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Track describes the audio as a track of a Matroska file with a number.
func (f Format) Track(number uint8) mkv.Track {
	t := mkv.Track{
		Number: number, Kind: mkv.Audio, CodecPrivate: f.Config, Name: "audio", SampleRate: float64(f.Rate), Channels: f.Channels,
	}
	if row, ok := codecs[f.Codec]; ok {
		row.track(f, &t)
	}
	return t
}

// named completes the track of a codec that needs only its ID.
func named(id string) func(Format, *mkv.Track) {
	return func(f Format, t *mkv.Track) { t.CodecID = id }
}

// maxPrivate bounds a copied CodecPrivate.
const maxPrivate = 64 << 10

// Of returns the format of a track in a Matroska file; ok is false when it cannot be recorded. skipped is how far its frames
// precede their times.
func Of(t mkv.Track) (f Format, skipped time.Duration, ok bool) {
	rate := int(max(0, min(t.SampleRate, 1<<24)))
	f = Format{Rate: rate, Channels: max(t.Channels, 1), Bits: t.BitDepth}
	skipped = t.CodecDelay
	switch {
	case len(t.CodecPrivate) > maxPrivate:
		return f, 0, false
	case t.CodecID == mkv.CodecAAC:
		f, ok = AACFormat(t.CodecPrivate)
		return f, skipped, ok
	case t.CodecID == codecOpus:
		f, inHead, ok := OpusFormat(t.CodecPrivate)
		return f, max(skipped, inHead), ok
	case t.CodecID == mkv.CodecACM:
		f, ok = waveFormat(t.CodecPrivate, f)
		return f, skipped, ok
	case strings.HasPrefix(t.CodecID, "A_PCM/"):
		f.Codec = PCM
		f.Little, f.Float = t.CodecID == codecPCMLittle, t.CodecID == codecPCMFloat
		return f, skipped, f.Valid() && f.Bits%8 == 0 && f.Bits > 0 && f.Bits <= 64
	}
	for codec, row := range codecs {
		probe := mkv.Track{}
		if row.track(Format{Codec: codec}, &probe); probe.CodecID == t.CodecID {
			f.Codec, f.Config = codec, t.CodecPrivate
			return f, skipped, f.Valid()
		}
	}
	f.Codec, f.ID, f.Config = Other, t.CodecID, t.CodecPrivate
	return f, skipped, f.Valid() && copied(t.CodecID)
}

// copied reports whether an ID is that of an audio codec, in the letters of the registry.
func copied(id string) bool {
	return strings.HasPrefix(id, "A_") && len(id) <= 40 && !strings.ContainsFunc(id, func(r rune) bool {
		return r != '_' && r != '/' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z')
	})
}

// UploadOf returns how Kinesis Video Streams handles a recorded track.
func UploadOf(t mkv.Track) Upload {
	f, _, ok := Of(t)
	switch {
	case ok:
		return f.Upload()
	case t.CodecID == mkv.CodecAAC:
		return Played // of an earlier version, which recorded nothing else
	case t.CodecID == mkv.CodecACM:
		return Stored
	}
	return Never
}

// NameOf returns the codec of a recorded track, for people.
func NameOf(t mkv.Track) string {
	f, _, ok := Of(t)
	switch {
	case ok:
		return f.Name()
	case t.CodecID == mkv.CodecAAC:
		return "AAC"
	}
	return t.CodecID
}

// otherName derives a name from a codec's ID.
func otherName(id string) string {
	if id == mkv.CodecACM {
		return "of a codec of Windows"
	}
	return strings.TrimPrefix(id, "A_")
}
