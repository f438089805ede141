package mkv

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

func appendEBMLHead(dst []byte) []byte {
	var b []byte
	b = appendUint(b, idEBMLVersion, 1)
	b = appendUint(b, idEBMLReadVersion, 1)
	b = appendUint(b, idEBMLMaxIDLength, 4)
	b = appendUint(b, idEBMLMaxSizeLength, 8)
	b = appendString(b, idDocType, "matroska")
	b = appendUint(b, idDocTypeVersion, 2)
	b = appendUint(b, idDocTypeReadVersion, 2)
	return appendBytes(dst, element.IDEBML, b)
}

// appendFileHeader writes everything before the first cluster of a file.
func appendFileHeader(dst []byte, h Header) ([]byte, layout) {
	var at layout
	dst = appendEBMLHead(dst)
	dst = appendID(dst, element.IDSegment)
	at.segmentSize = int64(len(dst))
	dst = binary.BigEndian.AppendUint64(dst, unknownSize)
	at.segmentData = int64(len(dst))
	dst = appendVoid(dst, seekRoom)
	at.info = int64(len(dst))

	content := appendUint(nil, element.IDTimestampScale, timestampScale)
	room := int64(len(content))
	content = appendVoid(content, durationSize)
	content = appendUint64(content, element.IDDateUTC, uint64(h.Start.Sub(dateEpoch)))
	content = appendInfoNames(content, h)
	dst = appendBytes(dst, element.IDInfo, content)
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
	dst = appendID(dst, element.IDSegment)
	dst = binary.BigEndian.AppendUint64(dst, unknownSize)
	content := appendUint(nil, element.IDTimestampScale, timestampScale)
	dst = appendBytes(dst, element.IDInfo, appendInfoNames(content, h))
	return appendTracks(dst, h.Tracks)
}

func appendInfoNames(dst []byte, h Header) []byte {
	// The UID needs no randomness: stream and start tell all segments apart.
	uid := sha256.Sum256(fmt.Appendf(nil, "%s/%d", h.Title, h.Start.UnixMilli()))
	dst = appendBytes(dst, idSegmentUUID, uid[:16])
	if h.Title != "" {
		dst = appendString(dst, element.IDTitle, h.Title)
	}
	dst = appendString(dst, idMuxingApp, application)
	return appendString(dst, idWritingApp, application)
}

func appendTracks(dst []byte, tracks []Track) []byte {
	var all []byte
	for _, t := range tracks {
		entry := appendUint(nil, element.IDTrackNumber, uint64(t.Number))
		entry = appendUint(entry, idTrackUID, uint64(t.Number))
		entry = appendUint(entry, element.IDTrackType, uint64(t.Kind))
		entry = appendUint(entry, idFlagLacing, 0)
		if t.Name != "" {
			entry = appendString(entry, element.IDName, t.Name)
		}
		entry = appendString(entry, idLanguage, "und")
		entry = appendString(entry, element.IDCodecID, t.CodecID)
		if len(t.CodecPrivate) > 0 {
			entry = appendBytes(entry, element.IDCodecPrivate, t.CodecPrivate)
		}
		if t.Kind == Video {
			video := appendUint(nil, element.IDPixelWidth, uint64(t.Width))
			video = appendUint(video, element.IDPixelHeight, uint64(t.Height))
			entry = appendBytes(entry, element.IDVideo, video)
		} else {
			audio := appendFloat(nil, element.IDSamplingFrequency, t.SampleRate)
			audio = appendUint(audio, element.IDChannels, uint64(t.Channels))
			if t.BitDepth > 0 {
				audio = appendUint(audio, element.IDBitDepth, uint64(t.BitDepth))
			}
			entry = appendBytes(entry, element.IDAudio, audio)
		}
		all = appendBytes(all, element.IDTrackEntry, entry)
	}
	return appendBytes(dst, element.IDTracks, all)
}

// headerSum is the checksum of a file's header, as it is before the file is finished: what Close
// changes in it counts as zeros.
func headerSum(header []byte, at layout) uint32 {
	header = append([]byte(nil), header...)
	clear(header[at.segmentSize : at.segmentData+seekRoom])
	clear(header[at.duration : at.duration+durationSize])
	return addSum(0, header)
}
