package recorder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mediafile"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// loopParameter plays a file again and again.
const loopParameter = "loop"

// videoClock is the rate of the timestamps that a file's pictures get.
const videoClock = 90_000

// frameGuess is a picture's duration where the file tells of none.
const frameGuess = 40 * time.Millisecond

// errPlayed says that a file was played to its end.
var errPlayed = errors.New("the file is played")

// clip is a local media file as the source.
type clip struct {
	directory string
	path      string // within the directory
	loop      bool
	sound     bool
	now       func() time.Time // the hub's clock, with its monotonic reading
}

// parseClip reads a file:// URL. Its path is one within the media directory, or leads to it.
func parseClip(url secret.String, directory string) (clip, error) {
	u, err := neturl.Parse(url.Reveal())
	if err != nil || !strings.EqualFold(u.Scheme, "file") || u.Host != "" && u.Host != "localhost" || strings.Trim(u.Path, "/") == "" {
		return clip{}, health.UserFault(codeCamera, nil, "The configuration says FILE_URI, but the MediaURI in its secret is not the URL of a file such as file:///door.mp4: correct one of them.")
	}
	f := clip{directory: directory, path: strings.Trim(u.Path, "/"), now: time.Now}
	if absolute, err := filepath.Abs(directory); err == nil {
		if within, err := filepath.Rel(absolute, filepath.Clean(u.Path)); err == nil && filepath.IsLocal(within) {
			f.path = within
		}
	}
	switch loop := u.Query().Get(loopParameter); strings.ToLower(loop) {
	case "", "false":
	case "true":
		f.loop = true
	default:
		return clip{}, health.UserFault(codeCamera, nil, "The parameter loop of the MediaURI in the secret must be true or false: correct it.")
	}
	return f, nil
}

// name is what of the path is shown.
func (f clip) name() string { return filepath.Base(f.path) }

// open opens the file and reads its header. Links may lead to where they like in the directory.
func (f clip) open() (*os.File, *mediafile.File, error) {
	root, err := os.OpenRoot(f.directory)
	if err != nil {
		return nil, nil, health.UserFault(codeCamera, err, "The media directory %s cannot be opened: create it, or correct AWS_KVS_EDGE_MEDIA_DIRECTORY.", f.directory)
	}
	defer root.Close()
	// A pipe would keep us waiting for somebody to write into it.
	r, err := root.OpenFile(filepath.Clean(f.path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, health.UserFault(codeCamera, err, "There is no media file %s in %s: copy it there, or correct the secret's MediaURI.", f.name(), f.directory)
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, health.UserFault(codeCamera, err, "The agent may not read the media file %s: give its user the right to.", f.name())
	case err != nil:
		return nil, nil, health.UserFault(codeCamera, err, "The media file %s cannot be opened, as it must lie in %s, also behind links: move it there.", f.name(), f.directory)
	}
	info, err := r.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = r.Close()
		return nil, nil, health.UserFault(codeCamera, err, "%s in the media directory is not a file: correct the secret's MediaURI.", f.name())
	}
	m, err := mediafile.Open(r)
	if err != nil {
		_ = r.Close()
		return nil, nil, f.fault(err)
	}
	return r, m, nil
}

// fault makes a sentence of what is wrong with a file.
func (f clip) fault(err error) error {
	var codec *mediafile.CodecError
	switch {
	case errors.As(err, &codec):
		return health.UserFault(codeCamera, err, "The video in the media file %s is %s, which cannot be recorded for Kinesis Video Streams: convert it to H.264 or H.265.", f.name(), codec.Codec)
	case errors.Is(err, mediafile.ErrContainer):
		return health.UserFault(codeCamera, err, "The media file %s is neither MP4 nor Matroska nor MPEG-TS: convert it.", f.name())
	case errors.Is(err, mediafile.ErrNoVideo):
		return health.UserFault(codeCamera, err, "The media file %s has no video: choose another one.", f.name())
	case errors.Is(err, mediafile.ErrBroken):
		return health.UserFault(codeCamera, err, "The media file %s is damaged (%v): copy it again, or convert it.", f.name(), err)
	}
	return health.SystemFault(codeCamera, err, "The media file %s cannot be read: check the disk it lies on.", f.name())
}

