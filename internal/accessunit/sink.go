package accessunit

import "time"

// Sink receives the media of a session with a source. Its methods are called from one goroutine.
type Sink interface {
	// Begin starts a session: its codec, the clock rate of the video (ticks per second) and the parameter sets of the
	// session description. audio is nil when there is none.
	Begin(c Codec, rate int, parameterSets [][]byte, audio *AudioTrack)
	// AccessUnit receives the NAL units of one access unit in decoding order. The sink may read them
	// until it returns.
	AccessUnit(nalus [][]byte, rtpTime uint32, now time.Time)
	// Damaged reports frames that are known to be lost, so that those up to the next keyframe
	// cannot be decoded. err is nil when the session's end was the cause, not damage.
	Damaged(frames int64, err error)
	// Missed reports more frames that are known to have been lost, in a hole that Damaged reported.
	Missed(frames int64)
	// Audio receives one frame of audio. The sink may read it until it returns.
	Audio(frame []byte, rtpTime uint32, now time.Time)
	// ChangeAudio sets the audio of the session from now on: it was not known at the start, or changed.
	ChangeAudio(audio *AudioTrack)
	// AudioLost reports packets of audio that were lost on their way, or cannot be read.
	AudioLost(packets int64)
	// UnsupportedAudio names audio that cannot be recorded; no names: there is none any more.
	UnsupportedAudio(names []string)
	// LeftOut names tracks that the source offers and that are not recorded, such as "a video (H265)"; no names: there are none any more.
	LeftOut(tracks []string)
	// Foreign reports packets that look like the source's and are left out. from is the IP address of the last of
	// them; stranger: the source did not name that address; otherwise the source itself sends twice.
	Foreign(packets int64, from string, stranger bool)
	// CameraTime receives the camera's own time for an RTP timestamp of the video.
	CameraTime(ntp time.Time, rtpTime uint32)
	// Malformed reports that data was left out which no frame needs.
	Malformed(err error)
	// Panicked reports a panic on the way to the sink, and the number of frames lost by it. Until
	// the time it returns only damage is reported to the sink, and after that nothing depends on earlier state.
	Panicked(frames int64, value any) (until time.Time)
}
