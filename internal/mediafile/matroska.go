package mediafile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

func isMatroska(head []byte) bool {
	return len(head) >= 4 && binary.BigEndian.Uint32(head) == element.IDEBML
}

// matroska reads a Matroska file from start to end. IDs are unique in the format, so that
// clusters and groups are read in order, even if their size is unknown.
type matroska struct {
	file    elementReader
	scale   int64 // ns per tick
	cluster int64 // timestamp in ticks
	tracks
	queue []Frame // laced audio
	nalus [][]byte
	block []byte // the last one
}

func openMatroska(r io.Reader) (*File, error) {
	m := &matroska{file: elementReader{bufio.NewReaderSize(r, 64<<10)}, scale: int64(time.Millisecond)}
	f := &File{next: m.next}
	for {
		h, err := m.file.head()
		if err != nil {
			return nil, err
		}
		switch h.ID {
		case element.IDSegment:
		case element.IDCluster:
			return nil, ErrNoVideo // the tracks precede the clusters
		case element.IDInfo:
			err = m.info(h)
		case element.IDTracks:
			var description tracksElement
			if err = m.file.describe(h, &description); err == nil {
				err = m.choose(description.Tracks.TrackEntry, f)
			}
			if err == nil {
				return f, nil
			}
		default:
			err = m.file.skip(h)
		}
		if err != nil {
			return nil, err
		}
	}
}

// info reads the unit of timestamps. It may precede the tracks or follow them.
func (m *matroska) info(h element.Head) error {
	var description struct {
		Info struct{ TimestampScale uint64 }
	}
	description.Info.TimestampScale = uint64(m.scale)
	if err := m.file.describe(h, &description); err != nil {
		return err
	}
	scale := description.Info.TimestampScale
	if scale == 0 || scale > uint64(time.Second) {
		return broken("a timestamp has %d ns", int64(scale))
	}
	m.scale = int64(scale)
	return nil
}

func (m *matroska) next() (Frame, error) {
	for {
		if len(m.queue) > 0 {
			f := m.queue[0]
			m.queue = m.queue[1:]
			return f, nil
		}
		h, err := m.file.head()
		if errors.Is(err, ErrBroken) {
			err = m.file.resync()
		}
		if err != nil {
			return Frame{}, err
		}
		switch h.ID {
		case element.IDSegment, element.IDCluster, element.IDBlockGroup:
		case element.IDInfo:
			if err := m.info(h); err != nil {
				return Frame{}, err
			}
		case element.IDTimestamp:
			data, err := m.file.content(nil, h, 8)
			if err != nil {
				return Frame{}, err
			}
			m.cluster = int64(element.Number(data))
		case element.IDSimpleBlock, element.IDBlock:
			f, ok, err := m.frames(h)
			if err != nil {
				return Frame{}, err
			}
			if ok {
				return f, nil
			}
		default:
			if err := m.file.skip(h); err != nil {
				return Frame{}, err
			}
		}
	}
}

// lacedVideo queues frames of video that are laced in one block, which no current muxer does.
func (m *matroska) lacedVideo(data []byte, lacing byte, at time.Duration) error {
	frames, err := unlace(data, lacing)
	for _, frame := range frames {
		nalus, broken := m.video.units(nil, frame)
		if broken != nil {
			return broken
		}
		m.queue = append(m.queue, Frame{At: at, NALUs: nalus})
		at += m.video.duration
	}
	return err
}

// frames reads a block; ok is false when it belongs to another track, or when its frames are queued.
func (m *matroska) frames(h element.Head) (f Frame, ok bool, err error) {
	data, err := m.file.content(m.block, h, maxFrame)
	if err != nil {
		return f, false, err
	}
	m.block = data
	track, n := element.VarInt(data)
	if n == 0 || len(data) < n+3 {
		return f, false, broken("a block is too short")
	}
	ticks := m.cluster + int64(int16(binary.BigEndian.Uint16(data[n:])))
	lacing := data[n+2] >> 1 & 3
	data = data[n+3:]
	if limit := math.MaxInt64 / m.scale; ticks > limit || ticks < -limit {
		return f, false, broken("a time beyond all bounds")
	}
	at := time.Duration(ticks * m.scale)
	switch {
	case track == m.video.number && lacing == noLacing:
		m.nalus, err = m.video.units(m.nalus[:0], data)
		return Frame{At: at, NALUs: m.nalus}, err == nil, err
	case track == m.video.number:
		return f, false, m.lacedVideo(data, lacing, at)
	case track == m.audio.number && m.audio.number != 0:
		frames, err := unlace(data, lacing)
		at -= m.audio.delay
		for _, frame := range frames {
			frame, broken := m.audio.encoding.decode(frame)
			if broken != nil {
				continue
			}
			m.queue = append(m.queue, Frame{Audio: true, At: at, Data: frame})
			at += m.audio.lasts(frame)
		}
		return f, false, err
	}
	return f, false, nil
}
