package sdp

import (
	"fmt"
	"slices"
	"strings"
)

// helpers are formats that only help others: what they carry is no track of its own.
var helpers = []string{"RTX", "RED", "ULPFEC", "FLEXFEC", "FLEXFEC-03", "PARITYFEC", "1D-INTERLEAVED-PARITYFEC", "CN", "TELEPHONE-EVENT"}

// leftOut names the tracks of a kind that are not played beside the chosen one, for people: "2 videos (H264, MJPEG)", "" without. Those
// that go to the camera are not among them, nor any where none is chosen.
func (d Description) leftOut(kind, back string, chosen *Chosen) string {
	var codecs []string
	tracks := 0
	for i, t := range d.Tracks {
		if chosen == nil || i == chosen.index || t.Kind != kind || t.Direction == back || t.Direction == "inactive" {
			continue
		}
		names := t.names()
		if len(names) > 0 {
			tracks++
		}
		for _, name := range names {
			if !slices.Contains(codecs, name) {
				codecs = append(codecs, name)
			}
		}
	}
	if tracks == 0 {
		return ""
	}
	return counted(tracks, kind) + " (" + strings.Join(codecs, ", ") + ")"
}

// names are those of the codecs of a track.
func (t Track) names() (list []string) {
	for _, f := range t.Formats {
		if name := f.Name(); !slices.Contains(helpers, f.Codec) && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// counted is such as "a video" and "2 audio tracks".
func counted(n int, kind string) string {
	switch {
	case kind == "audio" && n == 1:
		return "an audio track"
	case kind == "audio":
		return fmt.Sprintf("%d audio tracks", n)
	case n == 1:
		return "a " + kind
	default:
		return fmt.Sprintf("%d %ss", n, kind)
	}
}
