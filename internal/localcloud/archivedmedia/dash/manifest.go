// Package dash owns the text of MPEG-DASH manifests, as Kinesis Video Streams needs them: ISO/IEC 23009-1, one period, a
// representation for each track. It must not know where fragments come from, nor what is in them.
package dash

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"time"
)

// The names of a session's resources, in its URLs.
const (
	Manifest      = "getDASHManifest.mpd"
	InitFragment  = "getMP4InitFragment.mp4"
	MediaFragment = "getMP4MediaFragment.mp4"
)

// ContentType of manifests.
const ContentType = "application/dash+xml"

// namespace is that of the attributes kvs:ts and kvs:fn. AWS documents the names alone.
const namespace = "urn:aws:kinesisvideo"

// Track is a track of the session.
type Track struct {
	Number        uint64
	Video         bool
	Codec         string // with its profile, as RFC 6381 has it
	Width, Height int    // of video
	FrameRate     float64
	SampleRate    int // of audio
	Channels      int
	Bandwidth     int64 // bits a second
}

// Entry is a fragment in the manifest.
type Entry struct {
	Start, Length int64     // in ticks
	Number        string    // its fragment number; "" = that is not shown
	At            time.Time // its timestamp; zero = that is not shown
}

// MPD is a manifest.
type MPD struct {
	Token     string
	Timescale int
	Tracks    []Track
	First     int // sequence number of the first entry
	Entries   []Entry
	// Live manifests get further entries.
	Live      bool
	Begins    time.Time // live: when the first fragment of the session became available
	Published time.Time // live
}

// update is how often players of live sessions load the manifest again, as the API reference recommends.
const update = time.Second

type (
	mpdElement struct {
		XMLName     xml.Name `xml:"urn:mpeg:dash:schema:mpd:2011 MPD"`
		KVS         string   `xml:"xmlns:kvs,attr,omitempty"`
		Profiles    string   `xml:"profiles,attr"`
		Type        string   `xml:"type,attr"`
		Length      string   `xml:"mediaPresentationDuration,attr,omitempty"`
		Begins      string   `xml:"availabilityStartTime,attr,omitempty"`
		Published   string   `xml:"publishTime,attr,omitempty"`
		Update      string   `xml:"minimumUpdatePeriod,attr,omitempty"`
		Depth       string   `xml:"timeShiftBufferDepth,attr,omitempty"`
		MaxSegment  string   `xml:"maxSegmentDuration,attr"`
		Buffer      string   `xml:"minBufferTime,attr"`
		PeriodStart period   `xml:"Period"`
	}
	period struct {
		ID    string          `xml:"id,attr"`
		Start string          `xml:"start,attr"`
		Sets  []adaptationSet `xml:"AdaptationSet"`
	}
	adaptationSet struct {
		ID             string         `xml:"id,attr"`
		Content        string         `xml:"contentType,attr"`
		Type           string         `xml:"mimeType,attr"`
		Aligned        string         `xml:"segmentAlignment,attr"`
		StartsWithSAP  string         `xml:"startWithSAP,attr"`
		Representation representation `xml:"Representation"`
	}
	representation struct {
		ID         string   `xml:"id,attr"`
		Codecs     string   `xml:"codecs,attr"`
		Bandwidth  int64    `xml:"bandwidth,attr"`
		Width      int      `xml:"width,attr,omitempty"`
		Height     int      `xml:"height,attr,omitempty"`
		FrameRate  string   `xml:"frameRate,attr,omitempty"`
		SampleRate int      `xml:"audioSamplingRate,attr,omitempty"`
		Channels   *scheme  `xml:"AudioChannelConfiguration"`
		Template   template `xml:"SegmentTemplate"`
	}
	scheme struct {
		ID    string `xml:"schemeIdUri,attr"`
		Value int    `xml:"value,attr"`
	}
	template struct {
		Timescale   int    `xml:"timescale,attr"`
		Init        string `xml:"initialization,attr"`
		Media       string `xml:"media,attr"`
		StartNumber int    `xml:"startNumber,attr"`
		Timeline    []s    `xml:"SegmentTimeline>S"`
	}
	s struct {
		Start  int64  `xml:"t,attr"`
		Length int64  `xml:"d,attr"`
		At     string `xml:"kvs:ts,attr,omitempty"`
		Number string `xml:"kvs:fn,attr,omitempty"`
	}
)

