package strictmkv

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"time"
)

// Codecs whose configuration is checked. Both spellings of AVC are in use: Matroska's registry has
// the first, the PutMedia reference the second.
const (
	CodecAVC    = "V_MPEG4/ISO/AVC"
	CodecAVCKVS = "V_MPEG/ISO/AVC"
	CodecHEVC   = "V_MPEGH/ISO/HEVC"
	CodecAAC    = "A_AAC"
	CodecACM    = "A_MS/ACM"
)

// Track types (RFC 9559, section 5.1.4.1.3).
const (
	TypeVideo = 1
	TypeAudio = 2
)

// Header has the elements before the first fragment.
type Header struct {
	DocTypeVersion uint64
	TimestampScale time.Duration // length of one tick of Cluster and Block times; 1 ms on the wire
	Duration       time.Duration // 0 = not given
	Date           time.Time     // DateUTC; zero = not given
	Title          string
	MuxingApp      string
	WritingApp     string
	Tracks         []Track
	RawTracks      []byte // the whole Tracks element as read, with its identifier and size
	SegmentSize    Span   // where the Segment's size is in the input
}

// Span is a run of bytes of the input.
type Span struct{ Offset, Bytes int64 }

// Track is one TrackEntry.
type Track struct {
	Number        uint64
	UID           uint64
	Type          uint64 // TypeVideo, TypeAudio or another type of RFC 9559
	CodecID       string
	CodecPrivate  []byte
	Name          string
	Width, Height uint64  // video: pixels
	SampleRate    float64 // audio: Hz
	Channels      uint64  // audio
	BitDepth      uint64  // audio: bits per sample; 0 = not given

	nalLength int // bytes of the length before each NAL unit; 0 = blocks are not made of them
}

// Track returns the track with that number.
func (h *Header) Track(number uint64) (*Track, bool) {
	for i := range h.Tracks {
		if h.Tracks[i].Number == number {
			return &h.Tracks[i], true
		}
	}
	return nil, false
}

// SameMedia reports whether blocks of both headers can be in one Segment: the same tracks with
// the same codec configuration and the same clock. UIDs, names and titles do not matter.
func (h *Header) SameMedia(o *Header) bool {
	return h.TimestampScale == o.TimestampScale && slices.EqualFunc(h.Tracks, o.Tracks, func(a, b Track) bool {
		return a.Number == b.Number && a.Type == b.Type && a.CodecID == b.CodecID && bytes.Equal(a.CodecPrivate, b.CodecPrivate) &&
			a.Width == b.Width && a.Height == b.Height && a.SampleRate == b.SampleRate && a.Channels == b.Channels
	})
}

func (h *Header) readEBML(head element, asStored bool) error {
	readVersion, maxID, maxSize, docReadVersion := uint64(1), uint64(4), uint64(8), uint64(1)
	docType := ""
	h.DocTypeVersion = 1
	found := map[id]int64{} // offsets
	err := head.children(func(e element) (err error) {
		found[e.id] = e.offset
		switch e.id {
		case idEBMLReadVersion:
			readVersion, err = e.unsigned()
		case idEBMLMaxIDLength:
			maxID, err = e.unsigned()
		case idEBMLMaxSize:
			maxSize, err = e.unsigned()
		case idDocType:
			docType = e.text()
		case idDocTypeVersion:
			h.DocTypeVersion, err = e.unsigned()
		case idDocTypeReadVer:
			docReadVersion, err = e.unsigned()
		}
		return err
	})
	at := func(child id) int64 { return max(head.offset, found[child]) } // of the head where it has no such child
	switch {
	case err != nil:
		return err
	case readVersion != 1:
		return broken(idEBMLReadVersion, at(idEBMLReadVersion), "is %d; only 1 exists", readVersion)
	case maxID != 4:
		return broken(idEBMLMaxIDLength, at(idEBMLMaxIDLength), "is %d; Matroska has 4", maxID)
	case maxSize < 1 || maxSize > 8:
		return broken(idEBMLMaxSize, at(idEBMLMaxSize), "is %d; Matroska has 1 to 8", maxSize)
	case docType != "matroska" && !(asStored && docType == "webm"):
		return broken(idDocType, at(idDocType), "is %q; it must be \"matroska\"", docType)
	case !asStored && (h.DocTypeVersion < 1 || docReadVersion < 1 || docReadVersion > h.DocTypeVersion):
		return broken(idDocTypeReadVer, at(idDocTypeReadVer), "is %d while DocTypeVersion is %d; it must lie in 1…DocTypeVersion",
			docReadVersion, h.DocTypeVersion)
	case docReadVersion > 4:
		return broken(idDocTypeReadVer, at(idDocTypeReadVer), "is %d; this reader knows Matroska up to version 4", docReadVersion)
	}
	return nil
}

