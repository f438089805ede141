package mkv

import (
	"encoding/binary"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// finish makes a file whole: it appends the Cues at end, and then patches, in this order, the
// clusters in unsealed, SeekHead, Duration and at last the Segment's size, whose known value says that
// all the rest is in place: a file that can be synced is, before that. It returns the file's size.
func finish(f io.WriterAt, at layout, end int64, fragments []Fragment, unsealed []seal) (int64, error) {
	put := func(data []byte, offset int64) error {
		_, err := f.WriteAt(data, offset)
		return err
	}
	cues := appendCues(nil, at, fragments)
	if err := put(cues, end); err != nil {
		return end, err
	}
	for _, s := range unsealed {
		if err := put(s.bytes()); err != nil {
			return end, err
		}
	}
	if err := put(seekBytes(at, end, len(cues) > 0), at.segmentData); err != nil {
		return end, err
	}
	if err := put(appendFloat(nil, element.IDDuration, duration(fragments)), at.duration); err != nil {
		return end, err
	}
	end += int64(len(cues))
	if durable, ok := f.(interface{ Sync() error }); ok {
		if err := durable.Sync(); err != nil {
			return end, err
		}
	}
	size := binary.BigEndian.AppendUint64(nil, sizeMarker8|uint64(end-at.segmentData))
	return end, put(size, at.segmentSize)
}

// seal is what completes a cluster that is in the file.
type seal struct {
	Fragment
	sum  uint32
	room bool // for the checksum
}

// bytes are those to write, and where.
func (s seal) bytes() ([]byte, int64) {
	data := make([]byte, sealSize)
	putSeal(data, s.Size, s.sum)
	if !s.room {
		return data[sumSize:], s.Offset
	}
	return data, s.Offset - sumSize
}

// duration is that of the media in ticks: up to the last frame, plus the usual distance of frames
// for how long it is shown.
func duration(fragments []Fragment) float64 {
	frames := 0
	var last, first Fragment
	for i, f := range fragments {
		if i == 0 {
			first = f
		}
		if f.Last >= last.Last {
			last = f
		}
		frames += f.Frames
	}
	ms := float64(last.Last.Milliseconds())
	if frames > 1 {
		ms += (ms - float64(first.Start.Milliseconds())) / float64(frames-1)
	}
	return ms
}

func appendCues(dst []byte, at layout, fragments []Fragment) []byte {
	var points []byte
	for _, f := range fragments {
		if !f.Keyframe {
			continue
		}
		position := appendUint(nil, idCueTrack, 1)
		position = appendUint(position, idCueClusterPosition, uint64(f.Offset-at.segmentData))
		point := appendUint(nil, idCueTime, uint64(f.Start.Milliseconds()))
		point = appendBytes(point, idCueTrackPositions, position)
		points = appendBytes(points, idCuePoint, point)
	}
	if len(points) == 0 {
		return dst // Cues must hold at least one point (RFC 9559, section 5.1.5)
	}
	return appendBytes(dst, element.IDCues, points)
}

// seekBytes is what fills the room for the SeekHead, when Cues are to begin at cues.
func seekBytes(at layout, cues int64, hasCues bool) []byte {
	seek := appendSeekHead(nil, at, cues, hasCues)
	return appendVoid(seek, seekRoom-len(seek))
}

func appendSeekHead(dst []byte, at layout, cues int64, hasCues bool) []byte {
	entry := func(dst []byte, id uint32, offset int64) []byte {
		seek := appendBytes(nil, idSeekID, appendID(nil, id))
		seek = appendUint64(seek, idSeekPosition, uint64(offset-at.segmentData))
		return appendBytes(dst, idSeek, seek)
	}
	entries := entry(nil, element.IDInfo, at.info)
	entries = entry(entries, element.IDTracks, at.tracks)
	if hasCues {
		entries = entry(entries, element.IDCues, cues)
	}
	return appendBytes(dst, element.IDSeekHead, entries)
}
