package recorder

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// heard is a sink that writes down what it is told.
type heard struct {
	units []string // NAL units of each access unit
	times []uint32
	lost  int64
	noise int
}

func (h *heard) begin(codec, int, [][]byte, *audioTrack) {}
func (h *heard) audio([]byte, uint32, time.Time)         {}
func (h *heard) audioLeft([]string)                      {}
func (h *heard) cameraTime(time.Time, uint32)            {}

func (h *heard) panicked(int64, any) time.Time { return time.Time{} }

func (h *heard) noticed(error) { h.noise++ }
func (h *heard) damaged(frames int64, _ error) {
	h.lost += frames
}

func (h *heard) missed(frames int64) { h.lost += frames }

func (h *heard) accessUnit(nalus [][]byte, rtpTime uint32, _ time.Time) {
	h.units = append(h.units, string(bytes.Join(nalus, []byte("|"))))
	h.times = append(h.times, rtpTime)
}

// wire makes packets of a camera that counts its packets.
type wire struct {
	assembler *assembler
	heard     *heard
	next      uint16
}

func newWire(c codec) *wire {
	h := new(heard)
	return &wire{assembler: newAssembler(c, h), heard: h, next: 65530}
}

func (w *wire) send(t uint32, marker bool, payload string) {
	_ = w.assembler.push(packet{w.next, t, marker, []byte(payload), 0}, noon)
	w.next++
}

// lose is a packet that does not arrive.
func (w *wire) lose(uint32, bool, string) { w.next++ }

// NAL units of H.264, as short as they may be.
const (
	aud    = "\x09\xf0"
	sps    = "\x67sps"
	pps    = "\x68pps"
	sei    = "\x06\x05\x01x\x80"
	idr    = "\x65\x88idr"
	idr2   = "\x65\x40second"
	slice1 = "\x41\x9aslice"
	slice2 = "\x41\x40second"
	filler = "\x0c\xff\x80"
	stapA  = "\x78\x00\x04" + sps + "\x00\x04" + pps
	fuIDR1 = "\x7c\x85\x88i"
	fuIDR2 = "\x7c\x05d"
	fuIDR3 = "\x7c\x45r"
)

