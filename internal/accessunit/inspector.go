package accessunit

// Contents is what an access unit contains.
type Contents struct {
	Picture bool // it has a slice
	Closed  bool // nothing after it needs anything before it
	Open    bool // decoding can start at it, but pictures that are shown before it may reference earlier ones
}

// Keyframe reports whether decoding can start at the access unit.
func (c Contents) Keyframe() bool { return c.Closed || c.Open }

// Inspector determines what access units contain, and keeps the parameter sets in them.
type Inspector struct {
	Sets        ParameterSets
	SetsChanged bool // set by Inspect; the caller clears it
	Unreadable  bool // a parameter set was left out, and no other of its kind was known

	codec Codec
}

// NewInspector starts with the parameter sets of the session description.
func NewInspector(c Codec, parameterSets [][]byte) Inspector {
	i := Inspector{codec: c, Sets: c.NewParameterSets(), SetsChanged: true}
	for _, set := range parameterSets {
		i.add(set)
	}
	return i
}

func (i *Inspector) add(set []byte) {
	switch {
	case i.Sets.Add(set):
		i.SetsChanged = true
	case !i.Sets.Has(set):
		i.Unreadable = true
	}
}

// Inspect stores parameter sets and returns what an access unit contains.
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
			i.add(nal)
		}
	}
	// Some cameras send I pictures that are not IDR, and indicate only with a recovery point or with
	// parameter sets that decoding can start there.
	if c.Picture && !c.Closed && (recovery || sets && intra) {
		c.Open = true
	}
	return c
}

// Keeps reports whether the next NAL unit belongs in the stream of a file with these parameter sets: delimiters do not
// (ISO/IEC 14496-15, 5.3.2), nor do parameter sets that decoders have from the header.
func (i *Inspector) Keeps(nal []byte, file *FileSets) bool {
	switch kindOf(i.codec, nal) {
	case nalMalformed, nalDelimiter:
		return false
	case nalSet:
		return file.keeps(nal)
	}
	return true
}
