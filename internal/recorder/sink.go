package recorder

import "time"

// sink takes what a session brings. Its methods are called from one goroutine.
type sink interface {
	// begin tells the codec, the clock rate and the parameter sets of the session description.
	// audio is nil when there is none.
	begin(c codec, rate int, parameterSets [][]byte, audio *audioTrack)
	// accessUnit takes the NAL units of one picture in decode order. They are the callee's to read
	// until it returns.
	accessUnit(nalus [][]byte, rtpTime uint32, now time.Time)
	// damaged tells that so many frames are known to be lost, so that those up to the next keyframe
	// cannot be decoded. err is nil when it was no damage, but the session's end.
	damaged(frames int64, err error)
	// missed tells that so many more frames are known to have been lost, in a hole that damaged told of.
	missed(frames int64)
	// audio takes one frame of audio. It is the callee's to read until it returns.
	audio(frame []byte, rtpTime uint32, now time.Time)
	// audioLeft names the audio that is not recorded, as the service does not take it; none clears it.
	audioLeft(names []string)
	// cameraTime tells the camera's own time of an RTP timestamp of the video.
	cameraTime(ntp time.Time, rtpTime uint32)
	// noticed tells of something left out that no picture misses.
	noticed(err error)
	// panicked tells of a panic on the way to the sink, by which so many frames are lost. Until
	// the time it returns nothing but damage should come, and then what no earlier state is part of.
	panicked(frames int64, value any) (until time.Time)
}