// TestPacketisations gives the assembler what cameras send, row by row of the ways there are.
func TestPacketisations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		codec codec
		send  func(*wire)
		units []string
		lost  int64
		noise int
	}{
		{"single NAL units", avc{}, func(w *wire) {
			w.send(1, false, sps)
			w.send(1, false, pps)
			w.send(1, true, idr)
			w.send(2, true, slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"STAP-A and FU-A", avc{}, func(w *wire) {
			w.send(1, false, stapA)
			w.send(1, false, fuIDR1)
			w.send(1, false, fuIDR2)
			w.send(1, true, fuIDR3)
			w.send(2, true, slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"several slices", avc{}, func(w *wire) {
			w.send(1, false, idr)
			w.send(1, true, idr2)
			w.send(2, false, slice1)
			w.send(2, false, slice2)
			w.send(2, true, slice2)
		}, []string{idr + "|" + idr2, slice1 + "|" + slice2 + "|" + slice2}, 0, 0},
		{"a marker on each slice", avc{}, func(w *wire) {
			w.send(1, true, idr)
			w.send(1, true, idr2)
			w.send(2, true, slice1)
			w.send(2, true, slice2)
			w.send(3, true, slice1)
		}, []string{idr + "|" + idr2, slice1 + "|" + slice2}, 1, 0}, // whether the last is whole is not known
		{"no marker", avc{}, func(w *wire) {
			w.send(1, false, idr)
			w.send(2, false, slice1)
			w.send(3, false, slice1)
		}, []string{idr, slice1, slice1}, 0, 0},
		{"no marker, and the last picture has fewer slices than those before", avc{}, func(w *wire) {
			w.send(1, false, idr)
			w.send(1, false, idr2)
			w.send(2, false, slice1)
			w.send(2, false, slice2)
			w.send(3, false, slice1)
		}, []string{idr + "|" + idr2, slice1 + "|" + slice2}, 1, 0},
		{"no marker, and slices as they come", avc{}, func(w *wire) {
			w.send(1, false, idr)
			w.send(2, false, slice1)
			w.send(2, false, slice2)
			w.send(3, false, slice1)
		}, []string{idr, slice1 + "|" + slice2}, 1, 0},
		{"one timestamp for all", avc{}, func(w *wire) {
			w.send(0, false, idr)
			w.send(0, false, slice1)
			w.send(0, false, slice2)
			w.send(0, false, sei)
			w.send(0, true, slice1)
		}, []string{idr, slice1 + "|" + slice2, sei + "|" + slice1}, 0, 0},
		{"parameter sets as packets of their own, with a marker and a time", avc{}, func(w *wire) {
			w.send(1, true, sps)
			w.send(1, true, pps)
			w.send(2, true, idr)
			w.send(3, true, slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"Annex B inside of RTP", avc{}, func(w *wire) {
			w.send(1, true, "\x00\x00\x00\x01"+sps+"\x00\x00\x00\x01"+pps+"\x00\x00\x01"+idr)
			w.send(2, true, "\x00\x00\x01"+slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"Annex B in fragments", avc{}, func(w *wire) {
			w.send(1, false, "\x7c\x87sps\x00\x00\x01"+pps+"\x00")
			w.send(1, true, "\x7c\x47\x00\x01"+idr)
			w.send(2, true, slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"delimiter, filler and padding packets", avc{}, func(w *wire) {
			w.send(1, false, aud)
			w.send(1, false, idr)
			w.send(1, true, filler)
			w.send(1, false, "")
			w.send(2, true, aud+"")
			w.send(2, true, slice1)
		}, []string{aud + "|" + idr + "|" + filler, aud + "|" + slice1}, 0, 0},
		{"no end bit, but a marker", avc{}, func(w *wire) {
			w.send(1, false, fuIDR1)
			w.send(1, false, fuIDR2)
			w.send(1, true, "\x7c\x05r")
			w.send(2, true, slice1)
		}, []string{idr, slice1}, 0, 0},
		{"fragments without a start", avc{}, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, false, fuIDR2)
			w.send(2, true, fuIDR3)
			w.send(3, true, slice1)
		}, []string{idr, slice1}, 1, 0},
		{"fragments without an end", avc{}, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, false, fuIDR1)
			w.send(3, true, slice1)
		}, []string{idr, slice1}, 1, 0},
		{"forbidden bit, zero length, undefined types", avc{}, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, false, "\xe7sps")
			w.send(2, false, "\x60\x00")
			w.send(2, false, "\x7fjunk")
			w.send(2, false, "\x78\x00\x00\x00\x04"+pps)
			w.send(2, true, slice1)
			w.send(3, true, "\xc1\x9aslice")
			w.send(4, true, slice1)
		}, []string{idr, pps + "|" + slice1, slice1}, 1, 5},
		{"an aggregate longer than its packet", avc{}, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, true, "\x78\x00\xff"+slice1)
			w.send(3, true, slice1)
		}, []string{idr, slice1}, 1, 0},
		{"a hole inside of a picture", avc{}, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, false, slice1)
			w.lose(2, false, slice2)
			w.send(2, true, slice2)
			w.send(3, true, sps)
			w.send(3, true, idr)
		}, []string{idr, sps + "|" + idr}, 1, 0},
		{"a hole of whole pictures", avc{}, func(w *wire) {
			w.send(10, true, idr)
			w.send(20, true, slice1)
			w.lose(30, true, slice1)
			w.lose(40, true, slice1)
			w.send(50, true, slice1)
			w.send(60, true, sps)
			w.send(60, true, idr)
		}, []string{idr, slice1, sps + "|" + idr}, 3, 0}, // that at 50 may lack what came before its slice
		{"a hole from one picture into the next", avc{}, func(w *wire) {
			w.send(10, true, idr)
			w.send(20, false, slice1)
			w.lose(20, true, slice2)
			w.lose(30, false, slice1)
			w.send(30, true, slice2)
			w.send(40, false, aud)
			w.send(40, true, idr)
		}, []string{idr, aud + "|" + idr}, 2, 0},
		{"a hole before the first picture", avc{}, func(w *wire) {
			w.assembler.expect(w.next, 10)
			w.lose(10, true, idr)
			w.lose(20, true, slice1)
			w.lose(30, false, slice1)
			w.send(30, true, slice2)
			for t := uint32(40); t < 90; t += 10 {
				w.send(t, true, slice1)
			}
		}, []string{slice1, slice1, slice1, slice1, slice1}, 3, 0},
		{"a hole in the first picture", avc{}, func(w *wire) {
			w.send(1, false, fuIDR1)
			w.lose(1, false, fuIDR2)
			w.send(1, true, fuIDR3)
			w.send(2, true, slice1)
		}, []string{slice1}, 1, 0},
		{"a first slice is lost, and markers are believed as before", avc{}, func(w *wire) {
			for t := uint32(1); t <= trustMarkers+4; t++ {
				message, first := w.send, w.send
				switch t {
				case trustMarkers + 1:
					first = w.lose
				case trustMarkers + 3:
					message = w.lose
				}
				message(t, false, sei)
				first(t, false, slice1)
				w.send(t, true, slice2)
			}
		}, slices.Repeat([]string{sei + "|" + slice1 + "|" + slice2}, trustMarkers+2), 2, 0},
		{"a hole with B-frames", avc{}, func(w *wire) {
			// I0 P3 B1 B2 P6 B4 B5 …, of which P15 and B13 are lost, then B17.
			w.send(100, true, idr)
			for p := uint32(103); p <= 124; p += 3 {
				for _, t := range []uint32{p, p - 2, p - 1} {
					if t == 115 || t == 113 || t == 117 {
						w.lose(t, true, slice1)
					} else {
						w.send(t, true, sps) // with a set it is sure where a picture begins
						w.send(t, true, slice1)
					}
				}
			}
		}, slices.Concat([]string{idr}, slices.Repeat([]string{sps + "|" + slice1}, 21)), 3, 0},
		{"packets twice", avc{}, func(w *wire) {
			w.send(1, true, idr)
			w.next--
			w.send(1, true, idr)
			w.send(2, true, slice1)
		}, []string{idr, slice1}, 0, 0},
		{"it begins in the middle of a picture", avc{}, func(w *wire) {
			w.send(1, false, fuIDR2)
			w.send(1, true, fuIDR3)
			w.send(2, true, idr)
		}, []string{idr}, 0, 0},
		{"H.265: AP and FU", hevc{}, func(w *wire) {
			w.send(1, false, "\x60\x01\x00\x05\x40\x01vps\x00\x05\x42\x01sps\x00\x05\x44\x01pps")
			w.send(1, false, "\x62\x01\x93\xafi")
			w.send(1, false, "\x62\x01\x13d")
			w.send(1, true, "\x62\x01\x53r")
			w.send(2, true, "\x02\x01\x80s")
		}, []string{"\x40\x01vps|\x42\x01sps|\x44\x01pps|\x26\x01\xafidr", "\x02\x01\x80s"}, 0, 0},
		{"H.265: slices, one timestamp", hevc{}, func(w *wire) {
			w.send(0, true, "\x26\x01\xafi")
			w.send(0, true, "\x26\x01\x2fi")
			w.send(0, true, "\x02\x01\x80s")
			w.send(0, true, "\x50\x01suffix")
			w.send(1, false, "\x46\x01x")
		}, []string{"\x26\x01\xafi|\x26\x01\x2fi", "\x02\x01\x80s|\x50\x01suffix"}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(c.codec)
			c.send(w)
			w.assembler.flush()
			if !slices.Equal(w.heard.units, c.units) {
				t.Errorf("access units:\n%q, want\n%q", w.heard.units, c.units)
			}
			if w.heard.lost != c.lost || w.heard.noise != c.noise {
				t.Errorf("%d lost and %d times noise, want %d and %d", w.heard.lost, w.heard.noise, c.lost, c.noise)
			}
		})
	}
}

