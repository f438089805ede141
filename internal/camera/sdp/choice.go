package sdp

import "slices"

// Choice is what of a description is played.
type Choice struct {
	Video *Chosen // nil: there is none that can be
	Audio *Chosen
	// OtherVideo and OtherAudio name the codecs of what cannot be played, for people. Talk-back tracks are not among them, nor
	// other tracks beside the chosen ones.
	OtherVideo, OtherAudio []string
}

// Chosen is a track that is played.
type Chosen struct {
	Track
	Format          // the first that can be played
	Others []Format // others in the same track that can be, too
}

// Formats are all that can be played.
func (c Chosen) Formats() []Format { return append([]Format{c.Format}, c.Others...) }

// video and audio are the codecs that can be played.
var (
	video = []string{H264, H265}
	audio = []string{AAC, PCMA, PCMU}
)

// Choose takes the first video that can be played, as cameras put the one they were asked for before others, and an audio.
func (d Description) Choose() Choice {
	var c Choice
	back := "sendonly" // what is to be sent to the camera, as ONVIF has it
	c.Video, c.OtherVideo = d.pick("video", back, video)
	if c.Video == nil { // a camera that speaks of what it does itself
		if c.Video, _ = d.pick("video", "recvonly", video); c.Video != nil {
			back = "recvonly"
		}
	}
	if c.Video == nil {
		if c.Video = d.pickMultiplex(); c.Video != nil { // its audio is in it
			c.OtherVideo = nil
			return c
		}
	}
	c.Audio, c.OtherAudio = d.pick("audio", back, audio)
	return c
}

// pick returns the first track of a kind that has one of the codecs and does not go in the direction back, and the names
// of the codecs that it passed over.
func (d Description) pick(kind, back string, codecs []string) (chosen *Chosen, others []string) {
	for _, t := range d.Tracks {
		if t.Kind != kind && (t.Kind == "video" || t.Kind == "audio") || t.Direction == back {
			continue
		}
		for _, f := range t.Formats {
			switch {
			case slices.Contains(codecs, f.Codec) && (f.Codec != AAC || f.playable()):
				return t.chosen(f, codecs), others
			case t.Kind == kind && !slices.Contains(others, f.Name()):
				others = append(others, f.Name())
			}
		}
	}
	return nil, others
}

// pickMultiplex takes the first transport stream, whatever the track is called.
func (d Description) pickMultiplex() *Chosen {
	for _, t := range d.Tracks {
		for _, f := range t.Formats {
			if f.Codec == MPEGTS {
				return t.chosen(f, []string{MPEGTS})
			}
		}
	}
	return nil
}

// maxChannels is how many AAC may have: no camera has more, and Kinesis Video Streams plays no more.
const maxChannels = 2

// playable reports whether AAC has a config that can be recorded.
func (f Format) playable() bool {
	config, ok := f.AAC()
	return ok && config.Channels <= maxChannels
}

func (t Track) chosen(first Format, codecs []string) *Chosen {
	c := &Chosen{Track: t, Format: first}
	for _, f := range t.Formats {
		video := f.Codec != AAC && slices.Contains(codecs, f.Codec) && t.Kind != "audio"
		if (f.Codec == first.Codec || video) && f.PayloadType != first.PayloadType {
			c.Others = append(c.Others, f)
		}
	}
	return c
}

// SameStream reports whether packets of two formats can follow each other.
func (f Format) SameStream(other Format) bool {
	return f.Codec == other.Codec && f.Clock == other.Clock && f.Interleaving() == other.Interleaving() &&
		slices.EqualFunc(f.ParameterSets(), other.ParameterSets(), slices.Equal[[]byte])
}
