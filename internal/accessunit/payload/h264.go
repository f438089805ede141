package payload

// The types of payloads that are not NAL units (RFC 6184, table 1).
const (
	h264TypeMask = 0x1F
	h264LastNAL  = 23
	stapA        = 24
	stapB        = 25
	mtap16       = 26
	mtap24       = 27
	fuA          = 28
	fuB          = 29
)

// H264 calls take for each part in a payload of H.264, in order.
func H264(p []byte, take func(Part)) error {
	if len(p) == 0 {
		return ErrShort
	}
	switch t := p[0] & h264TypeMask; t {
	case stapA:
		return aggregate(p[1:], 1, order{}, take)
	case stapB, mtap16, mtap24:
		don, rest, ok := number(p[1:])
		if !ok {
			return ErrAggregate
		}
		o := order{numbered: true, first: don}
		if t != stapB {
			o.base, o.offset = true, int(t-mtap16)+2
		}
		return aggregate(rest, 1, o, take)
	case fuA, fuB:
		return h264Fragment(p, take)
	default:
		if t > h264LastNAL {
			return UndefinedError{"H.264", t}
		}
	}
	take(Part{Header: [2]byte{p[0]}, Data: p[1:], Start: true, End: true})
	return nil
}

func h264Fragment(p []byte, take func(Part)) error {
	if len(p) < 2 {
		return ErrFragment
	}
	part := Part{
		Header: [2]byte{p[0]&^h264TypeMask | p[1]&h264TypeMask}, Data: p[2:],
		Start: p[1]&fragmentStart != 0, End: p[1]&fragmentEnd != 0,
	}
	if p[0]&h264TypeMask == fuB {
		don, rest, ok := number(p[2:])
		if !ok {
			return ErrFragment
		}
		part.Numbered, part.DON, part.Data = true, don, rest
	}
	take(part)
	return nil
}
