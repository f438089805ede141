package accessunit

// trustHabit is how many similar access units it takes to trust a habit of a camera.
const trustHabit = 25

// habits is how a camera packetises pictures, as far as its session has shown.
type habits struct {
	markers     markerStreak
	times       timeStreak
	slicesPerAU int // slices in each access unit; 0: unknown, -1: they differ
}

// markerStreak is how the camera sets markers.
type markerStreak struct {
	length     int  // access units in a row that ended with a marker
	unreliable bool // markers are also set on packets that do not end a picture
}

// believed reports whether a marker ends an access unit.
func (m markerStreak) believed() bool { return m.established() && !m.unreliable }

// established reports whether access units have ended with a marker for a while.
func (m markerStreak) established() bool { return m.length >= trustHabit }

// timeStreak is how the camera sets the timestamps of slices.
type timeStreak struct {
	length int  // access units of several slices, all with one timestamp
	own    bool // slices of a picture have had timestamps of their own
}

// shared reports whether all slices of a picture have its timestamp.
func (t timeStreak) shared() bool { return t.length >= trustHabit && !t.own }

// markersDecide reports whether a marker means that a picture with a number of slices is complete.
func (h *habits) markersDecide(slices int) bool {
	return !h.markers.unreliable && (h.markers.established() || h.slicesPerAU < 0 || h.slicesPerAU == slices)
}

// timesDecide reports whether another timestamp means another picture, as far as is known.
func (h *habits) timesDecide() bool {
	return !h.times.own && (h.times.length > 0 || h.slicesPerAU == 1)
}

// learn updates the habits with an access unit.
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
