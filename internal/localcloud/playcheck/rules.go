// Package playcheck owns the rules by which Kinesis Video Streams plays what was uploaded, in sessions of HLS and DASH and as clips, and
// checks stored fragments by them. It must not know who uploaded them, nor how the stand-in plays them.
// Sources: developer guide, "Video playback track requirements", "Kinesis Video Streams data model" and "Service quotas"; API
// reference, GetHLSStreamingSessionURL, GetDASHStreamingSessionURL and GetClip; ISO/IEC 14496-15 (codec private data, NAL units).
package playcheck

import (
	"bytes"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// Rule is one that each fragment has to obey.
type Rule struct {
	Name   string
	Source string // where AWS, or a standard that AWS refers to, has it
	check  func(part) error
}

// The names of the rules.
const (
	Tracks     = "tracks"
	Private    = "codec private data"
	Constant   = "constant tracks"
	FirstFrame = "keyframe first"
	Whole      = "whole frames"
	SameSets   = "parameter sets"
	Order      = "order of timestamps"
	Length     = "length"
	NoOverlap  = "no overlap"
)

// Rules is the table.
var Rules = []Rule{
	{Tracks, "developer guide, Video playback track requirements: what GetHLSStreamingSessionURL, GetDASHStreamingSessionURL and GetClip " +
		"all play", playedByAll},
	{Private, "API reference, GetHLSStreamingSessionURL, GetDASHStreamingSessionURL and GetClip: each track of each fragment has it",
		privateData},
	{Constant, "developer guide, GetDASHStreamingSessionURL and GetClip requirements: neither tracks nor codec private data change",
		constantTracks},
	{FirstFrame, "developer guide, data model: a fragment can be decoded without any other one", keyframeFirst},
	{Whole, "API reference, InvalidMediaFrameException: frames are parsed by the codec private data", wholeFrames},
	{SameSets, "ISO/IEC 14496-15, 5.3.3 and 8.3.3: parameter sets are those of the codec private data, which says what is played", sameSets},
	{Order, "RFC 9559, 10: the time of each frame; no two frames of a track share one, and no picture lies before its fragment", orderOfTimes},
	{Length, "service quotas, PutMedia: a fragment lasts 20 s at most", lengthOfFragment},
	{NoOverlap, "developer guide, playback: a session plays fragments one behind the other", noOverlap},
}

// part is a fragment with its frames, and the fragment that is played in front of it.
type part struct {
	header *strictmkv.Header
	before *strictmkv.Header // nil = there is none
	start  time.Duration     // of the fragment, since 1970
	next   time.Duration     // start of the next one; 0 = there is none
	frames []frame
}

// frame is a block, without its media.
type frame struct {
	track    *strictmkv.Track
	time     time.Duration // since 1970
	flagged  bool          // as a keyframe
	random   bool          // video: a picture with which decoding can begin
	units    int           // video
	fault    string        // of its NAL units
	foreign  string        // video: a parameter set that is not in the codec private data
	parsable bool          // video: the codec private data says how long the lengths of its NAL units are
}

func playedByAll(p part) error {
	list := p.header.Tracks
	switch {
	case len(list) == 0 || len(list) > 2:
		return fmt.Errorf("it has %d tracks, want video or audio, or one of each", len(list))
	case len(list) == 2 && (list[0].Type != strictmkv.TypeVideo || list[1].Type != strictmkv.TypeAudio):
		return fmt.Errorf("its tracks are %s and %s, want video in the first one and audio in the second", list[0].CodecID, list[1].CodecID)
	}
	for i, t := range list {
		if t.Number != uint64(i+1) {
			return fmt.Errorf("its track %d has the number %d", i+1, t.Number)
		}
		switch {
		case t.CodecID == strictmkv.CodecAVC || t.CodecID == strictmkv.CodecHEVC:
		case t.CodecID == strictmkv.CodecAAC && i == 1:
		case t.CodecID == strictmkv.CodecAAC:
			return fmt.Errorf("it has audio alone, which GetClip does not play")
		case t.CodecID == strictmkv.CodecACM:
			return fmt.Errorf("it has G.711, which HLS does not play")
		default:
			return fmt.Errorf("the codec ID of its track %d is %q", i+1, t.CodecID)
		}
	}
	return nil
}

func privateData(p part) error {
	for _, t := range p.header.Tracks {
		if t.CodecID != strictmkv.CodecAVC && t.CodecID != strictmkv.CodecHEVC && t.CodecID != strictmkv.CodecAAC {
			continue // which the rule Tracks is about
		}
		// It is read as players' sessions read it: alone, as the other tracks have a rule of their own.
		if _, err := playable.TracksOf(&strictmkv.Header{Tracks: []strictmkv.Track{t}}); err != nil {
			return err
		}
	}
	return nil
}

func constantTracks(p part) error {
	if p.before == nil {
		return nil
	}
	if was, is := len(p.before.Tracks), len(p.header.Tracks); was != is {
		return fmt.Errorf("it has %d tracks, and the fragment in front of it has %d", is, was)
	}
	for i, is := range p.header.Tracks {
		was := p.before.Tracks[i]
		switch {
		case was.Number != is.Number || was.Type != is.Type || was.CodecID != is.CodecID:
			return fmt.Errorf("its track %d is %s, and in the fragment in front of it %s", is.Number, is.CodecID, was.CodecID)
		case !bytes.Equal(was.CodecPrivate, is.CodecPrivate):
			return fmt.Errorf("the codec private data of track %d is %x, and in the fragment in front of it %x", is.Number, is.CodecPrivate,
				was.CodecPrivate)
		}
	}
	return nil
}

func keyframeFirst(p part) error {
	first := true
	for _, f := range p.frames {
		if f.track.Type != strictmkv.TypeVideo {
			continue
		}
		if first && !f.flagged {
			return fmt.Errorf("its first picture is not a keyframe")
		}
		if f.flagged && f.parsable && f.fault == "" && !f.random {
			return fmt.Errorf("the picture at %v is called a keyframe, and has no picture with which decoding can begin", f.time-p.start)
		}
		first = false
	}
	return nil
}

func wholeFrames(p part) error {
	for _, t := range p.header.Tracks {
		if !hasFrame(p.frames, t.Number) {
			return fmt.Errorf("it has no frame of track %d", t.Number)
		}
	}
	for _, f := range p.frames {
		if f.fault != "" {
			return fmt.Errorf("the frame at %v of track %d %s", f.time-p.start, f.track.Number, f.fault)
		}
	}
	return nil
}

func hasFrame(frames []frame, track uint64) bool {
	for _, f := range frames {
		if f.track.Number == track {
			return true
		}
	}
	return false
}

func sameSets(p part) error {
	for _, f := range p.frames {
		if f.foreign != "" {
			return fmt.Errorf("the picture at %v has %s that is not in the codec private data", f.time-p.start, f.foreign)
		}
	}
	return nil
}

func orderOfTimes(p part) error {
	type key struct {
		track uint64
		time  time.Duration
	}
	seen := map[key]bool{}
	last := map[uint64]time.Duration{}
	for _, f := range p.frames {
		at := key{f.track.Number, f.time}
		was, any := last[f.track.Number]
		switch {
		case seen[at]:
			return fmt.Errorf("two frames of track %d are at %v", f.track.Number, f.time-p.start)
		case f.track.Type == strictmkv.TypeAudio && any && f.time < was:
			return fmt.Errorf("the audio at %v follows that at %v", f.time-p.start, was-p.start)
		case f.track.Type == strictmkv.TypeVideo && f.time < p.start:
			return fmt.Errorf("a picture lies %v before its fragment", p.start-f.time)
		}
		seen[at], last[f.track.Number] = true, f.time
	}
	return nil
}

// longest is how long a fragment may be.
const longest = 20 * time.Second

func lengthOfFragment(p part) error {
	if latest := latest(p); latest-p.start > longest {
		return fmt.Errorf("its last frame begins after %v", latest-p.start)
	}
	return nil
}

func noOverlap(p part) error {
	if latest := latest(p); p.next != 0 && latest >= p.next {
		return fmt.Errorf("its last picture is at %v, and the next fragment begins at %v", latest-p.start, p.next-p.start)
	}
	return nil
}

// latest is when the last picture begins, or where there is none the last frame.
func latest(p part) (at time.Duration) {
	video := false
	for _, f := range p.frames {
		switch is := f.track.Type == strictmkv.TypeVideo; {
		case is && !video:
			at, video = f.time, true
		case is == video:
			at = max(at, f.time)
		}
	}
	return at
}
