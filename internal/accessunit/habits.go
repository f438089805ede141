package accessunit

// trustHabit is after how many access units alike a habit of a camera is believed.
const trustHabit = 25

// habits is what a session has shown of how a camera makes packets of pictures.
type habits struct {
	markers     markerStreak
	times       timeStreak
	slicesPerAU int // slices of every access unit so far; 0: of none yet, -1: they differ
}

// markerStreak is what is known of the camera's markers.
type markerStreak struct {
	length     int  // access units in a row that ended with a marker
	unreliable bool // markers are set on packets that end no picture
}

// believed reports whether a marker ends an access unit.
func (m markerStreak) believed() bool { return m.established() && !m.unreliable }

// established reports whether access units have ended with a marker for a while.
func (m markerStreak) established() bool { return m.length >= trustHabit }

// timeStreak is what is known of the timestamps of slices.
type timeStreak struct {
	length int  // access units of several slices, all with one timestamp
	own    bool // slices of a picture have had timestamps of their own
}

// shared reports whether all slices of a picture have its timestamp.
func (t timeStreak) shared() bool { return t.length >= trustHabit && !t.own }

// markersTell reports whether a marker means that a picture of so many slices is whole.
func (h *habits) markersTell(slices int) bool {
	return !h.markers.unreliable && (h.markers.established() || h.slicesPerAU < 0 || h.slicesPerAU == slices)
}

// timesTell reports whether another timestamp means another picture, as far as is known.
func (h *habits) timesTell() bool { return !h.times.own && (h.times.length > 0 || h.slicesPerAU == 1) }

// learn takes an access unit.
func (h *habits) learn(au openAU) {
	switch {
	case au.marked:
		h.markers.length++
	case au.corrupt == nil: // else its marker may be lost
		h.markers.length = 0
	}
	if au.corrupt != nil {
		return
	}
	if au.slices > 1 {
		h.times.length++
	}
	if au.slices != h.slicesPerAU {
		if h.slicesPerAU == 0 {
			h.slicesPerAU = au.slices
		} else {
			h.slicesPerAU = -1
		}
	}
}
