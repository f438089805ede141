package mediafile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"time"
)

// Element IDs with their length markers (RFC 9559, section 5.1).
const (
	idEBML              = 0x1A45DFA3
	idSegment           = 0x18538067
	idInfo              = 0x1549A966
	idTimestampScale    = 0x2AD7B1
	idTracks            = 0x1654AE6B
	idTrackEntry        = 0xAE
	idTrackNumber       = 0xD7
	idTrackType         = 0x83
	idCodecID           = 0x86
	idCodecPrivate      = 0x63A2
	idAudio             = 0xE1
	idSamplingFrequency = 0xB5
	idChannels          = 0x9F
	idContentEncodings  = 0x6D80
	idContentEncoding   = 0x6240
	idCompression       = 0x5034
	idCompAlgo          = 0x4254
	idCompSettings      = 0x4255
	idEncryption        = 0x5035
	idCluster           = 0x1F43B675
	idTimestamp         = 0xE7
	idSimpleBlock       = 0xA3
	idBlockGroup        = 0xA0
	idBlock             = 0xA1
)

const (
	trackVideo = 1
	trackAudio = 2
	codecAAC   = "A_AAC"
	// maxDescription bounds Info and Tracks; some files carry cover pictures elsewhere.
	maxDescription = 4 << 20
)

func isMatroska(head []byte) bool {
	return len(head) >= 4 && binary.BigEndian.Uint32(head) == idEBML
}

// matroska reads a Matroska file from its begin to its end. IDs are unique in the format, so that
// it goes through clusters and groups as they come, also those whose size is not known.
type matroska struct {
	r       *bufio.Reader
	scale   int64 // ns of a tick
	cluster int64 // ticks
	tracks
	queue []Frame // laced audio
	nalus [][]byte
	block []byte // the last one
}

func openMatroska(r io.Reader) (*File, error) {
	m := &matroska{r: bufio.NewReaderSize(r, 64<<10), scale: int64(time.Millisecond)}
	f := &File{next: m.next}
	for {
		id, size, err := m.element()
		if err != nil {
			return nil, err
		}
		switch id {
		case idSegment:
		case idCluster:
			return nil, ErrNoVideo // the tracks come first
		case idInfo:
			if err := m.info(size); err != nil {
				return nil, err
			}
		case idTracks:
			data, err := m.read(nil, size, maxDescription)
			if err != nil {
				return nil, err
			}
			if err := m.choose(data, f); err != nil {
				return nil, err
			}
			return f, nil
		default:
			if err := m.skip(size); err != nil {
				return nil, err
			}
		}
	}
}

// info reads in what times are counted. It may lie before the tracks or behind them.
func (m *matroska) info(size uint64) error {
	data, err := m.read(nil, size, maxDescription)
	if err != nil {
		return err
	}
	err = children(data, func(id uint32, data []byte) error {
		if id == idTimestampScale {
			m.scale = int64(number(data))
		}
		return nil
	})
	if err != nil || m.scale <= 0 || m.scale > int64(time.Second) {
		return broken("a timestamp has %d ns", m.scale)
	}
	return nil
}

func (m *matroska) next() (Frame, error) {
	for {
		if len(m.queue) > 0 {
			f := m.queue[0]
			m.queue = m.queue[1:]
			return f, nil
		}
		id, size, err := m.element()
		if err != nil {
			return Frame{}, err
		}
		switch id {
		case idSegment, idCluster, idBlockGroup:
		case idInfo:
			if err := m.info(size); err != nil {
				return Frame{}, err
			}
		case idTimestamp:
			data, err := m.read(nil, size, 8)
			if err != nil {
				return Frame{}, err
			}
			m.cluster = int64(number(data))
		case idSimpleBlock, idBlock:
			f, ok, err := m.frames(size)
			if err != nil {
				return Frame{}, err
			}
			if ok {
				return f, nil
			}
		default:
			if err := m.skip(size); err != nil {
				return Frame{}, err
			}
		}
	}
}

// frames reads a block; ok is false when it is of another track, or when its frames are queued.
func (m *matroska) frames(size uint64) (f Frame, ok bool, err error) {
	data, err := m.read(m.block, size, maxFrame)
	if err != nil {
		return f, false, err
	}
	m.block = data
	track, n := vint(data)
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
		if len(m.video.prefix) > 0 {
			data = append(bytes.Clone(m.video.prefix), data...)
		}
		m.nalus, err = splitLengths(m.nalus[:0], data, m.video.lengthSize)
		return Frame{At: at, NALUs: m.nalus}, err == nil, err
	case track == m.audio.number && m.audio.number != 0:
		pieces, err := unlace(data, lacing)
		samples := 0
		for _, piece := range pieces {
			if len(m.audio.prefix) > 0 {
				piece = append(bytes.Clone(m.audio.prefix), piece...)
			}
			since := time.Duration(float64(samples) / m.audio.rate * float64(time.Second))
			m.queue = append(m.queue, Frame{Audio: true, At: at + since, Data: piece})
			samples += m.audio.samples(piece)
		}
		return f, false, err
	}
	return f, false, nil
}
