package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fields writes bit fields, padded with zeros.
type fields struct {
	data []byte
	bits int
}

func (f *fields) put(value, bits int) {
	for i := bits - 1; i >= 0; i-- {
		if f.bits%8 == 0 {
			f.data = append(f.data, 0)
		}
		f.data[f.bits/8] |= byte(value>>i&1) << (7 - f.bits%8)
		f.bits++
	}
}

func (f *fields) bytes(data []byte) {
	for _, b := range data {
		f.put(int(b), 8)
	}
}

// unitOf returns a unit of a size that cannot be confused with another.
func unitOf(n, size int) []byte {
	unit := bytes.Repeat([]byte{byte(n)}, size)
	unit[0] = 1
	return unit
}

// headed puts headers, given as pairs of value and bits, before units.
func headed(pairs [][2]int, units ...[]byte) []byte {
	var f fields
	for _, p := range pairs {
		f.put(p[0], p[1])
	}
	return slices.Concat(binary.BigEndian.AppendUint16(nil, uint16(f.bits)), f.data, bytes.Join(units, nil))
}

// hbr packs units like cameras.
func hbr(units ...[]byte) []byte {
	var pairs [][2]int
	for _, u := range units {
		pairs = append(pairs, [2]int{len(u), 13}, [2]int{0, 3})
	}
	return headed(pairs, units...)
}

