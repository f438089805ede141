package mediafile

import (
	"errors"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// The kinds of tracks (RFC 9559, TrackType).
const (
	trackVideo = 1
	trackAudio = 2
)

// The parts of a file's description that are read. A field is 0 only where the file does not have it.
type (
	tracksElement struct {
		Tracks struct{ TrackEntry []trackEntry }
	}
	trackEntry struct {
		TrackNumber      uint64
		TrackType        uint64
		CodecID          string
		CodecPrivate     []byte
		DefaultDuration  uint64 // ns
		CodecDelay       uint64 // ns
		Audio            audioSettings
		ContentEncodings struct{ ContentEncoding []contentEncoding }
	}
	audioSettings struct {
		SamplingFrequency float64
		Channels          uint64
		BitDepth          uint64
	}
	contentEncoding struct {
		ContentEncodingScope uint64
		ContentCompression   *compression
		ContentEncryption    *struct{}
	}
	compression struct {
		ContentCompAlgo     uint64
		ContentCompSettings []byte
	}
)

// matroskaTrack is a selected track; its number is 0 when there is none.
type matroskaTrack struct {
	number     uint64
	codec      string
	private    []byte
	sound      mkv.Track     // audio, as described
	audio      Audio         // audio, as interpreted
	delay      time.Duration // of audio: subtracted from its times
	encoding   encoding
	unreadable string // why the frames cannot be read, if so
	lengthSize int
	duration   time.Duration // of a frame; 0 when the file does not have it
}

// tracks are the tracks that are read.
type tracks struct{ video, audio matroskaTrack }

// choose selects the first track of video that can be read, and the first of audio: a cover picture may precede the video.
func (c *tracks) choose(list []trackEntry, f *File) (err error) {
	err = ErrNoVideo
	for _, entry := range list {
		t := entry.track()
		switch {
		case entry.TrackType == trackVideo && c.video.number == 0:
			switch refused := t.decode(&f.Video); {
			case refused == nil:
				c.video = t
			case err == ErrNoVideo:
				err = refused
			}
		case entry.TrackType == trackAudio && c.audio.number == 0:
			if f.Audio = t.describe(); f.Audio != nil {
				c.audio = t
			}
		}
	}
	if c.video.number != 0 {
		return nil
	}
	return err
}

// decode determines how a track of video is read.
func (t *matroskaTrack) decode(v *Video) error {
	codec, private := "", t.private
	switch {
	case t.number == 0:
		return broken("a track has no number")
	case t.unreadable != "":
		return &CodecError{t.unreadable}
	case t.codec == "V_MPEG4/ISO/AVC":
		codec = H264
	case t.codec == "V_MPEGH/ISO/HEVC":
		codec = H265
	case t.codec == "V_MS/VFW/FOURCC" && len(private) >= bitmapHeader: // as in AVI
		codec = codecOfFourCC(string(private[16:20]))
		private = private[bitmapHeader:]
	}
	if codec == "" {
		return &CodecError{plain(t.codec)}
	}
	sets, lengthSize, err := describedBy(codec, private)
	if err != nil {
		return err
	}
	*v, t.lengthSize = Video{Codec: codec, Sets: sets}, lengthSize
	return nil
}

// bitmapHeader is the size of a BITMAPINFOHEADER, which precedes the codec's own description.
const bitmapHeader = 40

// codecOfFourCC returns the codec with a FourCC of AVI; "" for unknown ones.
func codecOfFourCC(name string) string {
	switch strings.ToUpper(name) {
	case "H264", "X264", "AVC1", "DAVC":
		return H264
	case "HEVC", "H265", "X265", "HVC1", "HEV1":
		return H265
	}
	return ""
}

// units splits a frame of video.
func (t *matroskaTrack) units(nalus [][]byte, data []byte) ([][]byte, error) {
	data, err := t.encoding.decode(data)
	if err != nil {
		return nalus, err
	}
	return splitUnits(nalus, data, t.lengthSize)
}

func (e trackEntry) track() matroskaTrack {
	t := matroskaTrack{number: e.TrackNumber, codec: e.CodecID, private: e.CodecPrivate}
	t.sound = mkv.Track{
		CodecID: e.CodecID, CodecPrivate: e.CodecPrivate, SampleRate: 8000, Channels: 1, // the format's defaults
		BitDepth: int(min(e.Audio.BitDepth, 64)), CodecDelay: time.Duration(min(e.CodecDelay, uint64(time.Second))),
	}
	if e.DefaultDuration < uint64(time.Hour) {
		t.duration = time.Duration(e.DefaultDuration)
	}
	if rate := e.Audio.SamplingFrequency; rate != 0 {
		t.sound.SampleRate = rate
	}
	if channels := e.Audio.Channels; channels != 0 {
		t.sound.Channels = int(min(channels, 64))
	}
	for i, each := range e.ContentEncodings.ContentEncoding {
		if c := each.ContentCompression; c != nil {
			t.encoding = encoding{algorithm: c.ContentCompAlgo + 1, prefix: c.ContentCompSettings}
		}
		switch _, err := t.encoding.decode(nil); {
		case each.ContentEncryption != nil:
			t.unreadable = "encrypted"
		case i > 0, errors.Is(err, errEncoding):
			t.unreadable = "compressed once more by Matroska"
		}
		if each.ContentEncodingScope&scopePrivate != 0 && t.unreadable == "" {
			t.private, _ = t.encoding.decode(t.private)
			t.sound.CodecPrivate = t.private
		}
	}
	return t
}

// describe returns nil for audio that cannot be read.
func (t *matroskaTrack) describe() *Audio {
	if t.number == 0 || t.unreadable != "" {
		return nil
	}
	f, delay, ok := audio.Of(t.sound)
	if !ok {
		return nil
	}
	t.audio, t.delay = f, delay
	return &f
}

// lasts returns the duration of a frame of audio.
func (t *matroskaTrack) lasts(frame []byte) time.Duration {
	if n := t.audio.Samples(frame); n > 0 {
		return ticksToDuration(int64(n), int64(t.audio.Rate))
	}
	return t.duration
}
