// Package mediafile reads media files of other programs: Matroska, MP4 (plain and
// fragmented), MOV and MPEG-TS. It knows neither how a frame is used, nor when it is due. Files
// may be damaged: what a header announces is not trusted before it has been read.
package mediafile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

// The codecs of video that can be read.
const (
	H264 = "H.264"
	H265 = "H.265"
)

// AAC is the audio codec of most files.
const AAC = audio.AAC

const (
	// maxFrame bounds a frame: a keyframe of a 4K camera has 1 to 5 MB.
	maxFrame = 16 << 20
	// maxHeader bounds the description of a file: the tables of a day's MP4 have some 40 MB.
	maxHeader = 128 << 20
)

// The errors of Open and Next, in addition to *CodecError and the reader's.
var (
	// ErrContainer: the file does not have one of these containers.
	ErrContainer = errors.New("neither Matroska nor MP4 nor MPEG-TS")
	// ErrNoVideo: the file has no video.
	ErrNoVideo = errors.New("no video track")
	// ErrBroken: the file violates its container's format.
	ErrBroken = errors.New("the file is damaged")
)

// errDamaged: a frame cannot be read, though others can.
var errDamaged = fmt.Errorf("%w: a frame is not as its header says", ErrBroken)

// errSkipped: a frame of audio cannot be read, though others can.
var errSkipped = fmt.Errorf("%w: a frame of audio is not as its header says", ErrBroken)

// CodecError: the file's video cannot be read.
type CodecError struct{ Codec string }

// Error names the codec.
func (e *CodecError) Error() string { return "the video is " + e.Codec }

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBroken}, args...)...)
}

// Video describes the video track.
type Video struct {
	Codec string   // H264 or H265
	Sets  [][]byte // parameter sets of the file's header; frames may have others
}

// Audio describes the audio track.
type Audio = audio.Format

// Frame is an access unit of video, or a frame of audio.
type Frame struct {
	Audio bool
	At    time.Duration // of presentation, by the file's clock
	NALUs [][]byte      // of video
	Data  []byte        // of audio
	Lost  int           // frames of video that are missing or damaged before it
}

// File is an open media file. One goroutine uses it at a time.
type File struct {
	Video Video
	// Audio is nil when there is none that can be read.
	Audio *Audio
	next  func() (Frame, error)
	lost  int // frames since the last one
}

// Next returns the next frame, video in decode order, or io.EOF. It is valid until the next call.
func (f *File) Next() (Frame, error) {
	for {
		frame, err := f.next()
		switch {
		case errors.Is(err, errDamaged):
			f.lost++
			continue
		case errors.Is(err, errSkipped):
			continue
		case err == nil && !frame.Audio:
			frame.Lost += f.lost
			f.lost = 0
		}
		return frame, err
	}
}

// splitLengths splits NAL units that have their lengths before them.
func splitLengths(nalus [][]byte, data []byte, lengthSize int) ([][]byte, error) {
	for len(data) > 0 {
		if len(data) < lengthSize {
			return nil, errDamaged
		}
		size := 0
		for _, b := range data[:lengthSize] {
			size = size<<8 | int(b)
		}
		if data = data[lengthSize:]; size > len(data) {
			return nil, errDamaged
		}
		if size > 0 {
			nalus = append(nalus, data[:size])
		}
		data = data[size:]
	}
	return nalus, nil
}

// ticksToDuration is exact for years of ticks.
func ticksToDuration(ticks, rate int64) time.Duration {
	return time.Duration(ticks/rate)*time.Second + time.Duration(ticks%rate)*time.Second/time.Duration(rate)
}

// endOf returns io.EOF for the end of a file, even within an element.
func endOf(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// plain makes a name from a file fit for a sentence.
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
