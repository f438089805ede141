package audio

// plainDecoder reads packets with one frame each.
type plainDecoder struct{ block int }

func newPlainDecoder(s Stream) decoder {
	block := 1
	if s.Format.Codec == PCM {
		block = s.Format.blockBytes()
	}
	return plainDecoder{block: block}
}

func (d plainDecoder) read(p Packet, out *output) error {
	whole := len(p.Payload) - len(p.Payload)%d.block
	if whole == 0 {
		if len(p.Payload) == 0 { // some cameras send these to keep a connection open
			return nil
		}
		return errUnreadable
	}
	out.add(p.Payload[:whole], p.Timestamp)
	return nil
}

func (plainDecoder) broken()       {}
func (plainDecoder) flush(*output) {}

// g726Decoder reverses the bit order of samples.
type g726Decoder struct {
	bits   int
	buffer []byte
}

func newG726Decoder(s Stream) decoder { return &g726Decoder{bits: s.Format.Bits} }

func (d *g726Decoder) read(p Packet, out *output) error {
	d.buffer = leftJustified(d.buffer[:0], p.Payload, d.bits)
	out.add(d.buffer, p.Timestamp)
	return nil
}

func (*g726Decoder) broken()       {}
func (*g726Decoder) flush(*output) {}