// described reads rtpmap and fmtp.
func described(rtpmap, fmtp string) Description {
	d := Description{Channels: 1, Parameters: make(map[string]string)}
	parts := strings.Split(rtpmap, "/")
	d.Encoding = parts[0]
	for i, to := range []*int{&d.Clock, &d.Channels} {
		if i+1 < len(parts) {
			fmt.Sscan(parts[i+1], to)
		}
	}
	for part := range strings.SplitSeq(fmtp, ";") {
		if name, value, ok := strings.Cut(part, "="); ok {
			d.Parameters[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
	}
	return d
}

// got is what a reader read from packets.
type got struct {
	frames []string // "time:bytes"
	lost   int
	format Format
}

func show(at uint32, data []byte) string { return fmt.Sprintf("%d:%x", at, data) }

func readAll(t *testing.T, d Description, packets []Packet) (g got) {
	t.Helper()
	s, ok := d.Stream()
	if !ok {
		t.Fatalf("%s cannot be read: %s", d.Encoding, d.Name())
	}
	r := s.NewReader()
	take := func(frames []Frame) {
		if f, _ := r.Format(); f.Codec != Unknown {
			g.format = f
		}
		for _, f := range frames {
			g.frames = append(g.frames, show(f.RTPTime, f.Data))
		}
	}
	buffer := make([]byte, 0, 1<<16)
	for _, p := range packets {
		buffer = append(buffer[:0], p.Payload...) // the camera's memory is reused
		p.Payload = buffer
		frames, lost := r.Read(p)
		g.lost += lost
		take(frames)
	}
	take(r.Flush())
	return g
}

const (
	hbrFMTP = "streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408"
	aac16   = "MPEG4-GENERIC/16000/1"
)

// TestUnitsOfRFC3640 packs the same units in all ways, and expects them with the times of the RTP clock.
func TestUnitsOfRFC3640(t *testing.T) {
	t.Parallel()
	const count = 18
	var units [][]byte
	for n := range count {
		units = append(units, unitOf(n, 40+n))
	}
	// each returns the packets of n units each, of a duration in ticks.
	each := func(n int, ticks uint32, pack func(units ...[]byte) []byte) (list []Packet) {
		for i := 0; i < count; i += n {
			list = append(list, Packet{Timestamp: uint32(i) * ticks, Marker: true, Payload: pack(units[i : i+n]...)})
		}
		return list
	}
	split := func(own, marked bool) (list []Packet) {
		for i, u := range units {
			for at := 0; at < len(u); at += 16 {
				part := u[at:min(at+16, len(u))]
				size := len(u)
				if own {
					size = len(part)
				}
				list = append(list, Packet{
					Timestamp: uint32(i * 1024), Marker: marked && at+16 >= len(u), Payload: headed([][2]int{{size, 13}, {0, 3}}, part),
				})
			}
		}
		return list
	}
	interleaved := func() (list []Packet) {
		for group := 0; group < count; group += 9 {
			for first := range 3 {
				u := units[group+first:]
				list = append(list, Packet{Timestamp: uint32((group + first) * 1024), Marker: true,
					Payload: headed([][2]int{{len(u[0]), 13}, {0, 3}, {len(u[3]), 13}, {2, 3}, {len(u[6]), 13}, {2, 3}}, u[0], u[3], u[6])})
			}
		}
		return list
	}
	unmarked := each(1, 1024, hbr)
	for i := range unmarked {
		unmarked[i].Marker = false
	}
	inADTS := func(units ...[]byte) []byte {
		var list [][]byte
		for _, u := range units {
			size := len(u) + 7
			list = append(list, append([]byte{0xFF, 0xF1, 0x60, 0x40, byte(size >> 3), byte(size<<5) | 0x1F, 0xFC}, u...))
		}
		return bytes.Join(list, nil)
	}
	inUnit := func(units ...[]byte) []byte { return hbr(inADTS(units...)) }
	constant := func(units ...[]byte) []byte {
		var all []byte
		for _, u := range units {
			all = append(all, u[:40]...)
		}
		return all
	}
	everything := func(units ...[]byte) []byte {
		var head, more fields
		for i, u := range units {
			head.put(len(u), 16)
			head.put(0, 3)
			head.put(min(i, 1), 1)
			if i > 0 {
				head.put(i*1024, 14)
			}
			head.put(1, 1)
			head.put(5, 10)
			head.put(1, 1)
			head.put(9, 4)
		}
		more.put(20, 8)
		more.put(0xABCDE, 20)
		return slices.Concat(binary.BigEndian.AppendUint16(nil, uint16(head.bits)), head.data, more.data, bytes.Join(units, nil))
	}
	for name, row := range map[string]struct {
		rtpmap, fmtp string
		packets      []Packet
		ticks        uint32
		cut          int // bytes of a unit that arrive; 0: all
	}{
		"one a packet":                    {aac16, hbrFMTP, each(1, 1024, hbr), 1024, 0},
		"six a packet":                    {aac16, hbrFMTP, each(6, 1024, hbr), 1024, 0},
		"a clock of 90 kHz":               {"MPEG4-GENERIC/90000/1", hbrFMTP, each(6, 5760, hbr), 5760, 0},
		"the clock of another rate":       {"MPEG4-GENERIC/48000/1", hbrFMTP, each(6, 3072, hbr), 3072, 0},
		"no clock":                        {"MPEG4-GENERIC", hbrFMTP, each(6, 1024, hbr), 1024, 0},
		"HE-AAC, the clock of its output": {"MPEG4-GENERIC/48000/2", withConfig("2b098800"), each(6, 2048, hbr), 2048, 0},
		"HE-AAC, the clock of its core":   {"MPEG4-GENERIC/24000/2", withConfig("2b098800"), each(6, 1024, hbr), 1024, 0},
		"HE-AAC that is not announced":    {"MPEG4-GENERIC/48000/2", withConfig("1308"), each(6, 2048, hbr), 2048, 0},
		"frames of 960 samples":           {aac16, withConfig("140C"), each(6, 960, hbr), 960, 0},
		"units that last otherwise":       {aac16, hbrFMTP + ";constantDuration=2048", each(6, 2048, hbr), 2048, 0},
		"parts with the size of all":      {aac16, hbrFMTP, split(false, true), 1024, 0},
		"parts with their own size":       {aac16, hbrFMTP, split(true, true), 1024, 0},
		"parts without markers":           {aac16, hbrFMTP, split(false, false), 1024, 0},
		"no markers":                      {aac16, hbrFMTP, unmarked, 1024, 0},
		"interleaved":                     {aac16, hbrFMTP + ";maxDisplacement=9216", interleaved(), 1024, 0},
		"interleaved without saying so":   {aac16, hbrFMTP, interleaved(), 1024, 0},
		"ADTS in units":                   {aac16, hbrFMTP, each(1, 1024, inUnit), 1024, 0},
		"several in ADTS in a unit":       {aac16, hbrFMTP, each(6, 1024, inUnit), 1024, 0},
		"ADTS alone":                      {aac16, hbrFMTP, each(6, 1024, inADTS), 1024, 0},
		"no lengths":                      {aac16, "mode=AAC-hbr;config=1408", each(6, 1024, hbr), 1024, 0},
		"nothing said":                    {aac16, "", each(6, 1024, hbr), 1024, 0},
		"no lengths of indices":           {aac16, "mode=AAC-hbr;sizelength=13;config=1408", each(6, 1024, hbr), 1024, 0},
		"low bit rate":                    {aac16, allLow, each(6, 1024, low), 1024, 0},
		"low bit rate, lengths not said":  {aac16, "mode=AAC-lbr;config=1408", each(6, 1024, low), 1024, 0},
		"all fields of headers":           {aac16, "mode=generic;config=1408;" + allFields, each(6, 1024, everything), 1024, 0},
		"units of one size":               {aac16, allAlike, each(6, 1024, constant), 1024, 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range row.packets {
				row.packets[i].Sequence = uint16(65_530 + i)
			}
			g := readAll(t, described(row.rtpmap, row.fmtp), row.packets)
			var want []string
			for i, u := range units {
				if row.cut > 0 {
					u = u[:row.cut]
				}
				want = append(want, show(uint32(i)*row.ticks, u))
			}
			if !slices.Equal(g.frames, want) || g.lost > 0 {
				t.Errorf("%d are lost, and it is read as\n%s\nwant\n%s", g.lost, strings.Join(g.frames, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func withConfig(config string) string { return strings.Replace(hbrFMTP, "1408", config, 1) }

const allAlike = "mode=generic;config=1408;sizelength=0;constantsize=40;constantduration=1024"

const allLow = "mode=AAC-lbr;config=1408;sizelength=6;indexlength=2;indexdeltalength=2"

const allFields = "sizeLength=16;indexLength=3;indexDeltaLength=3;CTSDeltaLength=14;DTSDeltaLength=10;randomAccessIndication=1;" +
	"streamStateIndication=4;auxiliaryDataSizeLength=8"

// low packs units in the mode for low bit rates.
func low(units ...[]byte) []byte {
	var pairs [][2]int
	for _, u := range units {
		pairs = append(pairs, [2]int{len(u), 6}, [2]int{0, 2})
	}
	return headed(pairs, units...)
}
