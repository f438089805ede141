package accessunit

import "time"

// Sink takes what a session with a source brings. Its methods are called from one goroutine.
type Sink interface {
	// Begin begins a session: its codec, the clock rate of the video (ticks per second) and the parameter sets of the
	// session description. audio is nil when there is none.
	Begin(c Codec, rate int, parameterSets [][]byte, audio *AudioTrack)
	// AccessUnit takes the NAL units of one access unit in decode order. They are the callee's to read
	// until it returns.
	AccessUnit(nalus [][]byte, rtpTime uint32, now time.Time)
	// Damaged reports that so many frames are known to be lost, so that those up to the next keyframe
	// cannot be decoded. err is nil when it was no damage, but the session's end.
	Damaged(frames int64, err error)
	// Missed reports that so many more frames are known to have been lost, in a hole that Damaged reported.
	Missed(frames int64)
	// Audio takes one frame of audio. It is the callee's to read until it returns.
	Audio(frame []byte, rtpTime uint32, now time.Time)
	// ChangeAudio says what the audio of the session is from now on: it was not known when it began, or changed.
	ChangeAudio(audio *AudioTrack)
	// AudioLost reports that so many packets of audio were lost on their way, or cannot be read.
	AudioLost(packets int64)
	// UnsupportedAudio names the audio that is not recorded, as it cannot be; none clears it.
	UnsupportedAudio(names []string)
	// LeftOut names what the source offers beside what is recorded, such as "a video (H265)"; none clears it.
	LeftOut(tracks []string)
	// Foreign reports so many more packets that look like the source's and are left out. from is the IP address of the last of
	// them, and stranger whether it is none that the source named; else it is another sender of its own.
	Foreign(packets int64, from string, stranger bool)
	// CameraTime takes the camera's own time of an RTP timestamp of the video.
	CameraTime(ntp time.Time, rtpTime uint32)
	// Malformed reports something left out that no frame misses.
	Malformed(err error)
	// Panicked reports a panic on the way to the sink, by which so many frames are lost. Until
	// the time it returns nothing but damage should come, and then what no earlier state is part of.
	Panicked(frames int64, value any) (until time.Time)
}
