package archivedmedia

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/dash"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// timestampRange is a range of times, both of whose ends belong to it.
type timestampRange struct{ StartTimestamp, EndTimestamp *awsapi.Epoch }

// selector says which fragments a session has.
type selector struct {
	FragmentSelectorType string
	TimestampRange       *timestampRange
}

// hlsRequest is the body of GetHLSStreamingSessionURL (API reference).
type hlsRequest struct {
	StreamName, StreamARN                                        string
	PlaybackMode                                                 string
	HLSFragmentSelector                                          *selector
	ContainerFormat, DiscontinuityMode, DisplayFragmentTimestamp string
	Expires, MaxMediaPlaylistFragmentResults                     int
}

type hlsAnswer struct{ HLSStreamingSessionURL string }

func (s *Service) getHLSStreamingSessionURL(body []byte) ([]byte, error) {
	var in hlsRequest
	operation := kvsmodel.GetHLSStreamingSessionURL
	if err := operation.Decode(body, &in); err != nil {
		return nil, err
	}
	now := s.o.Now()
	of, err := in.session(now)
	if err != nil {
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
	return json.Marshal(hlsAnswer{url})
}

// url begins a session.
func (s *Service) url(of session, info media.StreamInfo, now time.Time) (string, error) {
	of.Stream = info.ARN
	stored := s.retained(info, now)
	if err := of.begin(stored, now); err != nil {
		return "", err
	}
	tracks, err := s.tracks(stored, of.First)
	if err == nil {
		err = tracks.PlayedBy(of.use())
	}
	if err != nil {
		return "", err
	}
	root := hlsPath + hls.MasterPlaylist
	if of.DASH {
		root = dashPath + dash.Manifest
	}
	return s.o.Endpoint() + root + "?SessionToken=" + s.token(of), nil
}

// The limits of sessions (API reference).
const (
	longestSession = 12 * time.Hour
	mostFragments  = 5000
)

// PlaybackURL begins a session with the newest day of a stream, up to the limits of sessions, and returns its URL.
func (s *Service) PlaybackURL(stream string) (string, error) {
	info, found := s.o.Streams.Stream(stream)
	if !found {
		return "", fmt.Errorf("there is no stream %s", stream)
	}
	now := s.o.Now()
	of := session{Created: now.UnixMilli(), Expires: now.Add(longestSession).UnixMilli(), Mode: modeOnDemand, By: byProducer,
		Gaps: onDiscontinuity, Dates: true, Max: mostFragments}
	stored := s.retained(info, now)
	if len(stored) == 0 {
		return "", fmt.Errorf("there is no media of stream %s", stream)
	}
	of.Last = stored[len(stored)-1].Number
	list := of.archived(stored)
	newest := list[len(list)-1].Producer
	of.Start, of.End = newest.Add(-longestRange).UnixMilli(), newest.UnixMilli()
	if n := len(list) - mostFragments; n > 0 {
		of.Start = max(of.Start, list[n].Producer.UnixMilli())
	}
	return s.url(of, info, now)
}

// The values of members that are left out (API reference).
const (
	defaultExpires  = 300
	defaultLive     = 5
	defaultOnDemand = 1000
)

// session is what the request asks for.
func (in hlsRequest) session(now time.Time) (session, error) {
	of := newSession(in.PlaybackMode, in.Expires, in.MaxMediaPlaylistFragmentResults, now)
	of.TS, of.Gaps, of.Dates = in.ContainerFormat == inMPEGTS, in.DiscontinuityMode, in.DisplayFragmentTimestamp == always
	err := of.choose(in.HLSFragmentSelector, "member HLSFragmentSelector", now)
	if of.Gaps == "" {
		of.Gaps = always
		if of.By == byProducer {
			of.Gaps = never
		}
	}
	return of, err
}

// newSession is one that begins now, with the values of members that are left out.
func newSession(mode string, expires, most int, now time.Time) session {
	of := session{
		Created: now.UnixMilli(), Mode: cmp.Or(mode, modeLive), By: byServer, Max: most,
		Expires: now.Add(time.Duration(cmp.Or(expires, defaultExpires)) * time.Second).UnixMilli(),
	}
	if of.Max == 0 {
		of.Max = defaultLive
		if of.Mode == modeOnDemand {
			of.Max = defaultOnDemand
		}
	}
	return of
}

// choose takes the timestamps that count and the range.
func (of *session) choose(f *selector, where string, now time.Time) error {
	var given *timestampRange
	if f != nil {
		of.By, given = cmp.Or(f.FragmentSelectorType, byServer), f.TimestampRange
		if of.Mode != modeLive && f.FragmentSelectorType == "" {
			return invalid(where+".FragmentSelectorType", "FragmentSelectorType is required if PlaybackMode is %s", of.Mode)
		}
	}
	return of.setRange(given, where+".TimestampRange", now)
}

// longestRange is how far apart the ends of a range may be (API reference, EndTimestamp).
const longestRange = 24 * time.Hour

// setRange checks the range of a session and takes it.
func (of *session) setRange(given *timestampRange, where string, now time.Time) error {
	switch {
	case of.Mode == modeLive && given != nil:
		return invalid(where, "TimestampRange must not be given if PlaybackMode is LIVE")
	case of.Mode == modeLive:
		return nil
	case given == nil:
		return invalid(where, "TimestampRange is required if PlaybackMode is %s", of.Mode)
	case given.StartTimestamp == nil:
		return invalid(where+".StartTimestamp", "StartTimestamp is required in a TimestampRange")
	case given.EndTimestamp == nil && of.Mode == modeOnDemand:
		return invalid(where+".EndTimestamp", "EndTimestamp is required if PlaybackMode is ON_DEMAND")
	}
	of.Start = given.StartTimestamp.UnixMilli()
	if given.EndTimestamp == nil {
		return nil
	}
	end := given.EndTimestamp.Time
	switch of.End = end.UnixMilli(); {
	case of.End <= of.Start:
		return invalid(where, "EndTimestamp must be later than StartTimestamp")
	case end.Sub(given.StartTimestamp.Time) > longestRange:
		return invalid(where, "EndTimestamp must be within 24 hours of StartTimestamp")
	case of.By == byServer && end.After(now):
		return invalid(where+".EndTimestamp", "EndTimestamp must be in the past if FragmentSelectorType is SERVER_TIMESTAMP")
	}
	return nil
}

// begin finds where a session begins in what is stored.
func (of *session) begin(stored []Fragment, now time.Time) error {
	if len(stored) == 0 {
		return noFragments("the stream", "it has none")
	}
	newest := stored[len(stored)-1]
	of.Since, of.Last = stored[0].Server.UnixMilli(), newest.Number
	list := of.live(stored)
	switch {
	case of.Mode != modeLive:
		if list = of.archived(stored); len(list) == 0 {
			return noFragments("the TimestampRange", "none starts within the range")
		}
	case now.Sub(newest.Server) > liveWindow:
		return noFragments("the stream", "none arrived in the last 30 seconds")
	default:
		list = list[max(0, len(list)-of.Max):]
	}
	of.First, of.Zero = list[0].Number, of.at(list[0]).UnixMilli()
	for _, length := range list.lengths()[:min(of.Max, len(list))] {
		of.Shown += length.Milliseconds()
	}
	return nil
}

// tracks reads those of a fragment, which must be stored.
func (s *Service) tracks(stored []Fragment, number string) (playable.Tracks, error) {
	files := s.o.Store.Reader()
	defer files.Close()
	for _, f := range stored {
		if f.Number != number {
			continue
		}
		if err := files.Open(f); err != nil {
			return nil, err
		}
		return playable.TracksOf(files.Header())
	}
	return nil, noFragments("the session", "its first one is no longer retained")
}
