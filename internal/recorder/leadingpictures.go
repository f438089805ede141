package recorder

// leadingPictures are those that come after an open keyframe which recording began with, but are shown before it: they
// look back to what is not recorded.
type leadingPictures struct {
	expected bool
	keyframe uint32 // RTP timestamp of the keyframe
}

// include reports whether a frame is one of them. The next keyframe, or one that is shown later, ends them.
func (l *leadingPictures) include(rtpTime uint32, keyframe bool) bool {
	if l.expected && (keyframe || int32(rtpTime-l.keyframe) > 0) {
		l.expected = false
	}
	return l.expected
}
