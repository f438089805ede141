package mkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

const (
	// seekRoom is the room for a SeekHead with three entries (4 + 1 + 3×21) and a Void.
	seekRoom = 120
	// durationSize is that of a Duration element: ID 2, size 1, float 8.
	durationSize = 11
	// timestampScale is the ns of a tick: times in the file are multiples of 1 ms.
	timestampScale = 1_000_000
)

// dateEpoch is the time from which DateUTC counts (RFC 8794, section 7.6).
var dateEpoch = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// layout has the offsets of the parts that Close patches, from the file's start.
type layout struct {
	segmentSize int64 // of Segment's size field
	segmentData int64 // of the first byte in Segment
	info        int64
	duration    int64
	tracks      int64
	sum         int64 // 0 when the header has no checksum
}

// header reads everything before the first cluster, whose offset it returns.
func (s *scanner) header() (Header, layout, int64, error) {
	var h Header
	var at layout
	head, err := s.at(0)
	if err != nil && !errors.Is(err, errTorn) {
		return h, at, 0, err // an error of the disk does not mean that the file is torn
	}
	if err != nil || head.id != element.IDEBML || head.size < 0 {
		return h, at, 0, fmt.Errorf("this is not a Matroska file: %w", errTorn)
	}
	segment, err := s.at(head.dataEnd)
	if err != nil && !errors.Is(err, errTorn) {
		return h, at, 0, err
	}
	if err != nil || segment.id != element.IDSegment || segment.data-segment.offset != 12 {
		return h, at, 0, fmt.Errorf("the segment's head is missing: %w", errTorn)
	}
	at.segmentSize, at.segmentData = segment.offset+4, segment.data
	if err := s.seekRoom(segment.data); err != nil {
		return h, at, 0, err
	}
	for offset := segment.data + seekRoom; ; {
		e, err := s.at(offset)
		torn := errors.Is(err, errTorn)
		if err != nil && !torn {
			return h, at, 0, err
		}
		if at.tracks > 0 && (torn || e.id != element.IDVoid || e.size < 0 || e.dataEnd > s.size) {
			return s.headerDone(h, at, offset) // the first cluster, or what a power cut left of it
		}
		if torn {
			return h, at, 0, errTorn
		}
		switch e.id {
		case element.IDCluster:
			return s.headerDone(h, at, offset)
		case element.IDVoid:
			if at.sum == 0 && at.tracks > 0 && e.size == sumContent && e.dataEnd == offset+sumSize {
				at.sum = offset
			}
		case element.IDInfo:
			at.info = offset
			err = s.info(e, &h, &at)
		case element.IDTracks:
			at.tracks = offset
			err = s.tracks(e, &h)
		}
		if err != nil {
			return h, at, 0, err
		}
		if e.size < 0 {
			return h, at, 0, errTorn
		}
		offset = e.dataEnd
	}
}

// seekRoom checks that the room for the SeekHead is where Writer puts it: the patch must not overwrite anything else.
func (s *scanner) seekRoom(offset int64) error {
	end := offset + seekRoom
	e, err := s.at(offset)
	if err == nil && e.id == element.IDSeekHead && e.size >= 0 && e.dataEnd < end {
		e, err = s.at(e.dataEnd)
	}
	if err != nil {
		return err
	}
	if e.id != element.IDVoid || e.dataEnd != end {
		return errors.New("this is not a segment of the agent: the room for the seek head is missing")
	}
	return nil
}

func (s *scanner) headerDone(h Header, at layout, first int64) (Header, layout, int64, error) {
	if at.duration == 0 || len(h.Tracks) == 0 || h.Start.IsZero() {
		return h, at, 0, fmt.Errorf("the segment's header is not complete: %w", errTorn)
	}
	return h, at, first, nil
}

func (s *scanner) info(e elementAt, h *Header, at *layout) error {
	data, err := s.bytes(e)
	if err != nil {
		return err
	}
	return each(data, e.data, func(child elementAt, data []byte) error {
		switch child.id {
		case element.IDVoid, element.IDDuration:
			if child.dataEnd-child.offset == durationSize && at.duration == 0 {
				at.duration = child.offset
			}
		case element.IDDateUTC:
			if len(data) != 8 {
				return errTorn
			}
			h.Start = dateEpoch.Add(time.Duration(binary.BigEndian.Uint64(data)))
		case element.IDTitle:
			h.Title = string(data)
		}
		return nil
	})
}

func (s *scanner) tracks(e elementAt, h *Header) error {
	data, err := s.bytes(e)
	if err != nil {
		return err
	}
	return each(data, e.data, func(child elementAt, data []byte) error {
		if child.id != element.IDTrackEntry {
			return nil
		}
		if len(h.Tracks) == maxTracks {
			return errTorn
		}
		var t Track
		if err := each(data, 0, t.element); err != nil {
			return err
		}
		if t.Number == 0 || int(t.Number) != len(h.Tracks)+1 {
			return errTorn
		}
		h.Tracks = append(h.Tracks, t)
		return nil
	})
}

func (t *Track) element(e elementAt, data []byte) error {
	switch e.id {
	case element.IDTrackNumber:
		n := element.Number(data)
		if n > maxTracks {
			return errTorn
		}
		t.Number = uint8(n)
	case element.IDTrackType:
		t.Kind = Kind(element.Number(data))
	case element.IDName:
		t.Name = string(data)
	case element.IDCodecID:
		t.CodecID = string(data)
	case element.IDCodecPrivate:
		t.CodecPrivate = append([]byte(nil), data...)
	case element.IDPixelWidth:
		t.Width = int(element.Number(data))
	case element.IDPixelHeight:
		t.Height = int(element.Number(data))
	case element.IDSamplingFrequency:
		t.SampleRate = double(data)
	case element.IDOutputFrequency:
		t.OutputRate = double(data)
	case element.IDCodecDelay:
		t.CodecDelay = time.Duration(element.Number(data))
	case element.IDSeekPreRoll:
		t.SeekPreRoll = time.Duration(element.Number(data))
	case element.IDChannels:
		t.Channels = int(element.Number(data))
	case element.IDBitDepth:
		t.BitDepth = int(element.Number(data))
	case element.IDVideo, element.IDAudio, element.IDColour:
		return each(data, 0, t.element)
	default:
		t.Picture.element(e, int(element.Number(data)))
	}
	return nil
}

// double parses a floating point number of 8 bytes, as Writer makes them; others are 0.
func double(data []byte) float64 {
	if len(data) != 8 {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64(data))
}

func (p *Picture) element(e elementAt, value int) {
	switch e.id {
	case element.IDFlagInterlaced:
		p.Interlaced = value == interlaced
	case element.IDDisplayWidth:
		p.DisplayWidth = value
	case element.IDDisplayHeight:
		p.DisplayHeight = value
	case element.IDMatrix:
		p.Matrix = value
	case element.IDRange:
		p.Range = value
	case element.IDTransfer:
		p.Transfer = value
	case element.IDPrimaries:
		p.Primaries = value
	}
}
