package media

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// What nothing can play is refused by default, and with AsStored it is stored, returned and opened again.
func TestWhatNothingCanPlayIsStoredAsStored(t *testing.T) {
	t.Parallel()
	reserved := bytes.Clone(avcC)
	reserved[4], reserved[5] = 3, 1
	laced := elem(0xA3, []byte{0x82, 0, 3, 0x84, 1, 1, 2, 3, 4}) // Xiph lacing
	entry := func(codec string) []byte {
		return elem(0xAE, uintElem(0xD7, 1), uintElem(0x73C5, 1), uintElem(0x83, 1), elem(0x86, []byte(codec)))
	}
	webm := bytes.Replace(streamHead(entry("V_VP8")), elem(0x4282, []byte("matroska")), elem(0x4282, []byte("webm\x00\x00\x00\x00")), 1)
	late := append([][]byte{frame(1, 0, false, 20)}, frames(25, 20)[1:]...) // begins without a keyframe
	many := elem(0x63C0)
	for range 20 {
		many = append(many, elem(0x67C8, elem(0x45A3, []byte("ENCODER")))...)
	}
	for name, body := range map[string][][]byte{
		"avcC with reserved bits 0":       {streamHead(video(1, reserved)), second(epoch)},
		"no CodecPrivate and no settings": {streamHead(entry("V_MPEG4/ISO/AVC")), second(epoch)},
		"webm":                            {webm, second(epoch)},
		"laced audio":                     {streamHead(video(1, avcC), audio(2)), cluster(epoch, append(frames(25, 20), laced)...)},
		"no keyframe first":               {streamHead(), cluster(epoch, late...)},
		"Annex B in blocks":               {streamHead(), cluster(epoch, elem(0xA3, []byte{0x81, 0, 0, 0x80, 0, 0, 0, 1, 0x65, 1, 2}))},
		"Tag without SimpleTag":           {streamHead(), second(epoch), elem(0x1254C367, elem(0x7373))},
		"20 tags with Targets":            {streamHead(), second(epoch), elem(0x1254C367, elem(0x7373, many))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Dir: t.TempDir(), Limits: Limits{GetMediaIdle: time.Millisecond}}
			strict := start(t, Options{})
			o.Strictness = AsStored
			c := start(t, o)
			for _, s := range []*cloud{strict, c} {
				p := s.open(t)
				go func() {
					_, _ = p.body.Write(bytes.Join(body, nil)) // the connection may be closed before the end
					p.body.Close()
				}()
				got := p.rest()
				if isStored := slices.Equal(got, stored(epoch)); isStored != (s == c) {
					t.Errorf("AsStored %v: acknowledgements %v", s == c, got)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			c = start(t, o)
			if parts := walk(t, c.getMedia(t, earliest)); len(parts) != 1 || !bytes.Equal(parts[0][5].bytes, body[1]) {
				t.Errorf("GetMedia returns %q", parts)
			}
			for f, err := range c.Frames("cam") {
				if err != nil || len(f.Data) == 0 {
					t.Fatalf("a frame of %d bytes (%v)", len(f.Data), err)
				}
			}
		})
	}
}