func TestRecoveryPointsAreFoundAmongMessages(t *testing.T) {
	t.Parallel()
	for sei, want := range map[string]bool{
		"\x06\x01\x84\x80":                                 true,
		"\x05\x02ab\x06\x01\x84\x80":                       true,
		"\x05\x06\x00\x00\x03\x00\x00\x03\x06\x01\x80":     false, // 6 bytes without the two that are no content
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
	a := newAssembler(avc{}, new(heard))
	payload := make([]byte, 60_000)
	copy(payload, fuIDR1)
	for i := range uint16(1000) {
		if err := a.push(packet{i, 1, false, payload, 0}, noon); err != nil {
			if err != errHuge || cap(a.buffer) > 2*maxUnit {
				t.Errorf("%v with a buffer of %d", err, cap(a.buffer))
			}
			return
		}
		payload[1] &^= fuStart
	}
	t.Error("nothing was said")
}

// intact checks that an assembler gives out nothing but whole NAL units.
type intact struct {
	heard
	t *testing.T
	c codec
}

func (s *intact) accessUnit(nalus [][]byte, _ uint32, _ time.Time) {
	any := false
	for _, nal := range nalus {
		k := kindOf(s.c, nal)
		any = any || k.picture()
		if k == unitNoise || bytes.Contains(nal, startCode) {
			s.t.Errorf("gives out %x", nal)
		}
	}
	if !any {
		s.t.Error("gives out no picture")
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
	f.Add(join(stapA, fuIDR1, fuIDR2, fuIDR3, slice1), false)
	f.Add(join("\x00\x00\x01"+sps+"\x00\x00\x01"+idr, slice1, slice2, aud), false)
	f.Add(join("\x60\x01\x00\x05\x40\x01vps", "\x62\x01\x93\xafi", "\x62\x01\x53r"), true)
	f.Fuzz(func(t *testing.T, data []byte, h265 bool) {
		var c codec = avc{}
		if h265 {
			c = hevc{}
		}
		a := newAssembler(c, &intact{t: t, c: c})
		var seq uint16
		for len(data) >= 2 {
			size, flags := min(int(data[0]), len(data)-2), data[1]
			seq += uint16(flags & 3)
			if a.push(packet{seq, uint32(flags >> 4), flags&8 != 0, data[2 : 2+size], 0}, noon) != nil {
				return
			}
			data = data[2+size:]
		}
		a.flush()
	})
}

// null is a sink that costs nothing.
type null struct{ heard }

func (*null) accessUnit([][]byte, uint32, time.Time) {}

// BenchmarkAssembler takes a second of 25 pictures of 20 kB, the first of 200 kB, in packets of 1400 bytes.
func BenchmarkAssembler(b *testing.B) {
	var packets []packet
	for i := range 25 {
		size := 20_000
		if i == 0 {
			size = 200_000
		}
		for at := 0; at < size; at += 1400 {
			p := packet{timestamp: uint32(i) * 3600, payload: append([]byte{0x7c, 0x05}, bytes.Repeat([]byte{0x9a}, 1398)...)}
			if at == 0 {
				p.payload[1] |= fuStart
			}
			if at+1400 >= size {
				p.payload[1] |= fuEnd
				p.marker = true
			}
			packets = append(packets, p)
		}
	}
	a := newAssembler(avc{}, new(null))
	b.ReportAllocs()
	b.SetBytes(int64(len(packets)) * 1400)
	var seq uint16
	for b.Loop() {
		for _, p := range packets {
			p.sequence = seq
			seq++
			if err := a.push(p, noon); err != nil {
				b.Fatal(err)
			}
		}
	}
}
