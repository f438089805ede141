package sdp

import (
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

// Choice is the part of a description that is played.
type Choice struct {
	Video *Chosen // nil: there is none that can be played
	Audio *Chosen
	// OtherVideo and OtherAudio name the codecs of tracks that cannot be played, for people. They include neither talk-back tracks nor
	// further tracks besides the chosen ones.
	OtherVideo, OtherAudio []string
	// MoreVideo and MoreAudio name the further tracks besides the chosen ones, for people; "" is none.
	MoreVideo, MoreAudio string
}

// Chosen is a track that is played.
type Chosen struct {
	Track
	Format          // the first that can be played
	Others []Format // others of the same track that can be played, too
}

// Formats returns all that can be played.
func (c Chosen) Formats() []Format { return append([]Format{c.Format}, c.Others...) }

// playsVideo reports whether the format is video that can be played.
func (f Format) playsVideo() bool { return f.Codec == H264 || f.Codec == H265 }

// playsAudio reports whether the format is audio that can be recorded.
func (f Format) playsAudio() bool {
	_, ok := f.Sound()
	return ok
}

// Choose returns the first video that can be played, as cameras list the requested one first, and an audio:
// of several tracks the first of those that Kinesis Video Streams supports best.
func (d Description) Choose() Choice {
	var c Choice
	back := "sendonly" // a talk-back track to the camera, as in ONVIF
	c.Video, c.OtherVideo = d.pick("video", back, Format.playsVideo)
	if c.Video == nil { // a camera that states directions from its own side
		if c.Video, _ = d.pick("video", "recvonly", Format.playsVideo); c.Video != nil {
			back = "recvonly"
		}
	}
	if c.Video == nil {
		if c.Video = d.pickMultiplex(); c.Video != nil { // its audio is in it
			c.OtherVideo = nil
			return c
		}
	}
	c.Audio, c.OtherAudio = d.pick("audio", back, Format.playsAudio)
	for _, t := range d.Tracks {
		better := Description{Tracks: []Track{t}}
		if next, _ := better.pick("audio", back, Format.playsAudio); next != nil && next.upload() > c.Audio.upload() {
			c.Audio = next
		}
	}
	c.MoreVideo, c.MoreAudio = d.leftOut("video", back, c.Video), d.leftOut("audio", back, c.Audio)
	return c
}

// upload returns how the audio is uploaded; of a track it is that of the first format, which a camera sends.
func (c *Chosen) upload() audio.Upload {
	s, _ := c.Sound()
	return s.Upload()
}

// pick returns the first track of a kind that has a playable format and not the direction back, and the names
// of the codecs that it skipped.
func (d Description) pick(kind, back string, plays func(Format) bool) (chosen *Chosen, others []string) {
	for _, t := range d.Tracks {
		if t.Kind != kind && (t.Kind == "video" || t.Kind == "audio") || t.Direction == back {
			continue
		}
		for _, f := range t.Formats {
			switch {
			case plays(f):
				return t.chosen(f), others
			case t.Kind == kind && !audio.Signals(f.Codec) && !slices.Contains(others, f.Name()):
				others = append(others, f.Name())
			}
		}
	}
	return nil, others
}

func (t Track) chosen(first Format) *Chosen {
	c := &Chosen{Track: t, Format: first}
	for _, f := range t.Formats {
		video := first.playsVideo() && f.playsVideo()
		if (f.Codec == first.Codec || video) && f.PayloadType != first.PayloadType {
			c.Others = append(c.Others, f)
		}
	}
	return c
}

// pickMultiplex returns the first transport stream, whatever the kind of its track.
func (d Description) pickMultiplex() *Chosen {
	for _, t := range d.Tracks {
		for _, f := range t.Formats {
			if f.Codec == MPEGTS {
				return t.chosen(f)
			}
		}
	}
	return nil
}

// SameStream reports whether packets of one format can follow those of another.
func (f Format) SameStream(other Format) bool {
	sets := f.ParameterSets()
	return f.Codec == other.Codec && f.Clock == other.Clock && f.Interleaving() == other.Interleaving() &&
		(len(sets) == 0 || slices.EqualFunc(sets, other.ParameterSets(), slices.Equal[[]byte]))
}
