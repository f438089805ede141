package accessunit_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// noon is when packets arrive.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// heard is a sink that notes its calls.
type heard struct {
	accessunit.Sink          // methods that a Feed never calls
	units           []string // NAL units of each access unit
	times           []uint32
	lost            int64
	malformed       int
}

func (h *heard) Panicked(_ int64, value any) time.Time { panic(value) }
func (h *heard) Malformed(error)                       { h.malformed++ }
func (h *heard) Damaged(frames int64, _ error)         { h.lost += frames }
func (h *heard) Missed(frames int64)                   { h.lost += frames }

func (h *heard) AccessUnit(nalus [][]byte, rtpTime uint32, _ time.Time) {
	h.units = append(h.units, string(bytes.Join(nalus, []byte("|"))))
	h.times = append(h.times, rtpTime)
}

// wire makes the packets of a camera, with consecutive sequence numbers.
type wire struct {
	feed  *accessunit.Feed
	heard *heard
	next  uint16
}

func newWire(c accessunit.Codec) *wire {
	h := new(heard)
	return &wire{feed: accessunit.NewFeed(c, accessunit.MaxBytes, h), heard: h, next: 65530}
}

func (w *wire) send(t uint32, marker bool, payload string) {
	_ = w.feed.Push(accessunit.Packet{Sequence: w.next, Timestamp: t, Marker: marker, Payload: []byte(payload)}, noon)
	w.next++
}

// lose skips a packet that does not arrive.
func (w *wire) lose(uint32, bool, string) { w.next++ }

// The shortest valid NAL units of H.264.
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

// trustMarkers is how many similar access units it takes to trust a habit of a camera.
const trustMarkers = 25

