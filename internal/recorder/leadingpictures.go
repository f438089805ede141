package recorder

// leadingPictures are the pictures that follow the open-GOP keyframe a recording started with, but are shown before it:
// they reference pictures that were not recorded.
type leadingPictures struct {
	expected bool
	keyframe uint32 // RTP timestamp of the keyframe
}

// include reports whether a frame is a leading picture. The next keyframe, or a frame that is shown later, ends them.
func (l *leadingPictures) include(rtpTime uint32, keyframe bool) bool {
	if l.expected && (keyframe || int32(rtpTime-l.keyframe) > 0) {
		l.expected = false
	}
	return l.expected
}