// progress is how far a file was played.
type progress struct {
	begin  time.Time     // of the first pass
	offset time.Duration // of the present pass
	sets   [][]byte      // of the pass before; nil before the first
}

// play plays the file at its own pace, which wait keeps, and gives errPlayed at its end.
func (f clip) play(ctx context.Context, to accessunit.Sink, wait func(context.Context, time.Time) error) error {
	p := progress{begin: f.now()}
	for {
		if err := f.once(ctx, to, &p, wait); err != nil {
			return err
		}
		if !f.loop {
			return errPlayed
		}
		if behind := f.now().Sub(p.begin.Add(p.offset)); behind > time.Second { // the machine slept
			p = progress{begin: f.now()}
		}
	}
}

// once plays the file from its begin to its end.
func (f clip) once(ctx context.Context, to accessunit.Sink, p *progress, wait func(context.Context, time.Time) error) error {
	r, m, err := f.open()
	if err != nil {
		return err
	}
	defer r.Close()
	var track *accessunit.AudioTrack
	if f.sound {
		track = soundOf(m.Audio)
	}
	c := accessunit.H264
	if m.Video.Codec == mediafile.H265 {
		c = accessunit.H265
	}
	// A loop is one session, so that no time is lost between its passes.
	if sets := present(m.Video.Sets...); p.sets == nil || !slices.EqualFunc(sets, p.sets, bytes.Equal) {
		to.Begin(c, videoClock, sets, track)
		p.sets = append([][]byte{}, sets...)
	}
	var first, newest time.Duration
	pictures := 0
	for {
		frame, err := m.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f.fault(err)
		}
		if frame.Audio && (pictures == 0 || track == nil) {
			continue // video leads
		}
		if pictures == 0 {
			first = frame.At
		}
		at := p.offset + frame.At - first
		// Arrivals are computed, so that the times in the recording are the file's to the millisecond.
		due := p.begin.Add(at)
		if err := wait(ctx, due); err != nil {
			return err
		}
		now := f.now()
		due = now.Add(due.Sub(now)) // the same instant, by a clock that may have been set since
		if frame.Audio {
			to.Audio(frame.Data, ticksOf(at, track.Rate), due)
			continue
		}
		pictures++
		newest = max(newest, frame.At-first)
		to.AccessUnit(frame.NALUs, ticksOf(at, videoClock), due)
	}
	duration := frameGuess // of a picture
	switch {
	case pictures == 0:
		return f.fault(mediafile.ErrNoVideo)
	case pictures > 1 && newest > 0:
		duration = newest / time.Duration(pictures-1)
	}
	p.offset += newest + duration
	return wait(ctx, p.begin.Add(p.offset))
}

// ticksOf is a time as an RTP timestamp, rounded.
func ticksOf(at time.Duration, rate int) uint32 {
	seconds, rest := int64(at/time.Second), int64(at%time.Second)
	return uint32(seconds*int64(rate) + (rest*int64(rate)+int64(time.Second)/2)/int64(time.Second))
}

// soundOf is nil for audio that is not recorded.
func soundOf(a *mediafile.Audio) *accessunit.AudioTrack {
	if a == nil {
		return nil
	}
	switch a.Codec {
	case mediafile.MuLaw, mediafile.ALaw:
		track := accessunit.G711Track(a.Codec == mediafile.MuLaw, a.Rate, a.Channels)
		return &track
	}
	track, ok := accessunit.AACTrack(a.Config, a.Rate, a.Channels)
	if !ok {
		return nil
	}
	return &track
}

// untilDue keeps the pace.
func untilDue(ctx context.Context, due time.Time) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if wait := time.Until(due); wait > 0 {
		return backoff.Sleep(ctx, wait)
	}
	return nil
}