// TestPacketisations pushes the packets of cameras, one row for each way of packetisation.
func TestPacketisations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		codec     accessunit.Codec
		send      func(*wire)
		units     []string
		lost      int64
		malformed int
	}{
		{"single NAL units", accessunit.H264, func(w *wire) {
			w.send(1, false, sps)
			w.send(1, false, pps)
			w.send(1, true, idr)
			w.send(2, true, slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"STAP-A and FU-A", accessunit.H264, func(w *wire) {
			w.send(1, false, stapA)
			w.send(1, false, fuIDR1)
			w.send(1, false, fuIDR2)
			w.send(1, true, fuIDR3)
			w.send(2, true, slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"several slices", accessunit.H264, func(w *wire) {
			w.send(1, false, idr)
			w.send(1, true, idr2)
			w.send(2, false, slice1)
			w.send(2, false, slice2)
			w.send(2, true, slice2)
		}, []string{idr + "|" + idr2, slice1 + "|" + slice2 + "|" + slice2}, 0, 0},
		{"a marker on each slice", accessunit.H264, func(w *wire) {
			w.send(1, true, idr)
			w.send(1, true, idr2)
			w.send(2, true, slice1)
			w.send(2, true, slice2)
			w.send(3, true, slice1)
		}, []string{idr + "|" + idr2, slice1 + "|" + slice2}, 1, 0}, // whether the last is complete is unknown
		{"no marker", accessunit.H264, func(w *wire) {
			w.send(1, false, idr)
			w.send(2, false, slice1)
			w.send(3, false, slice1)
		}, []string{idr, slice1, slice1}, 0, 0},
		{"no marker, and the last picture has fewer slices than the previous ones", accessunit.H264, func(w *wire) {
			w.send(1, false, idr)
			w.send(1, false, idr2)
			w.send(2, false, slice1)
			w.send(2, false, slice2)
			w.send(3, false, slice1)
		}, []string{idr + "|" + idr2, slice1 + "|" + slice2}, 1, 0},
		{"no marker, and slices as they come", accessunit.H264, func(w *wire) {
			w.send(1, false, idr)
			w.send(2, false, slice1)
			w.send(2, false, slice2)
			w.send(3, false, slice1)
		}, []string{idr, slice1 + "|" + slice2}, 1, 0},
		{"one timestamp for all", accessunit.H264, func(w *wire) {
			w.send(0, false, idr)
			w.send(0, false, slice1)
			w.send(0, false, slice2)
			w.send(0, false, sei)
			w.send(0, true, slice1)
		}, []string{idr, slice1 + "|" + slice2, sei + "|" + slice1}, 0, 0},
		{"parameter sets as packets of their own, with a marker and a time", accessunit.H264, func(w *wire) {
			w.send(1, true, sps)
			w.send(1, true, pps)
			w.send(2, true, idr)
			w.send(3, true, slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"Annex B inside of RTP", accessunit.H264, func(w *wire) {
			w.send(1, true, "\x00\x00\x00\x01"+sps+"\x00\x00\x00\x01"+pps+"\x00\x00\x01"+idr)
			w.send(2, true, "\x00\x00\x01"+slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"Annex B in fragments", accessunit.H264, func(w *wire) {
			w.send(1, false, "\x7c\x87sps\x00\x00\x01"+pps+"\x00")
			w.send(1, true, "\x7c\x47\x00\x01"+idr)
			w.send(2, true, slice1)
		}, []string{sps + "|" + pps + "|" + idr, slice1}, 0, 0},
		{"delimiter, filler and padding packets", accessunit.H264, func(w *wire) {
			w.send(1, false, aud)
			w.send(1, false, idr)
			w.send(1, true, filler)
			w.send(1, false, "")
			w.send(2, true, aud+"")
			w.send(2, true, slice1)
		}, []string{aud + "|" + idr + "|" + filler, aud + "|" + slice1}, 0, 0},
		{"no end bit, but a marker", accessunit.H264, func(w *wire) {
			w.send(1, false, fuIDR1)
			w.send(1, false, fuIDR2)
			w.send(1, true, "\x7c\x05r")
			w.send(2, true, slice1)
		}, []string{idr, slice1}, 0, 0},
		{"fragments without a start", accessunit.H264, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, false, fuIDR2)
			w.send(2, true, fuIDR3)
			w.send(3, true, slice1)
		}, []string{idr, slice1}, 1, 0},
		{"fragments without an end", accessunit.H264, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, false, fuIDR1)
			w.send(3, true, slice1)
		}, []string{idr, slice1}, 1, 0},
		{"forbidden bit, zero length, undefined types", accessunit.H264, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, false, "\xe7sps")
			w.send(2, false, "\x60\x00")
			w.send(2, false, "\x7fjunk")
			w.send(2, false, "\x78\x00\x00\x00\x04"+pps)
			w.send(2, true, slice1)
			w.send(3, true, "\xc1\x9aslice")
			w.send(4, true, slice1)
		}, []string{idr, pps + "|" + slice1, slice1}, 1, 5},
		{"an aggregate longer than its packet", accessunit.H264, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, true, "\x78\x00\xff"+slice1)
			w.send(3, true, slice1)
		}, []string{idr, slice1}, 1, 0},
		{"a hole inside of a picture", accessunit.H264, func(w *wire) {
			w.send(1, true, idr)
			w.send(2, false, slice1)
			w.lose(2, false, slice2)
			w.send(2, true, slice2)
			w.send(3, true, sps)
			w.send(3, true, idr)
		}, []string{idr, sps + "|" + idr}, 1, 0},
		{"a hole of whole pictures", accessunit.H264, func(w *wire) {
			w.send(10, true, idr)
			w.send(20, true, slice1)
			w.lose(30, true, slice1)
			w.lose(40, true, slice1)
			w.send(50, true, slice1)
			w.send(60, true, sps)
			w.send(60, true, idr)
		}, []string{idr, slice1, sps + "|" + idr}, 3, 0}, // the one at 50 may lack NAL units before its slice
		{"a hole from one picture into the next", accessunit.H264, func(w *wire) {
			w.send(10, true, idr)
			w.send(20, false, slice1)
			w.lose(20, true, slice2)
			w.lose(30, false, slice1)
			w.send(30, true, slice2)
			w.send(40, false, aud)
			w.send(40, true, idr)
		}, []string{idr, aud + "|" + idr}, 2, 0},
		{"a hole before the first picture", accessunit.H264, func(w *wire) {
			w.feed.Expect(w.next, 10)
			w.lose(10, true, idr)
			w.lose(20, true, slice1)
			w.lose(30, false, slice1)
			w.send(30, true, slice2)
			for t := uint32(40); t < 90; t += 10 {
				w.send(t, true, slice1)
			}
		}, []string{slice1, slice1, slice1, slice1, slice1}, 3, 0},
		{"a hole in the first picture", accessunit.H264, func(w *wire) {
			w.send(1, false, fuIDR1)
			w.lose(1, false, fuIDR2)
			w.send(1, true, fuIDR3)
			w.send(2, true, slice1)
		}, []string{slice1}, 1, 0},
		{"a first slice is lost, and markers are believed as before", accessunit.H264, func(w *wire) {
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
		{"a hole with B-frames", accessunit.H264, func(w *wire) {
			// I0 P3 B1 B2 P6 B4 B5 …, of which P15 and B13 are lost, then B17.
			w.send(100, true, idr)
			for p := uint32(103); p <= 124; p += 3 {
				for _, t := range []uint32{p, p - 2, p - 1} {
					if t == 115 || t == 113 || t == 117 {
						w.lose(t, true, slice1)
					} else {
						w.send(t, true, sps) // a parameter set marks the start of a picture
						w.send(t, true, slice1)
					}
				}
			}
		}, slices.Concat([]string{idr}, slices.Repeat([]string{sps + "|" + slice1}, 21)), 3, 0},
		{"packets twice", accessunit.H264, func(w *wire) {
			w.send(1, true, idr)
			w.next--
			w.send(1, true, idr)
			w.send(2, true, slice1)
		}, []string{idr, slice1}, 0, 0},
		{"it begins in the middle of a picture", accessunit.H264, func(w *wire) {
			w.send(1, false, fuIDR2)
			w.send(1, true, fuIDR3)
			w.send(2, true, idr)
		}, []string{idr}, 0, 0},
		{"H.265: AP and FU", accessunit.H265, func(w *wire) {
			w.send(1, false, "\x60\x01\x00\x05\x40\x01vps\x00\x05\x42\x01sps\x00\x05\x44\x01pps")
			w.send(1, false, "\x62\x01\x93\xafi")
			w.send(1, false, "\x62\x01\x13d")
			w.send(1, true, "\x62\x01\x53r")
			w.send(2, true, "\x02\x01\x80s")
		}, []string{"\x40\x01vps|\x42\x01sps|\x44\x01pps|\x26\x01\xafidr", "\x02\x01\x80s"}, 0, 0},
		{"H.265: slices, one timestamp", accessunit.H265, func(w *wire) {
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
			w.feed.Flush()
			if !slices.Equal(w.heard.units, c.units) {
				t.Errorf("access units:\n%q, want\n%q", w.heard.units, c.units)
			}
			if w.heard.lost != c.lost || w.heard.malformed != c.malformed {
				t.Errorf("%d lost and %d malformed, want %d and %d", w.heard.lost, w.heard.malformed, c.lost, c.malformed)
			}
		})
	}
}

// null is a sink that costs nothing.
type null struct{ heard }

func (*null) AccessUnit([][]byte, uint32, time.Time) {}

// BenchmarkAssembler assembles a second of 25 pictures of 20 kB, the first of 200 kB, in packets of 1400 bytes.
func BenchmarkAssembler(b *testing.B) {
	var packets []accessunit.Packet
	for i := range 25 {
		size := 20_000
		if i == 0 {
			size = 200_000
		}
		for at := 0; at < size; at += 1400 {
			p := accessunit.Packet{Timestamp: uint32(i) * 3600, Payload: append([]byte{0x7c, 0x05}, bytes.Repeat([]byte{0x9a}, 1398)...)}
			if at == 0 {
				p.Payload[1] |= 0x80 // its start
			}
			if at+1400 >= size {
				p.Payload[1] |= 0x40 // its end
				p.Marker = true
			}
			packets = append(packets, p)
		}
	}
	feed := accessunit.NewFeed(accessunit.H264, accessunit.MaxBytes, new(null))
	b.ReportAllocs()
	b.SetBytes(int64(len(packets)) * 1400)
	var seq uint16
	for b.Loop() {
		for _, p := range packets {
			p.Sequence = seq
			seq++
			if err := feed.Push(p, noon); err != nil {
				b.Fatal(err)
			}
		}
	}
}
