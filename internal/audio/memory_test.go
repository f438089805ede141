package audio

import (
	"bytes"
	"testing"
)

// TestMemoryOfDecodersIsBounded has packets of one time that never complete what they start.
func TestMemoryOfDecodersIsBounded(t *testing.T) {
	t.Parallel()
	fill := func(rtpmap, fmtp string, payload []byte) (r *Reader, lost int) {
		stream, ok := described(rtpmap, fmtp).Stream()
		if !ok {
			t.Fatal(rtpmap)
		}
		r = stream.NewReader()
		for n := range 1000 {
			_, missing := r.Read(Packet{Sequence: uint16(n), Payload: payload})
			lost += missing
		}
		return r, lost
	}
	r, lost := fill("MP4A-LATM/16000/1", "cpresent=0;config=40002810adca00", bytes.Repeat([]byte{255}, 1400))
	if d := r.decoder.(*latmDecoder); lost == 0 || cap(d.part) > 2*maxFrame || d.need > 2*maxFrame {
		t.Errorf("LATM: %d lost, %d bytes kept of %d", lost, cap(d.part), d.need)
	}
	element := append([]byte{255, 255, 0}, make([]byte, 510)...)
	for n, part := range [][]byte{element[:300], element[300:]} {
		frames, _ := r.Read(Packet{Sequence: uint16(1000 + n), Timestamp: 1024, Payload: part, Marker: n == 1})
		if whole := len(frames) == 1 && len(frames[0].Data) == 510; whole != (n == 1) {
			t.Errorf("LATM: the element after it is read as %d frames with part %d", len(frames), n)
		}
	}
	r, lost = fill("MPEG4-GENERIC/16000/1", hbrFMTP+";maxDisplacement=9216", hbr(unitOf(1, 8000)))
	kept := 0
	for _, u := range r.decoder.(*genericDecoder).held {
		kept += cap(u.data)
	}
	if frames := len(r.Flush()); kept > 2*maxHeldBytes || frames != maxHeldBytes/8000 || frames+lost != 1000 {
		t.Errorf("MPEG4-GENERIC: %d bytes kept, %d frames and %d lost", kept, frames, lost)
	}
}
