package recorder

// picture is what an access unit holds.
type picture struct {
	any    bool // it has a slice
	closed bool // nothing after it needs anything before it
	open   bool // decoding may begin at it, but pictures that are shown before it may look back
}

// inspector tells what access units hold, and keeps the parameter sets that come in them.
type inspector struct {
	codec       codec
	sets        parameterSets
	setsChanged bool // since it was last unset
}

// newInspector begins with the parameter sets of the session description.
func newInspector(c codec, parameterSets [][]byte) inspector {
	i := inspector{codec: c, sets: c.newSets(), setsChanged: true}
	for _, set := range parameterSets {
		i.sets.take(set)
	}
	return i
}

// inspect notes parameter sets and tells what an access unit is.
func (i *inspector) inspect(nalus [][]byte) (p picture) {
	intra, sets, recovery := true, false, false
	for _, nal := range nalus {
		switch kindOf(i.codec, nal) {
		case unitIDR:
			p.any, p.closed = true, true
		case unitOpen:
			p.any, p.open = true, true
		case unitSlice:
			p.any, intra = true, false
		case unitIntra:
			p.any = true
		case unitRecovery:
			recovery = true
		case unitSet:
			sets = true
			if i.sets.take(nal) {
				i.setsChanged = true
			}
		}
	}
	// Some cameras send I pictures that are no IDR, and say with a recovery point or with
	// parameter sets only that decoding may begin there.
	if p.any && !p.closed && (recovery || sets && intra) {
		p.open = true
	}
	return p
}
