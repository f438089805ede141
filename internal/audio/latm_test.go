package audio

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// muxOf writes a StreamMuxConfig of AAC-LC at 16 kHz.
func muxOf(f *fields, version, subFrames, other int) {
	if f.put(version, 1); version == 1 {
		f.put(0, 1)
		f.put(0, 2)
		f.put(255, 8)
	}
	f.put(1, 1)
	f.put(subFrames-1, 6)
	f.put(0, 7)
	if version == 1 {
		f.put(0, 2)
		f.put(16, 8)
	}
	f.put(0x1408, 16)
	f.put(0, 3)
	f.put(255, 8)
	if f.put(min(other, 1), 1); other > 0 {
		if version == 1 {
			f.put(0, 2)
		} else {
			f.put(0, 1)
		}
		f.put(other, 8)
	}
	f.put(0, 1)
}

func TestElementsOfLATM(t *testing.T) {
	t.Parallel()
	const count = 12
	var units [][]byte
	for n := range count {
		units = append(units, unitOf(n, 250+n)) // some need two bytes for their size
	}
	type way struct{ inBand, same, version, subFrames, elements, other, parts int }
	packets := func(w way) (list []Packet) {
		step := w.subFrames * w.elements
		for i := 0; i < count; i += step {
			var all []byte
			for e := range w.elements {
				var f fields
				switch {
				case w.inBand == 1 && w.same == 1 && i > 0:
					f.put(1, 1)
				case w.inBand == 1:
					f.put(0, 1)
					muxOf(&f, w.version, w.subFrames, w.other)
				}
				for n := range w.subFrames {
					u := units[i+e*w.subFrames+n]
					for size := len(u); ; size -= 255 {
						if f.put(min(size, 255), 8); size < 255 {
							break
						}
					}
					f.bytes(u)
				}
				f.put(0, w.other)
				all = append(all, f.data...)
			}
			size := len(all)
			if w.parts > 0 {
				size = w.parts
			}
			for at := 0; at < len(all); at += size {
				list = append(list, Packet{Sequence: uint16(len(list)), Timestamp: uint32(i * 1024), Marker: at+size >= len(all),
					Payload: all[at:min(at+size, len(all))]})
			}
		}
		return list
	}
	config := func(subFrames, other int) string {
		var f fields
		muxOf(&f, 0, subFrames, other)
		return hex.EncodeToString(f.data)
	}
	for name, row := range map[string]struct {
		fmtp string
		way  way
	}{
		"config in each packet":                 {"cpresent=1", way{1, 0, 0, 1, 1, 0, 0}},
		"config in the first packet":            {"cpresent=1", way{1, 1, 0, 1, 1, 0, 0}},
		"several subframes":                     {"cpresent=1", way{1, 1, 0, 3, 1, 0, 0}},
		"several elements, version 1":           {"cpresent=1", way{1, 0, 1, 2, 2, 0, 0}},
		"other data":                            {"cpresent=1", way{1, 0, 0, 2, 1, 13, 0}},
		"config in the description":             {"cpresent=0;config=" + config(1, 0), way{0, 0, 0, 1, 1, 0, 0}},
		"several subframes, in parts":           {"cpresent=0;config=" + config(4, 0), way{0, 0, 0, 4, 1, 0, 100}},
		"in band and in parts":                  {"cpresent=1", way{1, 1, 0, 2, 1, 0, 100}},
		"cpresent is not given":                 {"config=" + config(1, 0), way{0, 0, 0, 1, 1, 0, 0}},
		"nothing is given":                      {"", way{1, 0, 0, 1, 1, 0, 0}},
		"nothing is given or sent":              {"", way{0, 0, 0, 1, 1, 0, 0}},
		"an empty config":                       {"cpresent=0;config=", way{0, 0, 0, 1, 1, 0, 0}},
		"an empty config that is sent":          {"cpresent=0;config=", way{1, 1, 0, 1, 1, 0, 0}},
		"announced in band, and is not":         {"cpresent=1;config=" + config(1, 0), way{0, 0, 0, 1, 1, 0, 0}},
		"an AudioSpecificConfig":                {"cpresent=0;config=1408", way{0, 0, 0, 1, 1, 0, 0}},
		"GStreamer's, which ends in the middle": {"cpresent=0;config=40002810adca00", way{0, 0, 0, 1, 1, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := readAll(t, described("MP4A-LATM/16000/1", row.fmtp), packets(row.way))
			var want []string
			for i, u := range units {
				want = append(want, show(uint32(i*1024), u))
			}
			if !slices.Equal(g.frames, want) || g.lost > 0 || g.format.Rate != 16_000 || g.format.Channels != 1 {
				t.Errorf("%d are lost, and it is read as %+v:\n%s\nwant\n%s", g.lost, g.format, strings.Join(g.frames, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}