// channels is the scheme in which the number of channels is given.
const channels = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"

// String is the text of the manifest.
func (m MPD) String() string {
	e := mpdElement{
		Profiles: "urn:mpeg:dash:profile:isoff-live:2011", Type: "static", Buffer: m.duration(m.longest()), MaxSegment: m.duration(m.longest()),
		PeriodStart: period{ID: "0", Start: "PT0S"},
	}
	end, first := int64(0), int64(0)
	if n := len(m.Entries); n > 0 {
		first, end = m.Entries[0].Start, m.Entries[n-1].Start+m.Entries[n-1].Length
		if m.Entries[0].Number != "" || !m.Entries[0].At.IsZero() {
			e.KVS = namespace
		}
	}
	if m.Live {
		e.Type, e.Begins, e.Published = "dynamic", dateTime(m.Begins), dateTime(m.Published)
		e.Update, e.Depth = seconds(update.Seconds()), m.duration(end-first)
	} else {
		e.Length = m.duration(end)
	}
	for _, t := range m.Tracks {
		e.PeriodStart.Sets = append(e.PeriodStart.Sets, m.set(t))
	}
	text, _ := xml.MarshalIndent(e, "", "  ") // texts and numbers always marshal
	return xml.Header + string(text) + "\n"
}

func (m MPD) set(t Track) adaptationSet {
	resource := func(name, number string) string {
		return fmt.Sprintf("%s?SessionToken=%s&TrackNumber=%d&SequenceNumber=%s", name, m.Token, t.Number, number)
	}
	r := representation{
		ID: fmt.Sprint(t.Number), Codecs: t.Codec, Bandwidth: t.Bandwidth,
		Template: template{Timescale: m.Timescale, Init: resource(InitFragment, "0"), Media: resource(MediaFragment, "$Number$"),
			StartNumber: m.First},
	}
	set := adaptationSet{ID: r.ID, Content: "audio", Type: "audio/mp4", Aligned: "true", StartsWithSAP: "1"}
	if t.Video {
		set.Content, set.Type = "video", "video/mp4"
		r.Width, r.Height, r.FrameRate = t.Width, t.Height, frameRate(t.FrameRate)
	} else {
		r.SampleRate, r.Channels = t.SampleRate, &scheme{channels, t.Channels}
	}
	for _, entry := range m.Entries {
		one := s{Start: entry.Start, Length: entry.Length, Number: entry.Number}
		if !entry.At.IsZero() {
			one.At = dateTime(entry.At)
		}
		r.Template.Timeline = append(r.Template.Timeline, one)
	}
	set.Representation = r
	return set
}

// frameRate is a rate as manifests have it: a whole number, or a fraction; "" = not known.
func frameRate(perSecond float64) string {
	if perSecond <= 0 {
		return ""
	}
	if whole := math.Round(perSecond); math.Abs(perSecond-whole) < 0.01 {
		return fmt.Sprintf("%.0f", whole)
	}
	return fmt.Sprintf("%.0f/1000", perSecond*1000)
}

// longest is the length of the longest entry, in ticks, at least a second.
func (m MPD) longest() int64 {
	longest := int64(m.Timescale)
	for _, e := range m.Entries {
		longest = max(longest, e.Length)
	}
	return longest
}

func (m MPD) duration(ticks int64) string { return seconds(float64(ticks) / float64(m.Timescale)) }

// dateTime is a time as XML Schema has it.
func dateTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// seconds is a length of time as XML Schema has it, rounded up to a millisecond.
func seconds(n float64) string {
	return "PT" + strconv.FormatFloat(math.Ceil(n*1000-1e-6)/1000, 'f', -1, 64) + "S"
}
