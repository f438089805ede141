package mkv

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const (
	application = "kvs-edge-agent"
	// seekRoom holds a SeekHead with three entries (4 + 1 + 3×21) and a Void.
	seekRoom = 120
	// durationSize is that of a Duration element: ID 2, size 1, float 8.
	durationSize = 11
	// timestampScale is the ns of a tick: times in the file are whole ms.
	timestampScale = 1_000_000
	// maxTracks of a KVS stream, and so of a segment.
	maxTracks = kvslimit.Tracks
)

// dateEpoch is where DateUTC counts from (RFC 8794, section 7.6).
var dateEpoch = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// layout says where the parts lie that Close patches. Offsets are from the file's begin.
type layout struct {
	segmentSize int64 // of Segment's size field
	segmentData int64 // of the first byte in Segment
	info        int64
	duration    int64
	tracks      int64
	sum         int64 // 0 when the header has no checksum
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

func appendEBMLHead(dst []byte) []byte {
	var b []byte
	b = appendUint(b, idEBMLVersion, 1)
	b = appendUint(b, idEBMLReadVersion, 1)
	b = appendUint(b, idEBMLMaxIDLength, 4)
	b = appendUint(b, idEBMLMaxSizeLength, 8)
	b = appendString(b, idDocType, "matroska")
	b = appendUint(b, idDocTypeVersion, 2)
	b = appendUint(b, idDocTypeReadVersion, 2)
	return appendBytes(dst, idEBML, b)
}

// appendFileHeader writes everything before the first cluster of a file.
func appendFileHeader(dst []byte, h Header) ([]byte, layout) {
	var at layout
	dst = appendEBMLHead(dst)
	dst = appendID(dst, idSegment)
	at.segmentSize = int64(len(dst))
	dst = binary.BigEndian.AppendUint64(dst, unknownSize)
	at.segmentData = int64(len(dst))
	dst = appendVoid(dst, seekRoom)
	at.info = int64(len(dst))

	content := appendUint(nil, idTimestampScale, timestampScale)
	room := int64(len(content))
	content = appendVoid(content, durationSize)
	content = appendUint64(content, idDateUTC, uint64(h.Start.Sub(dateEpoch)))
	content = appendInfoNames(content, h)
	dst = appendBytes(dst, idInfo, content)
	at.duration = int64(len(dst)) - int64(len(content)) + room

	at.tracks = int64(len(dst))
	dst = appendTracks(dst, h.Tracks)
	at.sum = int64(len(dst))
	dst = appendSumRoom(dst)
	putSum(dst[at.sum:], headMark, headerSum(dst[:at.sum], at))
	return dst, at
}

// AppendStreamHeader writes what a PutMedia body begins with: an EBML head, a Segment of unknown
// size, Info and Tracks. There is nothing in it that only a file can have: no SeekHead, Void,
// Duration or Cues. Source: KVS developer guide, "Data model", and the headers of AWS's producers.
func AppendStreamHeader(dst []byte, h Header) []byte {
	dst = appendEBMLHead(dst)
	dst = appendID(dst, idSegment)
	dst = binary.BigEndian.AppendUint64(dst, unknownSize)
	content := appendUint(nil, idTimestampScale, timestampScale)
	dst = appendBytes(dst, idInfo, appendInfoNames(content, h))
	return appendTracks(dst, h.Tracks)
}

func appendInfoNames(dst []byte, h Header) []byte {
	// The UID needs no randomness: stream and start tell all segments apart.
	uid := sha256.Sum256(fmt.Appendf(nil, "%s/%d", h.Title, h.Start.UnixMilli()))
	dst = appendBytes(dst, idSegmentUUID, uid[:16])
	if h.Title != "" {
		dst = appendString(dst, idTitle, h.Title)
	}
	dst = appendString(dst, idMuxingApp, application)
	return appendString(dst, idWritingApp, application)
}

func appendTracks(dst []byte, tracks []Track) []byte {
	var all []byte
	for _, t := range tracks {
		entry := appendUint(nil, idTrackNumber, uint64(t.Number))
		entry = appendUint(entry, idTrackUID, uint64(t.Number))
		entry = appendUint(entry, idTrackType, uint64(t.Kind))
		entry = appendUint(entry, idFlagLacing, 0)
		if t.Name != "" {
			entry = appendString(entry, idName, t.Name)
		}
		entry = appendString(entry, idLanguage, "und")
		entry = appendString(entry, idCodecID, t.CodecID)
		if len(t.CodecPrivate) > 0 {
			entry = appendBytes(entry, idCodecPrivate, t.CodecPrivate)
		}
		if t.Kind == Video {
			video := appendUint(nil, idPixelWidth, uint64(t.Width))
			video = appendUint(video, idPixelHeight, uint64(t.Height))
			entry = appendBytes(entry, idVideo, video)
		} else {
			audio := appendFloat(nil, idSamplingFrequency, t.SampleRate)
			audio = appendUint(audio, idChannels, uint64(t.Channels))
			if t.BitDepth > 0 {
				audio = appendUint(audio, idBitDepth, uint64(t.BitDepth))
			}
			entry = appendBytes(entry, idAudio, audio)
		}
		all = appendBytes(all, idTrackEntry, entry)
	}
	return appendBytes(dst, idTracks, all)
}
