package accessunit

// Contents is what an access unit holds.
type Contents struct {
	Picture bool // it has a slice
	Closed  bool // nothing after it needs anything before it
	Open    bool // decoding may begin at it, but pictures that are shown before it may look back
}

// Keyframe reports whether decoding may begin at the access unit.
func (c Contents) Keyframe() bool { return c.Closed || c.Open }

// Inspector finds out what access units hold, and keeps the parameter sets that come in them.
type Inspector struct {
	Sets        ParameterSets
	SetsChanged bool // since it was last unset

	codec Codec
}

// NewInspector begins with the parameter sets of the session description.
func NewInspector(c Codec, parameterSets [][]byte) Inspector {
	i := Inspector{codec: c, Sets: c.NewParameterSets(), SetsChanged: true}
	for _, set := range parameterSets {
		i.Sets.Add(set)
	}
	return i
}

// Inspect notes parameter sets and returns what an access unit is.
func (i *Inspector) Inspect(nalus [][]byte) (c Contents) {
	intra, sets, recovery := true, false, false
	for _, nal := range nalus {
		switch kindOf(i.codec, nal) {
		case nalIDR:
			c.Picture, c.Closed = true, true
		case nalOpen:
			c.Picture, c.Open = true, true
		case nalSlice:
			c.Picture, intra = true, false
		case nalIntra:
			c.Picture = true
		case nalRecovery:
			recovery = true
		case nalSet:
			sets = true
			if i.Sets.Add(nal) {
				i.SetsChanged = true
			}
		}
	}
	// Some cameras send I pictures that are no IDR, and say with a recovery point or with
	// parameter sets only that decoding may begin there.
	if c.Picture && !c.Closed && (recovery || sets && intra) {
		c.Open = true
	}
	return c
}

// Keeps reports whether a NAL unit belongs into a file with those parameter sets in its header: delimiters do not
// (ISO/IEC 14496-15, 5.3.2), nor what the header has already.
func (i *Inspector) Keeps(nal []byte, header ParameterSets) bool {
	switch kindOf(i.codec, nal) {
	case nalMalformed, nalDelimiter:
		return false
	case nalSet:
		return !header.Holds(nal)
	}
	return true
}
