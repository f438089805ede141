package mkv

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// finish completes a file: it appends the Cues at end, and then patches, in this order, the clusters in incomplete,
// SeekHead, Duration and at last the Segment's size. A known size means that everything else is in place: a file that can be
// synced is synced before that. It returns the file's size.
func finish(f io.WriterAt, at layout, end int64, all contents, incomplete []completion) (int64, error) {
	put := func(data []byte, offset int64) error {
		_, err := f.WriteAt(data, offset)
		return err
	}
	cues := cuesOf(at, all)
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
	if err := put(durationBytes(all.fragments), at.duration); err != nil {
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

// contents are what the end of a file describes.
type contents struct {
	fragments []Fragment
	inner     []keyframe // in the order of the file
}

// keyframe is one inside of a cluster.
type keyframe struct {
	cluster int64         // offset of its cluster in the file
	time    time.Duration // since Header.Start, whole ms
}

// cueSpacing is how far a keyframe inside of a cluster is from the previous cue at least, to have a cue of its own: where every
// frame is a keyframe, a seek needs no more.
const cueSpacing = 100 * time.Millisecond

// innerKeyframes returns the keyframes of a fragment that have a cue, but for its first frame, from the heads of its blocks.
func innerKeyframes(r io.ReaderAt, f Fragment) (list []keyframe, err error) {
	first, cued := true, f.Start
	for p, err := range Places(r, f) {
		if err != nil {
			return list, err
		}
		if p.Track == 1 && !first && p.Keyframe && p.Time-cued >= cueSpacing {
			list, cued = append(list, keyframe{f.Offset, p.Time}), p.Time
		}
		first = first && p.Track != 1
	}
	return list, nil
}

// contentsOf adds the keyframes inside of fragments. Those of a fragment that is damaged are left out.
func contentsOf(r io.ReaderAt, fragments []Fragment) (contents, error) {
	all := contents{fragments: fragments}
	for _, f := range fragments {
		list, err := innerKeyframes(r, f)
		if err != nil && !errors.Is(err, errTorn) {
			return all, err
		}
		all.inner = append(all.inner, list...)
	}
	return all, nil
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

// cuesOf returns the positions of keyframes: the cluster that they are in, as players search the cluster for the time.
func cuesOf(at layout, all contents) []byte {
	var end cuesEnd
	add := func(cluster int64, t time.Duration) {
		position := cuePosition{CueTrack: 1, CueClusterPosition: uint64(cluster - at.segmentData)}
		end.Cues.CuePoint = append(end.Cues.CuePoint, cuePoint{uint64(t.Milliseconds()), position})
	}
	inner := all.inner
	for _, f := range all.fragments {
		if f.Keyframe {
			add(f.Offset, f.Start)
		}
		for ; len(inner) > 0 && inner[0].cluster == f.Offset; inner = inner[1:] {
			add(f.Offset, inner[0].time)
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
