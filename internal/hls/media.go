package hls

import (
	"context"
	"errors"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/seek"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4/sample"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

const (
	// maxFrames and maxBytes bound one media segment. A GOP is mostly of a second or two; that of some cameras is of a minute.
	maxFrames = 50_000
	maxBytes  = 1 << 30
	// copyBuffer is how much of the media is in memory while it is sent.
	copyBuffer = 64 << 10
)

// Resource is what a request gets: fragmented MP4. Close it: until then its recording is not deleted.
type Resource struct {
	// Size is in bytes.
	Size int64
	// Recorded is when its first frame was recorded.
	Recorded time.Time

	head   []byte
	places []mkv.Place
	file   *segment.Reader
}

// WriteTo implements io.WriterTo. It reads the media meanwhile.
func (m *Resource) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(m.head)
	done := int64(n)
	buffer := make([]byte, copyBuffer)
	for _, p := range m.places {
		if err != nil {
			break
		}
		var copied int64
		copied, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.NewSectionReader(m.file, p.Offset, p.Size)}, buffer)
		done += copied
		if err == nil && copied < p.Size {
			err = io.ErrUnexpectedEOF
		}
	}
	return done, err
}

// Close ends the use of the recording.
func (m *Resource) Close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}

// Init returns what precedes the media of a recording: the description of its tracks. With tracks it is the one that a playlist means,
// also where that recording was deleted, as long as a later one has the same. Where the span has times, the recording has to reach into it.
func (p *Player) Init(ctx context.Context, s Span, id layout.ID, tracks string) (*Resource, error) {
	key := streams.KeyOf(s.Stream, id)
	list := p.store.SegmentsFrom(key, time.Time{}, time.Time{}, 1)
	if tracks == "" && (len(list) == 0 || list[0].Key != key) {
		return nil, gone(segment.ErrNotFound)
	}
	for _, info := range list {
		x, err := p.index(ctx, info)
		if err != nil {
			return nil, gone(err)
		}
		if !s.has(info.RecordedFrom, info.RecordedFrom, info.RecordedTo.Add(frameLength)) {
			return nil, errElsewhere
		}
		if tracks == "" || strconv.FormatUint(uint64(x.sum), 16) == tracks {
			return &Resource{Size: int64(len(x.init)), head: x.init, Recorded: p.recordedAt(info, 0)}, nil
		}
	}
	return nil, gone(segment.ErrNotFound)
}

// Part returns the media of a recording from the keyframe at start, since its first frame, up to that at end; with UntilEnd to its end.
// Where the span has times, each GOP has to reach into it.
func (p *Player) Part(ctx context.Context, s Span, id layout.ID, start, end time.Duration) (*Resource, error) {
	info, err := p.find(streams.KeyOf(s.Stream, id))
	if err != nil {
		return nil, err
	}
	return p.read(ctx, info, start, end, &reading{within: s})
}

// Keyframe returns the newest keyframe of a stream that was recorded at a time or before, by default the newest of all, as a movie of one
// frame.
func (p *Player) Keyframe(ctx context.Context, stream string, at time.Time) (*Resource, error) {
	info, x, err := p.newest(ctx, stream)
	i := 0
	switch {
	case err != nil:
		return nil, err
	case at.IsZero():
		i = len(x.points) - 1
	default:
		if info, x, err = p.recordedBefore(ctx, stream, at); err != nil {
			return nil, err
		}
		i = x.before(at.Sub(p.recordedAt(info, 0)))
	}
	m, err := p.read(ctx, info, x.points[i].Time, UntilEnd, &reading{one: true})
	if err == nil {
		m.head = append(append([]byte{}, x.init...), m.head...)
		m.Size += int64(len(x.init))
	}
	return m, err
}

// recordedBefore returns the newest recording with a keyframe at a time or before.
func (p *Player) recordedBefore(ctx context.Context, stream string, at time.Time) (segment.Info, *index, error) {
	from := p.store.NewestBefore(stream, at.Add(time.Millisecond))
	if !from.IsZero() {
		list := p.store.SegmentsFrom(segment.Before(stream), from, at.Add(time.Millisecond), maxRecordings)
		for i := len(list) - 1; i >= 0; i-- {
			x, err := p.index(ctx, list[i])
			if err != nil {
				return segment.Info{}, nil, gone(err)
			}
			if len(x.points) > 0 {
				return list[i], x, nil
			}
		}
	}
	return segment.Info{}, nil, missing("nothing that can be played was recorded up to that time")
}

// reading gathers the frames of a media segment.
type reading struct {
	one    bool // only the first keyframe
	within Span // that each GOP has to reach into

	start, end time.Duration
	audio      uint8 // the number of its track
	video      []mkv.Place
	sound      []mkv.Place
	bytes      int64
	ended      bool          // all is there
	next       time.Duration // of the keyframe behind it; 0: none
}

