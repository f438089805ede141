package mediafile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mpegts"
)

const (
	// maxProbe is how far into a file tracks are searched for, in bytes, and maxVideo how far if the tables have no video.
	maxProbe = 32 << 20
	maxVideo = 2 << 20
	// maxOpening is how much video is held while audio is searched for.
	maxOpening = 5 * time.Second
	// maxStep is the largest step between two times. Concatenated files restart elsewhere.
	maxStep = 10 * time.Second
)

// ts reads an MPEG transport stream. It implements mpegts.Handler.
type ts struct {
	r       io.Reader
	demuxer *mpegts.Demuxer
	chunk   [32 << 10]byte
	read    int
	ended   bool
	tracks  mpegts.Tracks
	file    *File

	queue   []Frame
	taken   int // from the queue
	damaged int // frames before the next one

	started bool
	raw     int64         // time of the last frame of video
	at      time.Duration // the same, without wraps
}

func openTS(r io.Reader) (*File, error) {
	s := &ts{r: r, file: &File{}}
	s.demuxer = mpegts.NewDemuxer(s, maxFrame)
	for !s.known() {
		if err := s.more(); err != nil {
			return nil, err
		}
	}
	t := s.tracks
	switch {
	case t.Scrambled:
		return nil, &CodecError{"scrambled"}
	case t.Video == "" && len(t.Others) > 0:
		return nil, &CodecError{strings.Join(t.Others, " and ")}
	case t.Video == "":
		return nil, ErrNoVideo
	}
	s.file.Video.Codec = t.Video
	s.file.Audio = t.Audio
	s.file.next = s.next
	return s.file, nil
}

// known reports whether the tracks are known, or the search for them is over.
func (s *ts) known() bool {
	switch {
	case s.ended, s.read >= maxProbe, s.tracks.Scrambled:
		return true
	case s.tracks.Video == "":
		return s.tracks.Settled && s.read >= maxVideo
	}
	return s.tracks.Settled || len(s.queue) > 0 && s.queue[len(s.queue)-1].At-s.queue[0].At > maxOpening
}

// more reads more of the file.
func (s *ts) more() error {
	n, err := s.r.Read(s.chunk[:])
	s.read += n
	if huge := s.demuxer.Write(s.chunk[:n]); huge != nil {
		return broken("%w", huge)
	}
	if errors.Is(err, io.EOF) {
		s.ended = true
		s.demuxer.End()
		return nil
	}
	return err
}

// Tracks implements mpegts.Handler.
func (s *ts) Tracks(t mpegts.Tracks) {
	if s.file.next == nil && (t.Video != s.tracks.Video || t.PID != s.tracks.PID) {
		s.queue, s.started = nil, false // of a program that was not chosen
	}
	s.tracks = t
}

// AccessUnit implements mpegts.Handler.
func (s *ts) AccessUnit(u mpegts.AccessUnit) {
	if u.Torn {
		s.damaged++
		return
	}
	if u.Missing > 0 {
		s.damaged = max(s.damaged, 1)
	}
	if opened := s.file.next != nil; opened && s.tracks.Video != s.file.Video.Codec {
		return
	}
	step := s.step(u.At)
	if step > maxStep || step < -maxStep {
		step = time.Second / 25
	}
	s.at, s.raw, s.started = s.at+step, u.At, true
	f := Frame{At: s.at, Lost: s.damaged}
	s.damaged = 0
	for _, nal := range u.NALUs {
		f.NALUs = append(f.NALUs, bytes.Clone(nal))
	}
	s.queue = append(s.queue, f)
}

// step is the distance from the last frame of video.
func (s *ts) step(raw int64) time.Duration {
	if !s.started {
		return 0
	}
	return ticksToDuration(mpegts.TimeStep(s.raw, raw), mpegts.Clock)
}

// AudioFrame implements mpegts.Handler. Its times are relative to those of the video.
func (s *ts) AudioFrame(data []byte, at int64) {
	step := s.step(at)
	known := s.file.Audio
	other := known != nil && s.tracks.Audio != nil && !mpegts.SameFormat(*known, *s.tracks.Audio)
	if !s.started || step > maxStep || step < -maxStep || s.file.next != nil && known == nil || other {
		return
	}
	s.queue = append(s.queue, Frame{Audio: true, At: s.at + step, Data: bytes.Clone(data)})
}

func (s *ts) next() (Frame, error) {
	for s.taken == len(s.queue) {
		s.queue, s.taken = s.queue[:0], 0
		if s.ended {
			return Frame{}, io.EOF
		}
		if err := s.more(); err != nil {
			return Frame{}, err
		}
	}
	f := s.queue[s.taken]
	s.taken++
	return f, nil
}
