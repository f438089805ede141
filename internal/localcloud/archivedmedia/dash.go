package archivedmedia

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/dash"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// dashRequest is the body of GetDASHStreamingSessionURL (API reference).
type dashRequest struct {
	StreamName, StreamARN                           string
	PlaybackMode                                    string
	DASHFragmentSelector                            *selector
	DisplayFragmentTimestamp, DisplayFragmentNumber string
	Expires, MaxManifestFragmentResults             int
}

type dashAnswer struct{ DASHStreamingSessionURL string }

func (s *Service) getDASHStreamingSessionURL(body []byte) ([]byte, error) {
	var in dashRequest
	operation := kvsmodel.GetDASHStreamingSessionURL
	if err := operation.Decode(body, &in); err != nil {
		return nil, err
	}
	now := s.o.Now()
	of := newSession(in.PlaybackMode, in.Expires, in.MaxManifestFragmentResults, now)
	of.DASH, of.Dates, of.Numbers = true, in.DisplayFragmentTimestamp == always, in.DisplayFragmentNumber == always
	if err := of.choose(in.DASHFragmentSelector, "member DASHFragmentSelector", now); err != nil {
		return nil, err
	}
	info, err := s.stream(operation, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	url, err := s.url(of, info, now)
	if err != nil {
		return nil, err
	}
	return json.Marshal(dashAnswer{url})
}

// firstSequence is the sequence number of a session's first fragment.
const firstSequence = 1

// inSequence finds a fragment that is or was shown, by its sequence number; -1 = there is none.
func (w window) inSequence(number string) int {
	n, err := strconv.Atoi(number)
	if at := n - firstSequence; err == nil && at >= 0 && at < w.to {
		return at
	}
	return -1
}

// start is when a fragment begins in a session of DASH, whose timeline has no gaps: right behind those in front of it.
func (w window) start(at int) (after time.Duration) {
	for _, length := range w.lengths[:at] {
		after += length
	}
	return after
}

// manifest is the root of a session of DASH.
func (p *play) manifest() ([]byte, error) {
	tracks, err := p.tracks()
	if err != nil {
		return nil, err
	}
	w, err := p.window()
	if err != nil {
		return nil, err
	}
	m := dash.MPD{
		Token: p.token, Timescale: playable.Timescale, First: w.from + firstSequence, Live: !w.ended, Published: p.service.o.Now(),
		Begins: time.UnixMilli(p.session.Created - p.session.Shown),
	}
	for i := range tracks {
		m.Tracks = append(m.Tracks, trackOf(&tracks[i], w))
	}
	after := w.start(w.from)
	for i := w.from; i < w.to; i++ {
		start := playable.Ticks(after)
		after += w.lengths[i]
		e := dash.Entry{Start: start, Length: playable.Ticks(after) - start}
		if p.session.Numbers {
			e.Number = w.all[i].Number
		}
		if p.session.Dates {
			e.At = p.session.at(w.all[i])
		}
		m.Entries = append(m.Entries, e)
	}
	return []byte(m.String()), nil
}

// trackOf describes a track. What is stored does not say how the bytes of a fragment are divided: video has nearly all.
func trackOf(t *playable.Track, w window) dash.Track {
	out := dash.Track{Number: t.Number, Video: t.Video, Codec: t.Name, Width: t.Width, Height: t.Height}
	switch codec := t.Codec.(type) {
	case *mp4.CodecMPEG4Audio:
		out.SampleRate, out.Channels, out.Bandwidth = codec.Config.SampleRate, codec.Config.ChannelCount, min(audioBandwidth, w.bandwidth())
	case *mp4.CodecLPCM: // G.711 has 8 bits
		out.SampleRate, out.Channels, out.Bandwidth = codec.SampleRate, codec.ChannelCount, int64(8*codec.SampleRate*codec.ChannelCount)
	default:
		out.FrameRate, out.Bandwidth = w.frameRate(), w.bandwidth()
	}
	return out
}

// audioBandwidth is what a track of AAC has at most, in bits a second: players only compare it with that of other ones.
const audioBandwidth = 320_000
