package audio

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// fuzzed are the encodings that FuzzPackets reads, with their parameters.
var fuzzed = []string{
	"MPEG4-GENERIC/16000/1 " + hbrFMTP, "MPEG4-GENERIC/16000/1 " + hbrFMTP + ";maxDisplacement=9216",
	"MPEG4-GENERIC/48000/2 mode=generic;config=1190;" + allFields, "MPEG4-GENERIC/16000/1 mode=AAC-lbr;config=1408",
	"MPEG4-GENERIC/16000/1 config=1408;sizelength=0;constantsize=6", "MP4A-LATM/16000/1 cpresent=1",
	"MP4A-LATM/16000/1 cpresent=0;config=40002810adca00", "MP4A-LATM/16000/1 ", "MP4A-LATM/90000 cpresent=1;config=400028103fc0",
	"OPUS/48000/2 ", "PCMU/8000 ", "L24/48000/6 ", "G726-24/8000 ", "G722/8000 ", "MPA/90000 ", "AC3/48000/6 ", "EAC3/48000/6 ",
}

// FuzzPackets reads packets from data: a length of two bytes before each packet, whose first five bytes are its number, its
// marker and its time.
func FuzzPackets(f *testing.F) {
	f.Add(0, "config=1408", []byte{0, 12, 1, 0, 0, 0, 1, 0, 16, 0, 24, 1, 2, 3})
	f.Add(5, "", append([]byte{0, 18, 1, 0, 0, 0, 1}, 0x20, 0x00, 0x14, 0x08, 0x1f, 0xe0, 0, 4, 1, 2, 3, 4))
	f.Add(14, "", append([]byte{0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0}, 0xff, 0xfb, 0x90, 0x64))
	f.Add(15, "", append([]byte{0, 15, 1, 0, 0, 0, 1, 0, 1}, 0x0b, 0x77, 0, 0, 0x14, 0x40, 0x43, 0))
	f.Add(12, "", []byte{0, 11, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, kind int, more string, data []byte) {
		rtpmap, fmtp, _ := strings.Cut(fuzzed[uint(kind)%uint(len(fuzzed))], " ")
		d := described(rtpmap, more+";"+fmtp)
		_ = d.Name()
		s, ok := d.Stream()
		if !ok {
			return
		}
		r := s.NewReader()
		check := func(frames []Frame) {
			if f, fresh := r.Format(); fresh && !f.Valid() {
				t.Fatalf("the format %+v is invalid", f)
			}
			for _, f := range frames {
				if len(f.Data) == 0 || len(f.Data) > maxFrame {
					t.Fatalf("a frame of %d bytes", len(f.Data))
				}
			}
		}
		for len(data) >= 7 {
			n := min(max(int(binary.BigEndian.Uint16(data)), 7), len(data))
			at := binary.BigEndian.Uint32(data[3:]) & 0xFFFFFF
			p := Packet{Sequence: uint16(data[2]), Marker: data[3]&1 == 1, Timestamp: at, Payload: data[7:n:n]}
			frames, lost := r.Read(p)
			if lost < 0 || lost > maxMissing+1 {
				t.Fatalf("%d packets are lost", lost)
			}
			check(frames)
			data = data[n:]
		}
		check(r.Flush())
	})
}

// FuzzElementary reads elementary streams, in portions of a size.
func FuzzElementary(f *testing.F) {
	for c, text := range map[Container]string{
		ADTS: "fff160400160fc01020304", LOAS: "56e00a20001408 1fe00401020304", MPEG: "fffb9064", Dolby: "0b77000014404300",
		TSOpus: "7fe004fc010203",
	} {
		data, _ := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		f.Add(uint8(c), uint8(5), data)
	}
	f.Fuzz(func(t *testing.T, container, portion uint8, data []byte) {
		e := NewElementary(Container(container%5+1), opusFormat(2, nil))
		for at := uint32(0); len(data) > 0; at += 1000 {
			n := min(max(int(portion), 1), len(data))
			frames, _ := e.Read(data[:n], at)
			for _, f := range frames {
				if len(f.Data) == 0 || len(f.Data) > maxFrame {
					t.Fatalf("a frame of %d bytes", len(f.Data))
				}
			}
			data = data[n:]
		}
	})
}

// FuzzConfigs reads the configs of codecs.
func FuzzConfigs(f *testing.F) {
	for _, text := range []string{"1408", "2b098800", "130856e598", "f8e62000", "b98c00", "05908000080000", "400028103fc0"} {
		data, _ := hex.DecodeString(text)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if format, ok := AACFormat(data); ok {
			again, _, ok := Of(format.Track(2))
			if !ok || !format.Valid() && format.Channels <= maxChannels || again.Channels != format.Channels {
				t.Fatalf("%+v is read as %+v", format, again)
			}
			_ = format.Name()
		}
		if format, _, ok := OpusFormat(data); ok && !format.Valid() {
			t.Fatalf("%+v", format)
		}
		_, _ = waveFormat(data, Format{Rate: 8000, Channels: 1})
		parseMux(&bitReader{data: data})
	})
}
