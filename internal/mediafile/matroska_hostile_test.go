package mediafile

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// Sizes announced by a file are not allocated before the data is there. Not parallel: it counts the allocations of the process.
func TestHostileFilesTakeNoMemory(t *testing.T) {
	const huge, unknown = "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFE", "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF" // 2^56 - 2 bytes
	ebml := elementOf(element.IDEBML, "")
	segment := ebml + "\x18\x53\x80\x67" + unknown
	tracks := func(content string) string { return segment + wideElementOf(element.IDTracks, content) }
	zeros := strings.Repeat("\x00", 15<<20)
	for name, file := range map[string]string{
		"tracks of 2^56 bytes":            segment + "\x16\x54\xAE\x6B" + huge,
		"tracks of unknown size":          segment + "\x16\x54\xAE\x6B" + unknown + pictures,
		"tracks of 16 MiB that are short": segment + "\x16\x54\xAE\x6B\x01\x00\x00\x00\x01\x00\x00\x00" + pictures,
		"info of 2^56 bytes":              segment + "\x15\x49\xA9\x66" + huge,
		"a title of 2^56 bytes":           segment + elementOf(element.IDInfo, "\x7B\xA9"+huge),
		"something of 2^56 bytes":         segment + "\xEC" + huge,
		"a track of 2^56 bytes":           tracks("\xAE" + huge),
		"a track of unknown size":         tracks("\xAE" + unknown + pictures),
		"a codec's data of 2^56 bytes":    tracks(elementOf(element.IDTrackEntry, "\x63\xA2"+huge)),
		"a codec's data of 2^40 bytes":    tracks(elementOf(element.IDTrackEntry, "\x63\xA2\x01\x00\x01\x00\x00\x00\x00\x00")),
		"a codec's name of zeros":         tracks(wideElementOf(element.IDTrackEntry, wideElementOf(element.IDCodecID, zeros))),
		"millions of tracks":              tracks(strings.Repeat("\xAE\x80", 7<<20)),
		"millions of elements in a track": tracks(wideElementOf(element.IDTrackEntry, strings.Repeat("\xEC\x80", 7<<20))),
		"a frame of 2^56 bytes":           tracks(pictures) + "\x1F\x43\xB6\x75" + unknown + "\xA3" + huge,
	} {
		var before, after runtime.MemStats
		r := bytes.NewReader([]byte(file))
		runtime.GC()
		runtime.ReadMemStats(&before)
		f, err := Open(r)
		for n := 0; err == nil && n < 100; n++ {
			_, err = f.Next()
		}
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s is read", name)
		}
		// A buffer that doubles takes at most four times its final size; ebml-go skips the rest.
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(6*len(file)+1<<20); got > most {
			t.Errorf("%s: a file of %d bytes takes %d bytes, want at most %d: %v", name, len(file), got, most, err)
		} else {
			t.Logf("%s: a file of %d bytes takes %d bytes: %v", name, len(file), got, err)
		}
	}
}

// wideElementOf returns an element with a size field of 8 bytes.
func wideElementOf(id uint32, content string) string {
	head := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
	return string(binary.BigEndian.AppendUint64(head, element.Size8(int64(len(content))))) + content
}
