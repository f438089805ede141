package mkv

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// application is the name in a file of the program that wrote it.
const application = "kvs-edge-agent"

// fileHead is everything before the first cluster, in the order of the file.
type fileHead struct {
	EBML    ebmlHead
	Segment segmentHead `ebml:"Segment,size=unknown"`
}

type ebmlHead struct {
	EBMLVersion            uint64
	EBMLReadVersion        uint64
	EBMLMaxIDLength        uint64
	EBMLMaxSizeLength      uint64
	EBMLDocType            string
	EBMLDocTypeVersion     uint64
	EBMLDocTypeReadVersion uint64
}

type segmentHead struct {
	SeekRoom []byte `ebml:"Void,omitempty"`
	Info     infoHead
	Tracks   tracksHead
	Sum      []byte `ebml:"Void,omitempty"`
}

type infoHead struct {
	TimestampScale uint64
	DurationRoom   []byte    `ebml:"Void,omitempty"`
	DateUTC        time.Time `ebml:"DateUTC,omitempty,size=8"`
	SegmentUID     []byte
	Title          string `ebml:"Title,omitempty"`
	MuxingApp      string
	WritingApp     string
}

type tracksHead struct{ TrackEntry []trackHead }

type trackHead struct {
	TrackNumber  uint64
	TrackUID     uint64
	TrackType    uint64
	FlagLacing   uint64
	Name         string `ebml:"Name,omitempty"`
	Language     string
	CodecID      string
	CodecPrivate []byte `ebml:"CodecPrivate,omitempty"`
	CodecDelay   uint64 `ebml:"CodecDelay,omitempty"`
	SeekPreRoll  uint64 `ebml:"SeekPreRoll,omitempty"`
	Video        *videoHead
	Audio        *audioHead
}

type videoHead struct {
	FlagInterlaced uint64 `ebml:"FlagInterlaced,omitempty"`
	PixelWidth     uint64
	PixelHeight    uint64
	DisplayWidth   uint64 `ebml:"DisplayWidth,omitempty"`
	DisplayHeight  uint64 `ebml:"DisplayHeight,omitempty"`
	Colour         *colourHead
}

type colourHead struct {
	MatrixCoefficients      uint64 `ebml:"MatrixCoefficients,omitempty"`
	Range                   uint64 `ebml:"Range,omitempty"`
	TransferCharacteristics uint64 `ebml:"TransferCharacteristics,omitempty"`
	Primaries               uint64 `ebml:"Primaries,omitempty"`
}

type audioHead struct {
	SamplingFrequency       float64
	OutputSamplingFrequency float64 `ebml:"OutputSamplingFrequency,omitempty"`
	Channels                uint64
	BitDepth                uint64 `ebml:"BitDepth,omitempty"`
}

// headOf returns the elements that describe a stream, without those that only a file has.
func headOf(h Header) fileHead {
	// The UID needs no randomness: stream and start are different for all segments.
	uid := sha256.Sum256(fmt.Appendf(nil, "%s/%d", h.Title, h.Start.UnixMilli()))
	head := fileHead{
		EBML: ebmlHead{
			EBMLVersion: 1, EBMLReadVersion: 1, EBMLMaxIDLength: 4, EBMLMaxSizeLength: 8,
			EBMLDocType: "matroska", EBMLDocTypeVersion: 2, EBMLDocTypeReadVersion: 2,
		},
		Segment: segmentHead{Info: infoHead{
			TimestampScale: timestampScale,
			SegmentUID:     uid[:16],
			Title:          h.Title,
			MuxingApp:      application,
			WritingApp:     application,
		}},
	}
	for _, t := range h.Tracks {
		head.Segment.Tracks.TrackEntry = append(head.Segment.Tracks.TrackEntry, t.head())
	}
	return head
}

func (t Track) head() trackHead {
	head := trackHead{
		TrackNumber: uint64(t.Number), TrackUID: uint64(t.Number), TrackType: uint64(t.Kind),
		Name: t.Name, Language: "und", CodecID: t.CodecID, CodecPrivate: t.CodecPrivate,
	}
	if t.Kind == Video {
		head.Video = t.Picture.head(t.Width, t.Height)
	} else {
		head.CodecDelay, head.SeekPreRoll = uint64(max(t.CodecDelay, 0)), uint64(max(t.SeekPreRoll, 0))
		head.Audio = &audioHead{
			SamplingFrequency: t.SampleRate, OutputSamplingFrequency: t.OutputRate,
			Channels: uint64(t.Channels), BitDepth: uint64(max(t.BitDepth, 0)),
		}
	}
	return head
}

// head omits elements for values that are not known.
func (p Picture) head(width, height int) *videoHead {
	head := &videoHead{
		PixelWidth: uint64(width), PixelHeight: uint64(height), DisplayWidth: uint64(p.DisplayWidth), DisplayHeight: uint64(p.DisplayHeight),
	}
	if p.Interlaced {
		head.FlagInterlaced = interlaced
	}
	if p.Range != 0 || p.Primaries != 0 || p.Transfer != 0 || p.Matrix != 0 {
		head.Colour = &colourHead{uint64(p.Matrix), uint64(p.Range), uint64(p.Transfer), uint64(p.Primaries)}
	}
	return head
}

// interlaced is a FlagInterlaced (RFC 9559, section 5.1.4.1.28.1).
const interlaced = 1

// AppendStreamHeader appends the start of a PutMedia body: an EBML head, a Segment of unknown size, Info and Tracks. It has
// no elements that only a file can have: no SeekHead, Void, Duration or Cues. Source: KVS developer guide, "Data model", and
// the headers of AWS's producers.
func AppendStreamHeader(dst []byte, h Header) []byte {
	head := headOf(h)
	for i, t := range h.Tracks { // the service uses the decoders' configuration, which says the same
		if t.Kind == Video {
			head.Segment.Tracks.TrackEntry[i].Video = Picture{}.head(t.Width, t.Height)
		} else {
			head.Segment.Tracks.TrackEntry[i].Audio.OutputSamplingFrequency = 0
		}
	}
	return element.Append(dst, &head)
}

// fileHeader returns everything before the first cluster of a file, and the offsets that Close patches.
func fileHeader(h Header) ([]byte, layout, error) {
	head := headOf(h)
	head.Segment.SeekRoom = element.VoidOf(seekRoom)
	head.Segment.Info.DurationRoom = element.VoidOf(durationSize)
	head.Segment.Info.DateUTC = h.Start
	head.Segment.Sum = element.VoidOf(sumSize)
	for _, t := range head.Segment.Tracks.TrackEntry {
		if t.Video != nil && t.Video.Colour != nil || t.CodecDelay > 0 || t.SeekPreRoll > 0 {
			head.EBML.EBMLDocTypeVersion = 4 // of the element; programs that read version 2 ignore it
		}
	}
	header := element.Append(nil, &head)
	s := scanner{r: sliceReader(header), size: int64(len(header))}
	_, at, _, err := s.header()
	if err != nil {
		return nil, at, err
	}
	putSum(header[at.sum:], headMark, headerSum(header[:at.sum], at))
	return header, at, nil
}

// headerSum returns the checksum of a file's header, as it is before the file is finished: the parts that Close changes
// count as zeros.
func headerSum(header []byte, at layout) uint32 {
	header = append([]byte(nil), header...)
	clear(header[at.segmentSize : at.segmentData+seekRoom])
	clear(header[at.duration : at.duration+durationSize])
	return addSum(0, header)
}
