// Package mkv owns the Matroska bytes of segment files: writing fragments as frames arrive, finishing a file so that players
// can seek, reading fragments, and repairing a torn file. It must not know where files are stored, what cameras send or how
// fragments are uploaded.
//
// The layout of a file, with sizes in bytes:
//
//	EBML head
//	Segment          unknown size while open, patched by Close
//	  Void           120, becomes SeekHead + Void by Close
//	  Info           TimestampScale 1 ms, Duration (a Void of 11 until Close), DateUTC, apps, UID, title
//	  Tracks
//	  Void           14, the header's checksum
//	  Void, Cluster …  one a fragment: Void 14, its checksum; ID 4, size 8, Timestamp 2 + 8, SimpleBlocks
//	  Cues           written by Close
//
// While open, a file is only appended to, except for the checksum and size of a cluster that was larger than the buffer:
// zeros and unknown until the fragment ends, and then written by one call. Files of earlier versions have no checksums. The
// elements that describe the file are written with ebml-go (mkv/element); clusters and blocks, and the parts that are
// patched in place, are written here. Sources: RFC 8794 (EBML), RFC 9559 (Matroska).
package mkv

import (
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// Codec IDs (RFC 9559 codec mappings; the KVS developer guide, "Codec ID").
const (
	CodecAVC  = "V_MPEG4/ISO/AVC"
	CodecHEVC = "V_MPEGH/ISO/HEVC"
	CodecAAC  = "A_AAC"
	CodecACM  = "A_MS/ACM"
)

// Kind is a track's TrackType.
type Kind uint8

// The kinds of tracks (RFC 9559, TrackType).
const (
	Video Kind = 1
	Audio Kind = 2
)

// Picture is how video is to be displayed. A value of 0 is not specified.
type Picture struct {
	DisplayWidth, DisplayHeight int // where pixels are not square
	Interlaced                  bool
	Range                       int // 1: broadcast, 2: full
	// Primaries, Transfer and Matrix are as in ISO/IEC 23091-2.
	Primaries, Transfer, Matrix int
}

// Track describes one track. Numbers count from 1; video is track 1.
type Track struct {
	Number       uint8
	Kind         Kind
	CodecID      string
	CodecPrivate []byte
	Name         string
	Width        int // pixels, video only
	Height       int
	Picture      Picture
	SampleRate   float64 // Hz, audio only
	Channels     int
	BitDepth     int // 0 when the codec has none
	// OutputRate is the sample rate of the decoder's output in Hz, where it differs from SampleRate; 0: the same.
	OutputRate float64
	// CodecDelay is how much decoded audio precedes the frames' times, and SeekPreRoll how much a decoder needs before the
	// first audible sample after a seek: whole ns, 0 for none.
	CodecDelay, SeekPreRoll time.Duration
}

// Equal reports whether one decoder can decode frames of both tracks without a new header.
func (t Track) Equal(o Track) bool {
	return t.Number == o.Number && t.Kind == o.Kind && t.CodecID == o.CodecID && t.Name == o.Name &&
		string(t.CodecPrivate) == string(o.CodecPrivate) && t.Width == o.Width && t.Height == o.Height &&
		t.Picture == o.Picture && t.SampleRate == o.SampleRate && t.Channels == o.Channels && t.BitDepth == o.BitDepth &&
		t.OutputRate == o.OutputRate && t.CodecDelay == o.CodecDelay && t.SeekPreRoll == o.SeekPreRoll
}

// maxTracks is the limit of a KVS stream, and so of a segment.
const maxTracks = kvslimit.Tracks

// Header is the content of a file before the first cluster.
type Header struct {
	Start  time.Time // of the segment, UTC, whole ms; DateUTC in the file
	Title  string    // the stream's name
	Tracks []Track
}

// Fragment is one cluster of a file.
type Fragment struct {
	Offset   int64         // of the complete element in the file; its checksum precedes it
	Size     int64         // of the complete element with its head
	Start    time.Duration // cluster timestamp since Header.Start, whole ms
	Last     time.Duration // greatest block time since Header.Start
	Frames   int           // blocks of track 1
	Keyframe bool          // the first block of track 1 is a keyframe
}

// Block is one frame of a fragment as in the file: video as length-prefixed NAL units.
type Block struct {
	Track    uint8
	Time     time.Duration // since Header.Start
	Keyframe bool
	Data     []byte // valid until the next block is read
}

func (h Header) validate() error {
	if len(h.Tracks) == 0 || len(h.Tracks) > maxTracks {
		return fmt.Errorf("a segment has 1 to %d tracks, not %d", maxTracks, len(h.Tracks))
	}
	for i, t := range h.Tracks {
		if int(t.Number) != i+1 {
			return fmt.Errorf("track %d has number %d", i+1, t.Number)
		}
		if t.CodecID == "" || (t.Kind != Video && t.Kind != Audio) {
			return fmt.Errorf("track %d lacks its codec or kind", t.Number)
		}
	}
	if h.Start.IsZero() || !h.Start.Equal(h.Start.Truncate(time.Millisecond)) {
		return errors.New("a segment starts at a whole millisecond")
	}
	return nil
}
