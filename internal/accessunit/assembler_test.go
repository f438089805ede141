package accessunit

import (
	"bytes"
	"testing"
	"time"
)

// silent is a sink that does nothing.
type silent struct{ Sink }

func (silent) AccessUnit([][]byte, uint32, time.Time) {}
func (silent) Damaged(int64, error)                   {}
func (silent) Missed(int64)                           {}
func (silent) Malformed(error)                        {}

func TestRecoveryPointsAreFoundAmongMessages(t *testing.T) {
	t.Parallel()
	for sei, want := range map[string]bool{
		"\x06\x01\x84\x80":                                 true,
		"\x05\x02ab\x06\x01\x84\x80":                       true,
		"\x05\x06\x00\x00\x03\x00\x00\x03\x06\x01\x80":     false, // 6 bytes without the two of emulation prevention
		"\x05\x05\x00\x00\x03\x01\x02\x03\x06\x01\x84\x80": true,
		"\x05\x20short":                                    false,
		"\xff\xff":                                         false,
		"\x06":                                             false,
		"":                                                 false,
	} {
		if got := hasRecoveryPoint([]byte(sei)); got != want {
			t.Errorf("%x: %v", sei, got)
		}
	}
}

func TestHugePictureEndsTheSession(t *testing.T) {
	t.Parallel()
	a := newAssembler(H264, MaxBytes, silent{})
	payload := make([]byte, 60_000)
	copy(payload, "\x7c\x85\x88i") // the first fragment of an IDR slice
	for i := range uint16(1000) {
		if err := a.push(Packet{Sequence: i, Timestamp: 1, Payload: payload}, time.Time{}); err != nil {
			if err != ErrHuge || cap(a.buffer) > 2*MaxBytes {
				t.Errorf("%v with a buffer of %d", err, cap(a.buffer))
			}
			return
		}
		payload[1] &^= 0x80 // and its other fragments
	}
	t.Error("nothing was reported")
}

// intact checks that an assembler emits only complete NAL units.
type intact struct {
	silent
	t *testing.T
	c Codec
}

func (s *intact) AccessUnit(nalus [][]byte, _ uint32, _ time.Time) {
	any := false
	for _, nal := range nalus {
		k := kindOf(s.c, nal)
		any = any || k.slice()
		if k == nalMalformed || bytes.Contains(nal, startCode) {
			s.t.Errorf("emits %x", nal)
		}
	}
	if !any {
		s.t.Error("emits no picture")
	}
}

func FuzzAssembler(f *testing.F) {
	join := func(payloads ...string) (all []byte) {
		for i, p := range payloads {
			all = append(all, byte(len(p)), byte(i<<4|1))
			all = append(all, p...)
		}
		return all
	}
	const (
		aud    = "\x09\xf0"
		sps    = "\x67sps"
		idr    = "\x65\x88idr"
		slice1 = "\x41\x9aslice"
		slice2 = "\x41\x40second"
		stapA  = "\x78\x00\x04" + sps + "\x00\x04\x68pps"
		fuIDR1 = "\x7c\x85\x88i"
		fuIDR2 = "\x7c\x05d"
		fuIDR3 = "\x7c\x45r"
	)
	f.Add(join(stapA, fuIDR1, fuIDR2, fuIDR3, slice1), uint8(0))
	f.Add(join("\x00\x00\x01"+sps+"\x00\x00\x01"+idr, slice1, slice2, aud), uint8(0))
	f.Add(join("\x60\x01\x00\x05\x40\x01vps", "\x62\x01\x93\xafi", "\x62\x01\x53r"), uint8(1))
	f.Add(join("\x79\x00\x01\x00\x04"+sps, "\x7d\x85\x00\x03\x88i", "\x79\x00\x02\x00\x05\x68pps1", fuIDR3), uint8(2))
	f.Add(join("\x60\x01\x00\x05\x00\x05\x40\x01vps\x00\x00\x05\x42\x01sps", "\x62\x01\x93\x00\x09\xafi", "\x64\x01\x62\x00\x53r"), uint8(3))
	f.Add(join("\x00\x00\x00\x05\x65\x88idr", "\x00\x00\x00\x07"+slice1), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		c := []Codec{H264, H265, InterleavedH264(2), NumberedH265(2)}[kind%4]
		a := newAssembler(c, MaxBytes, &intact{t: t, c: c})
		var seq uint16
		for len(data) >= 2 {
			size, flags := min(int(data[0]), len(data)-2), data[1]
			seq += uint16(flags & 3)
			if a.push(Packet{Sequence: seq, Timestamp: uint32(flags >> 4), Marker: flags&8 != 0, Payload: data[2 : 2+size]}, time.Time{}) != nil {
				return
			}
			data = data[2+size:]
		}
		a.flush()
	})
}
