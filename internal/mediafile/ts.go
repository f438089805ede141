package mediafile

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/asticode/go-astits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
)

const (
	tsPacket = 188
	tsSync   = 0x47
	tsClock  = 90_000
	// maxProbe is how far into a file its tracks are looked for.
	maxProbe = 32 << 20
)

func isTS(head []byte) bool {
	return len(head) > tsPacket && head[0] == tsSync && head[tsPacket] == tsSync
}

// tsStamp is the size of what stands before each packet in the files of camcorders and disks (M2TS): a time of arrival.
const tsStamp = 4

func isM2TS(head []byte) bool {
	return len(head) > 2*tsStamp+tsPacket && isTS(append(head[tsStamp:tsStamp+tsPacket:tsStamp+tsPacket], head[2*tsStamp+tsPacket:]...))
}

// unstamped reads an M2TS file as a transport stream.
type unstamped struct {
	r      *bufio.Reader
	packet [tsStamp + tsPacket]byte
	rest   []byte
}

// Read implements io.Reader.
func (u *unstamped) Read(b []byte) (int, error) {
	if len(u.rest) == 0 {
		if _, err := io.ReadFull(u.r, u.packet[:]); err != nil {
			return 0, endOf(err)
		}
		u.rest = u.packet[tsStamp:]
	}
	n := copy(b, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// ts reads an MPEG transport stream.
type ts struct {
	reader *mpegts.Reader
	queue  []Frame
	clock  mpegts.TimeDecoder
}

func openTS(r io.Reader) (*File, error) {
	probe := &probe{r: bufio.NewReaderSize(r, 64<<10), left: maxProbe}
	s := &ts{reader: &mpegts.Reader{R: probe}}
	if err := s.reader.Initialize(); err != nil {
		if errors.Is(err, errProbe) || errors.Is(err, astits.ErrNoMorePackets) {
			return nil, ErrNoVideo
		}
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	probe.left = -1
	s.clock.Initialize()
	f := &File{next: s.next}
	var other string
	for _, track := range s.reader.Tracks() {
		if f.Video.Codec == "" {
			other = cmp.Or(other, s.video(track, f))
		}
		if c, ok := track.Codec.(*mpegts.CodecMPEG4Audio); ok && f.Audio == nil {
			s.audio(track, c.Config, f)
		}
	}
	switch {
	case f.Video.Codec != "":
	case other != "":
		return nil, &CodecError{other}
	default:
		return nil, ErrNoVideo
	}
	return f, nil
}

// video reads a track from now on, or returns the codec for which it cannot.
func (s *ts) video(track *mpegts.Track, f *File) (other string) {
	enqueue := func(pts, _ int64, au [][]byte) error {
		s.queue = append(s.queue, Frame{At: s.at(pts), NALUs: au})
		return nil
	}
	switch track.Codec.(type) {
	case *mpegts.CodecH264:
		f.Video.Codec = H264
		s.reader.OnDataH264(track, enqueue)
	case *mpegts.CodecH265:
		f.Video.Codec = H265
		s.reader.OnDataH265(track, enqueue)
	case *mpegts.CodecMPEG1Video:
		return "MPEG-1 or MPEG-2 video"
	case *mpegts.CodecMPEG4Video:
		return "MPEG-4 part 2"
	}
	return ""
}

func (s *ts) audio(track *mpegts.Track, config mpeg4audio.AudioSpecificConfig, f *File) {
	raw, err := config.Marshal()
	if err != nil || config.SampleRate <= 0 {
		return // video does not suffer for it
	}
	f.Audio = &Audio{Codec: AAC, Config: raw, Rate: config.SampleRate, Channels: config.ChannelCount}
	s.reader.OnDataMPEG4Audio(track, func(pts int64, frames [][]byte) error {
		at := s.at(pts)
		for i, data := range frames {
			step := ticksToDuration(int64(i*f.Audio.Samples(data)), int64(config.SampleRate))
			s.queue = append(s.queue, Frame{Audio: true, At: at + step, Data: data})
		}
		return nil
	})
}

// at undoes the wrap of timestamps after 26 h.
func (s *ts) at(pts int64) time.Duration { return ticksToDuration(s.clock.Decode(pts), tsClock) }

func (s *ts) next() (Frame, error) {
	for len(s.queue) == 0 {
		err := s.reader.Read()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return Frame{}, io.EOF
		}
		if err != nil {
			return Frame{}, fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
	f := s.queue[0]
	s.queue = s.queue[1:]
	return f, nil
}

var errProbe = errors.New("no tracks at the file's begin")

// probe bounds what is read, and kept, to find the tracks.
type probe struct {
	r    io.Reader
	left int // -1: no bound any more
}

// Read implements io.Reader.
func (p *probe) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, errProbe
	}
	if p.left > 0 && len(b) > p.left {
		b = b[:p.left]
	}
	n, err := p.r.Read(b)
	if p.left > 0 {
		p.left -= n
	}
	return n, err
}
