package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/mediafile"
)

const (
	// maxFilm bounds the video of a film, which is kept in memory: 17 minutes of 4 Mbit/s.
	maxFilm = 512 << 20
	// filmFPS is the rate of a film that does not say it.
	filmFPS = 25
)

// film is the video of a file as the fake camera takes it.
type film struct {
	annexB []byte
	h265   bool
	fps    float64
}

// readFilm reads a file of --file.
func readFilm(path string) (*film, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the film: %w", err)
	}
	defer func() { _ = file.Close() }()
	media, err := mediafile.Open(file)
	var f *film
	switch {
	case errors.Is(err, mediafile.ErrContainer):
		f, err = readAnnexB(file)
	case err == nil:
		f, err = readContainer(media)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be played: %w", path, err)
	}
	return f, nil
}

var (
	errFilmSize    = errors.New("it has more than 512 MB of video, which would not fit into memory")
	errFilmOrder   = errors.New("it has B-frames, which cannot be sent: make a film without them by `ffmpeg -i FILE -bf 0 OUT.mp4`")
	errFilmUnknown = errors.New("it is neither MP4, MOV, Matroska nor MPEG-TS, nor Annex B of H.264 or H.265")
	errFilmEmpty   = errors.New("it has no video that begins with parameter sets and a keyframe")
)

// readAnnexB reads a film without a container.
func readAnnexB(file io.ReadSeeker) (*film, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFilm+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFilm {
		return nil, errFilmSize
	}
	if !bytes.HasPrefix(data, []byte{0, 0, 1}) && !bytes.HasPrefix(data, []byte{0, 0, 0, 1}) {
		return nil, errFilmUnknown
	}
	h265, found := fakecam.FilmIsH265(data)
	if !found {
		return nil, errFilmUnknown
	}
	if fakecam.FilmReorders(data, h265) {
		return nil, errFilmOrder
	}
	return &film{data, h265, filmFPS}, nil
}

// readContainer reads the video of a file in a container. The camera sends pictures at a steady pace:
// it is the mean one of the file.
func readContainer(media *mediafile.File) (*film, error) {
	f := &film{h265: media.Video.Codec == mediafile.H265, fps: filmFPS}
	var first, last time.Duration
	pictures := 0
	for {
		frame, err := media.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if frame.Audio {
			continue
		}
		if pictures == 0 {
			first = frame.At
		} else if frame.At < last {
			return nil, errFilmOrder
		}
		last = frame.At
		pictures++
		f.add(frame.NALUs, media.Video.Sets)
		if len(f.annexB) > maxFilm {
			return nil, errFilmSize
		}
	}
	if pictures == 0 {
		return nil, errFilmEmpty
	}
	if last > first {
		f.fps = float64(pictures-1) / (last - first).Seconds()
		if whole := math.Round(f.fps); math.Abs(f.fps-whole) < 0.05 { // times are rounded to ms in Matroska
			f.fps = whole
		}
	}
	return f, nil
}

// add adds a picture, with the parameter sets of the file before a keyframe that has none.
func (f *film) add(nalus, sets [][]byte) {
	key, own := false, false
	for _, nalu := range nalus {
		if len(nalu) == 0 {
			continue
		}
		kind := nalu[0] & 0x1f
		if f.h265 {
			kind = nalu[0] >> 1 & 0x3f
			key = key || kind >= 16 && kind <= 23 // IRAP pictures (H.265, table 7-1)
			own = own || kind == 33               // a sequence parameter set
			continue
		}
		key = key || kind == 5 // an IDR picture (H.264, table 7-1)
		own = own || kind == 7 // a sequence parameter set
	}
	if (key || len(f.annexB) == 0) && !own {
		nalus = append(sets[:len(sets):len(sets)], nalus...)
	}
	for _, nalu := range nalus {
		f.annexB = append(append(f.annexB, 0, 0, 0, 1), nalu...)
	}
}