func (h *Header) readInfo(info element, asStored bool) error {
	scale, ticks := uint64(1e6), 0.0
	err := info.children(func(e element) (err error) {
		switch e.id {
		case idTimestampScale:
			scale, err = e.unsigned()
		case idDuration:
			ticks, err = e.float()
		case idDateUTC:
			ns, err := e.signed()
			if err != nil || len(e.body) != 8 && len(e.body) != 0 {
				return broken(idDateUTC, e.offset, "is a date of %d bytes; 0 or 8 are allowed", len(e.body))
			}
			h.Date = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(ns))
		case idTitle:
			h.Title = e.text()
		case idMuxingApp:
			h.MuxingApp = e.text()
		case idWritingApp:
			h.WritingApp = e.text()
		}
		return err
	})
	if err != nil {
		return err
	}
	if scale == 0 || scale > uint64(time.Second) {
		return broken(idTimestampScale, info.offset, "is %d ns; it must lie in 1…1,000,000,000", scale)
	}
	h.TimestampScale = time.Duration(scale)
	duration := ticks * float64(scale)
	switch possible := duration >= 0 && duration <= math.MaxInt64/2; {
	case possible:
		h.Duration = time.Duration(duration)
	case !asStored:
		return broken(idDuration, info.offset, "is %g ticks, which is not a duration", ticks)
	}
	return nil
}

func (h *Header) readTracks(tracks element, o Options) error {
	err := tracks.children(func(e element) error {
		if e.id != idTrackEntry {
			return nil
		}
		if len(h.Tracks) == o.MaxTracks {
			err := broken(idTracks, tracks.offset, "describes more than %d tracks", o.MaxTracks)
			err.err = ErrTooManyTracks
			return err
		}
		t, err := readTrack(e, o.AsStored)
		if err != nil {
			return err
		}
		for _, o := range h.Tracks {
			if o.Number == t.Number || o.UID == t.UID {
				return broken(idTrackEntry, e.offset, "repeats the TrackNumber %d or TrackUID %d of another track", t.Number, t.UID)
			}
		}
		h.Tracks = append(h.Tracks, t)
		return nil
	})
	if err == nil && len(h.Tracks) == 0 {
		return broken(idTracks, tracks.offset, "describes no track")
	}
	return err
}

func readTrack(entry element, asStored bool) (Track, error) {
	t := Track{}
	private, encoded, scale := false, false, 1.0
	err := entry.children(func(e element) (err error) {
		switch e.id {
		case idTrackNumber:
			t.Number, err = e.unsigned()
		case idTrackUID:
			t.UID, err = e.unsigned()
		case idTrackType:
			t.Type, err = e.unsigned()
		case idTrackName:
			t.Name = e.text()
		case idTrackTimestampScale:
			scale, err = e.float()
		case idCodecID:
			t.CodecID = e.text()
		case idCodecPrivate:
			t.CodecPrivate, private = bytes.Clone(e.body), true
		case idContentEncodings:
			encoded = true
		case idVideo:
			err = t.readVideo(e)
		case idAudio:
			err = t.readAudio(e)
		}
		return err
	})
	switch {
	case err != nil:
		return t, err
	case t.Number == 0 || t.Number > 126:
		return t, broken(idTrackNumber, entry.offset, "is %d; it must be set and lie in 1…126", t.Number)
	case t.UID == 0:
		return t, broken(idTrackUID, entry.offset, "must be set and not be 0")
	case t.Type == 0:
		return t, broken(idTrackType, entry.offset, "must be set")
	case scale != 1:
		return t, broken(idTrackTimestampScale, entry.offset, "is %g; it must be 1", scale)
	case t.CodecID == "":
		return t, broken(idCodecID, entry.offset, "must be set and not be empty")
	case asStored:
		return t, nil
	case encoded:
		return t, broken(idContentEncodings, entry.offset, "compressed or encrypted tracks are not allowed")
	}
	return t, t.checkPlayable(entry, private)
}

// checkPlayable checks what a player needs to know of a track. private says that CodecPrivate was present.
func (t *Track) checkPlayable(entry element, private bool) error {
	switch {
	case t.Type == TypeVideo && !strings.HasPrefix(t.CodecID, "V_"), t.Type == TypeAudio && !strings.HasPrefix(t.CodecID, "A_"):
		return broken(idCodecID, entry.offset, "%q does not match TrackType %d", t.CodecID, t.Type)
	case t.Type == TypeVideo && (t.Width == 0 || t.Height == 0):
		return broken(idVideo, entry.offset, "a video track needs PixelWidth and PixelHeight")
	case t.Type == TypeAudio && (!(t.SampleRate > 0) || math.IsInf(t.SampleRate, 0) || t.Channels == 0):
		return broken(idAudio, entry.offset, "an audio track needs SamplingFrequency and Channels")
	}
	return t.checkPrivate(entry, private)
}

func (t *Track) readVideo(video element) error {
	return video.children(func(e element) (err error) {
		switch e.id {
		case idPixelWidth:
			t.Width, err = e.unsigned()
		case idPixelHeight:
			t.Height, err = e.unsigned()
		}
		return err
	})
}

func (t *Track) readAudio(audio element) error {
	t.SampleRate, t.Channels = 8000, 1 // the defaults of RFC 9559
	return audio.children(func(e element) (err error) {
		switch e.id {
		case idSamplingFrequency:
			t.SampleRate, err = e.float()
		case idChannels:
			t.Channels, err = e.unsigned()
		case idBitDepth:
			t.BitDepth, err = e.unsigned()
		}
		return err
	})
}
