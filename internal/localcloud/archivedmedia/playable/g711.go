package playable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"
)

// The format tags of G.711 in a WAVEFORMATEX.
const (
	tagALaw = 6
	tagULaw = 7
)

// readG711 reads a WAVEFORMATEX, whose integers are little-endian.
func readG711(t *Track) error {
	b := t.private
	if len(b) < 16 {
		return errors.New("it is shorter than a WAVEFORMATEX")
	}
	codec := &mp4.CodecLPCM{
		BitDepth: 16, ChannelCount: int(binary.LittleEndian.Uint16(b[2:])), SampleRate: int(binary.LittleEndian.Uint32(b[4:])),
	}
	switch tag := binary.LittleEndian.Uint16(b); {
	case tag == tagALaw:
		t.kind, t.Name = kindALaw, "alaw"
	case tag == tagULaw:
		t.kind, t.Name = kindULaw, "ulaw"
	default:
		return fmt.Errorf("the format tag of its WAVEFORMATEX is %d, not that of G.711", tag)
	}
	if codec.ChannelCount == 0 || codec.SampleRate == 0 || codec.SampleRate >= 1<<16 {
		return errors.New("its WAVEFORMATEX has no channels, or no sample rate that MP4 can have")
	}
	t.Codec = codec
	return nil
}

// nameG711 sets the name of tracks of G.711 in a file of MP4: mediacommon has none, and wrote them as linear PCM, whose entry
// has the same form. The box of that alone, pcmC, becomes free space.
func (l Tracks) nameG711(file []byte) []byte {
	const head = 8
	for at := 0; at+head <= len(file); {
		size := int(binary.BigEndian.Uint32(file[at:]))
		if size < head || at+size > len(file) {
			return file
		}
		if string(file[at+4:at+head]) != "moov" {
			at += size
			continue
		}
		moov := file[at : at+size]
		for i := range l {
			if l[i].kind == kindALaw || l[i].kind == kindULaw {
				replace(moov, "ipcm", l[i].Name)
				replace(moov, "pcmC", "free")
			}
		}
		return file
	}
	return file
}

// replace puts a text of the same length in place of the first one like old.
func replace(b []byte, old, text string) {
	if i := bytes.Index(b, []byte(old)); i >= 0 {
		copy(b[i:], text)
	}
}
