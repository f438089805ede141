package mkv

import (
	"encoding/binary"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// finish completes a file: it appends the Cues at end, and then patches, in this order, the clusters in incomplete,
// SeekHead, Duration and at last the Segment's size. A known size means that everything else is in place: a file that can be
// synced is synced before that. It returns the file's size.
func finish(f io.WriterAt, at layout, end int64, fragments []Fragment, incomplete []completion) (int64, error) {
	put := func(data []byte, offset int64) error {
		_, err := f.WriteAt(data, offset)
		return err
	}
	cues := cuesOf(at, fragments)
	if err := put(cues, end); err != nil {
		return end, err
	}
	for _, c := range incomplete {
		if err := put(c.bytes()); err != nil {
			return end, err
		}
	}
	if err := put(seekBytes(at, end, len(cues) > 0), at.segmentData); err != nil {
		return end, err
	}
	if err := put(durationBytes(fragments), at.duration); err != nil {
		return end, err
	}
	end += int64(len(cues))
	if synced, ok := f.(interface{ Sync() error }); ok {
		if err := synced.Sync(); err != nil {
			return end, err
		}
	}
	size := binary.BigEndian.AppendUint64(nil, element.Size8(end-at.segmentData))
	return end, put(size, at.segmentSize)
}

// completion has the bytes that complete a cluster that is in the file.
type completion struct {
	Fragment
	sum  uint32
	room bool // there is room for the checksum
}

// bytes returns the bytes to write, and their offset.
func (c completion) bytes() ([]byte, int64) {
	data := make([]byte, completionSize)
	putCompletion(data, c.Size, c.sum)
	if !c.room {
		return data[sumSize:], c.Offset
	}
	return data, c.Offset - sumSize
}

// duration returns the duration of the media in ticks: up to the last frame, plus the usual distance of frames for its
// presentation.
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

type cuesEnd struct {
	Cues struct{ CuePoint []cuePoint }
}

type cuePoint struct {
	CueTime           uint64
	CueTrackPositions cuePosition
}

type cuePosition struct{ CueTrack, CueClusterPosition uint64 }

// cuesOf returns the positions of keyframes.
func cuesOf(at layout, fragments []Fragment) []byte {
	var end cuesEnd
	for _, f := range fragments {
		if f.Keyframe {
			position := cuePosition{CueTrack: 1, CueClusterPosition: uint64(f.Offset - at.segmentData)}
			end.Cues.CuePoint = append(end.Cues.CuePoint, cuePoint{uint64(f.Start.Milliseconds()), position})
		}
	}
	if len(end.Cues.CuePoint) == 0 {
		return nil // Cues must hold at least one point (RFC 9559, section 5.1.5)
	}
	return element.Append(nil, &end)
}

// voidElement is a single Void element.
type voidElement struct{ Void []byte }

type seekHead struct {
	SeekHead struct{ Seek []seekEntry }
}

type seekEntry struct {
	SeekID       []byte
	SeekPosition uint64 `ebml:"SeekPosition,size=8"`
}

// seekBytes returns the content of the room for the SeekHead, when Cues start at cues.
func seekBytes(at layout, cues int64, hasCues bool) []byte {
	var head seekHead
	entry := func(id uint32, offset int64) {
		seek := seekEntry{binary.BigEndian.AppendUint32(nil, id), uint64(offset - at.segmentData)}
		head.SeekHead.Seek = append(head.SeekHead.Seek, seek)
	}
	entry(element.IDInfo, at.info)
	entry(element.IDTracks, at.tracks)
	if hasCues {
		entry(element.IDCues, cues)
	}
	data := element.Append(nil, &head)
	return element.Append(data, &voidElement{element.VoidOf(seekRoom - len(data))})
}

// durationBytes returns the Duration element that replaces its room.
func durationBytes(fragments []Fragment) []byte {
	return element.Append(nil, &struct{ Duration float64 }{duration(fragments)})
}