// read prepares a media segment.
func (p *Player) read(ctx context.Context, info segment.Info, start, end time.Duration, from *reading) (*Resource, error) {
	x, err := p.index(ctx, info)
	if err != nil {
		return nil, gone(err)
	}
	if len(x.points) == 0 {
		return nil, missing("the recording has no keyframe")
	}
	r, err := p.store.OpenSegmentWhile(ctx, info.Key)
	if err != nil {
		return nil, gone(err)
	}
	from.start, from.end = start, end
	if x.audio != nil {
		from.audio = x.audio.Number
	}
	m := &Resource{file: r}
	err = from.clusters(r, info, x.points[x.before(start)].Cluster)
	if err == nil && (len(from.video) == 0 || !from.ended && !x.finished) {
		err = missing("the recording has no complete media there: load the playlist again")
	}
	if err == nil && !from.isWithin(func(at time.Duration) time.Time { return p.recordedAt(info, at) }) {
		err = errElsewhere
	}
	if err == nil {
		m.Recorded = p.recordedAt(info, from.video[0].Time)
		err = m.layOut(info.Key, x, from)
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return m, nil
}

// clusters gathers frames from a cluster on.
func (g *reading) clusters(r *segment.Reader, info segment.Info, at int64) error {
	size := info.Bytes
	if info.State == segment.Writing {
		size = r.Synced()
		if list, _, err := r.Fragments(); err == nil && len(list) > 0 {
			last := list[len(list)-1]
			size = max(size, last.Offset+last.Size)
		}
	}
	for !g.ended {
		f, found, err := seek.Cluster(r, at, size)
		if err != nil || !found {
			return err
		}
		for place, err := range mkv.Places(r, f) {
			if err != nil && len(g.video) == 0 {
				return err
			}
			if err != nil {
				break // what cannot be read ends it
			}
			if err := g.add(place); err != nil || g.ended {
				return err
			}
		}
		at = f.Offset + f.Size
	}
	return nil
}

// isWithin reports whether each GOP that was gathered reaches into the span that was asked for.
func (g *reading) isWithin(recorded func(time.Duration) time.Time) bool {
	first, end := g.video[0].Time, g.video[len(g.video)-1].Time+frameLength // of the first GOP
	if g.next > 0 {
		end = g.next
	}
	last := first // keyframe
	for _, p := range g.video[1:] {
		if !p.Keyframe {
			continue
		}
		if last == first {
			end = p.Time
		}
		last = p.Time
	}
	return g.within.has(recorded(first), recorded(last), recorded(end))
}

// errTooLarge is the answer to a request of more than a camera sends between two keyframes.
var errTooLarge = &Refusal{Text: "that is too much for a media segment: ask for what a playlist lists"}

// add adds a frame.
func (g *reading) add(p mkv.Place) error {
	key := p.Track == 1 && p.Keyframe
	switch {
	case len(g.video) > 0 && (g.one || key && g.end >= 0 && p.Time >= g.end):
		g.ended, g.next = true, p.Time
		return nil
	case len(g.video) == 0 && !(key && p.Time >= g.start):
		return nil
	case p.Track == 1:
		g.video = append(g.video, p)
	case p.Track == g.audio && !g.one:
		g.sound = append(g.sound, p)
	default:
		return nil
	}
	g.ended = g.one
	if g.bytes += p.Size; g.bytes > maxBytes || len(g.video)+len(g.sound) > maxFrames {
		return errTooLarge
	}
	return nil
}

// layOut computes the boxes before the media.
func (m *Resource) layOut(key segment.Key, x *index, g *reading) error {
	// All times count from 1970, so that media segments fit each other without knowing of each other.
	since1970 := func(at time.Duration) time.Duration { return time.Duration(key.Start)*time.Millisecond + at }
	if key.Start < 0 || since1970(g.video[0].Time) < 0 || key.Start > math.MaxInt64/int64(2*time.Millisecond) {
		return errors.New("the recording has times that cannot be played")
	}
	next := time.Duration(0)
	if g.next > 0 {
		next = since1970(g.next)
	}
	var chunks []mp4.Chunk
	frames := make([]sample.Frame, len(g.video))
	for i, p := range g.video {
		frames[i] = sample.Frame{At: since1970(p.Time), Size: p.Size, Keyframe: p.Keyframe}
	}
	video, _ := mp4.NewTrack(videoID, x.video, false)
	track := sample.NewTrack(video, x.video)
	samples := track.VideoSamples(frames, next, segment.GapAfter)
	early := min(uint64(track.Early), samples[0].Time)
	for i := range samples { // decoded earlier rather than presented later: with negative offsets ffmpeg delays the video
		samples[i].Time -= early
		samples[i].Offset += int32(early)
	}
	chunks = append(chunks, mp4.Chunk{Track: &track.Track, Samples: samples})
	if len(g.sound) > 0 {
		sound, _ := mp4.NewTrack(audioID, *x.audio, false)
		track := sample.NewTrack(sound, *x.audio)
		frames := make([]sample.Frame, len(g.sound))
		for i, p := range g.sound {
			n, err := track.Samples(m.file, p)
			if err != nil {
				return err
			}
			frames[i] = sample.Frame{At: since1970(p.Time), Size: p.Size, Samples: n}
		}
		chunks = append(chunks, mp4.Chunk{Track: &track.Track, Samples: track.AudioSamples(frames, 0)})
	}
	const perSecond = 1000
	m.head = mp4.AppendFragment(nil, uint32(since1970(g.video[0].Time).Milliseconds()/perSecond), chunks)
	m.places = append(g.video, g.sound...)
	m.Size = int64(len(m.head)) + g.bytes
	return nil
}
