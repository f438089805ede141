package mediafile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/bits"
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
	// aacFrame is how many samples a frame of AAC has.
	aacFrame = 1024
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
	video   matroskaTrack
	audio   matroskaTrack
	queue   []Frame // laced audio
	nalus   [][]byte
	block   []byte
}

type matroskaTrack struct {
	number     uint64 // 0: there is none
	kind       uint64
	codec      string
	private    []byte
	rate       float64
	channels   int
	prefix     []byte // was stripped from every frame
	unreadable string // how the frames are packed, when they cannot be read
	lengthSize int
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
			data, err := m.read(size, maxDescription)
			if err != nil {
				return nil, err
			}
			if err := m.tracks(data, f); err != nil {
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
	data, err := m.read(size, maxDescription)
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

// tracks chooses those to read.
func (m *matroska) tracks(data []byte, f *File) error {
	err := children(data, func(id uint32, data []byte) error {
		if id != idTrackEntry {
			return nil
		}
		t, err := readTrack(data)
		if err != nil {
			return err
		}
		switch {
		case t.kind == trackVideo && m.video.number == 0:
			m.video = t
		case t.kind == trackAudio && m.audio.number == 0:
			if f.Audio = t.describe(); f.Audio != nil {
				m.audio = t
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	v := &m.video
	switch {
	case v.number == 0:
		return ErrNoVideo
	case v.unreadable != "":
		return &CodecError{v.unreadable}
	case v.codec == "V_MPEG4/ISO/AVC":
		f.Video.Codec = H264
		f.Video.Sets, v.lengthSize, err = avcConfig(v.private)
	case v.codec == "V_MPEGH/ISO/HEVC":
		f.Video.Codec = H265
		f.Video.Sets, v.lengthSize, err = hevcConfig(v.private)
	default:
		return &CodecError{plain(v.codec)}
	}
	return err
}

// plain makes what a file says fit for a sentence.
func plain(name string) string {
	name = string(bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, []byte(name[:min(len(name), 40)])))
	if name == "" {
		return "of an unknown codec"
	}
	return name
}

func readTrack(data []byte) (t matroskaTrack, err error) {
	t.channels, t.rate = 1, 8000 // the format's defaults
	return t, children(data, func(id uint32, data []byte) error {
		switch id {
		case idTrackNumber:
			t.number = number(data)
		case idTrackType:
			t.kind = number(data)
		case idCodecID:
			t.codec = string(bytes.TrimRight(data, "\x00"))
		case idCodecPrivate:
			t.private = data
		case idAudio:
			return children(data, func(id uint32, data []byte) error {
				switch id {
				case idSamplingFrequency:
					t.rate = float(data)
				case idChannels:
					t.channels = int(min(number(data), 64))
				}
				return nil
			})
		case idContentEncodings:
			return children(data, func(id uint32, data []byte) error {
				if id != idContentEncoding {
					return nil
				}
				return t.encoding(data)
			})
		}
		return nil
	})
}

// encoding reads how frames are packed: a prefix that all have in common may be left out.
func (t *matroskaTrack) encoding(data []byte) error {
	const headerStripping = 3
	return children(data, func(id uint32, data []byte) error {
		switch id {
		case idEncryption:
			t.unreadable = "encrypted"
		case idCompression:
			algorithm := uint64(0) // zlib
			err := children(data, func(id uint32, data []byte) error {
				switch id {
				case idCompAlgo:
					algorithm = number(data)
				case idCompSettings:
					t.prefix = data
				}
				return nil
			})
			if algorithm != headerStripping {
				t.unreadable = "compressed once more by Matroska"
			}
			return err
		}
		return nil
	})
}

// describe is nil for audio that cannot be read.
func (t matroskaTrack) describe() *Audio {
	rate := int(t.rate)
	if t.number == 0 || t.unreadable != "" || rate <= 0 || t.channels <= 0 {
		return nil
	}
	switch t.codec {
	case "A_AAC":
		if len(t.private) >= 2 {
			return &Audio{Codec: AAC, Config: t.private, Rate: rate, Channels: t.channels}
		}
	case "A_MS/ACM":
		if len(t.private) >= 2 {
			switch binary.LittleEndian.Uint16(t.private) { // RFC 2361
			case 6:
				return &Audio{Codec: ALaw, Rate: rate, Channels: t.channels}
			case 7:
				return &Audio{Codec: MuLaw, Rate: rate, Channels: t.channels}
			}
		}
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
			data, err := m.read(size, 8)
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
	data, err := m.read(size, maxFrame)
	if err != nil {
		return f, false, err
	}
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
	case track == m.video.number && lacing == 0:
		if len(m.video.prefix) > 0 {
			data = append(bytes.Clone(m.video.prefix), data...)
		}
		m.nalus, err = splitLengths(m.nalus[:0], data, m.video.lengthSize)
		return Frame{At: at, NALUs: m.nalus}, err == nil, err
	case track == m.audio.number && m.audio.number != 0:
		pieces, err := unlace(data, lacing)
		for i, piece := range pieces {
			if len(m.audio.prefix) > 0 {
				piece = append(bytes.Clone(m.audio.prefix), piece...)
			}
			step := time.Duration(float64(i*aacFrame) / m.audio.rate * float64(time.Second))
			m.queue = append(m.queue, Frame{Audio: true, At: at + step, Data: piece})
		}
		return f, false, err
	}
	return f, false, nil
}

// unlace takes the frames of a block apart (RFC 9559, section 10.3).
func unlace(data []byte, lacing byte) ([][]byte, error) {
	const (
		xiph  = 1
		fixed = 2
	)
	if lacing == 0 {
		return [][]byte{data}, nil
	}
	errLace := broken("a lace is wrong")
	if len(data) == 0 {
		return nil, errLace
	}
	count := int(data[0]) + 1
	data = data[1:]
	sizes := make([]int, 0, count)
	total := 0
	for i := range count - 1 {
		size := 0
		switch lacing {
		case xiph:
			for {
				if len(data) == 0 {
					return nil, errLace
				}
				b := data[0]
				data = data[1:]
				size += int(b)
				if b != 0xFF {
					break
				}
			}
		case fixed:
			size = -1 // known when all sizes are read
		default:
			value, n := vint(data)
			if n == 0 {
				return nil, errLace
			}
			data = data[n:]
			if size = int(value); i > 0 { // a difference, in the middle of its range
				size = sizes[i-1] + int(value) - (1<<(7*n-1) - 1)
			}
		}
		sizes = append(sizes, size)
		total += size
		if lacing != fixed && (size < 0 || total > len(data)) {
			return nil, errLace
		}
	}
	if lacing == fixed {
		if len(data)%count != 0 {
			return nil, errLace
		}
		for i := range sizes {
			sizes[i] = len(data) / count
		}
	}
	pieces := make([][]byte, 0, count)
	for _, size := range sizes {
		if size > len(data) {
			return nil, errLace
		}
		pieces = append(pieces, data[:size])
		data = data[size:]
	}
	return append(pieces, data), nil
}

// unknown is the size of an element that ends with its parent.
const unknown = math.MaxUint64

// element reads an ID and a size. At the end of the file it gives io.EOF, also within an element:
// a recording that was cut off is read as far as it goes.
func (m *matroska) element() (id uint32, size uint64, err error) {
	first, err := m.r.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	n := bits.LeadingZeros8(first) + 1
	if n > 4 {
		return 0, 0, broken("no element where one must be")
	}
	id = uint32(first)
	for range n - 1 {
		b, err := m.r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		id = id<<8 | uint32(b)
	}
	if first, err = m.r.ReadByte(); err != nil {
		return 0, 0, err
	}
	n = bits.LeadingZeros8(first) + 1
	if n > 8 {
		return 0, 0, broken("an element without size")
	}
	size = uint64(first) &^ (1 << (8 - n))
	for range n - 1 {
		b, err := m.r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		size = size<<8 | uint64(b)
	}
	if size == 1<<(7*n)-1 {
		size = unknown
	}
	return id, size, nil
}

// read gives an element's content, which is good until the next read.
func (m *matroska) read(size, most uint64) ([]byte, error) {
	if size > most {
		return nil, broken("an element of %d bytes", size)
	}
	// It grows as data comes: a size may be a lie.
	buffer := bytes.NewBuffer(m.block[:0])
	if most == maxDescription { // it is kept
		buffer = new(bytes.Buffer)
	}
	if _, err := io.CopyN(buffer, m.r, int64(size)); err != nil {
		return nil, endOf(err)
	}
	if most == maxFrame {
		m.block = buffer.Bytes()
	}
	return buffer.Bytes(), nil
}

func (m *matroska) skip(size uint64) error {
	if size > math.MaxInt64 {
		return broken("an element of unknown size")
	}
	_, err := io.CopyN(io.Discard, m.r, int64(size))
	return endOf(err)
}

// endOf makes the end of a file, wherever it comes, its end.
func endOf(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// vint reads a number with a length marker; n is 0 when there is none.
func vint(data []byte) (value uint64, n int) {
	if len(data) == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(data[0]) + 1
	if n > 8 || n > len(data) {
		return 0, 0
	}
	value = uint64(data[0]) &^ (1 << (8 - n))
	for _, b := range data[1:n] {
		value = value<<8 | uint64(b)
	}
	return value, n
}

// children calls each for the elements in a master.
func children(data []byte, each func(id uint32, data []byte) error) error {
	for len(data) > 0 {
		n := bits.LeadingZeros8(data[0]) + 1
		if n > 4 || n > len(data) {
			return broken("no element where one must be")
		}
		id := uint32(0)
		for _, b := range data[:n] {
			id = id<<8 | uint32(b)
		}
		size, m := vint(data[n:])
		if data = data[n+m:]; m == 0 || size > uint64(len(data)) {
			return broken("an element reaches past its parent")
		}
		if err := each(id, data[:size]); err != nil {
			return err
		}
		data = data[size:]
	}
	return nil
}

func number(data []byte) (v uint64) {
	for _, b := range data[:min(len(data), 8)] {
		v = v<<8 | uint64(b)
	}
	return v
}

func float(data []byte) float64 {
	switch len(data) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(data)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(data))
	}
	return 0
}
