package sdp

import (
	"fmt"
	"slices"
	"strings"
)

// helpers are auxiliary formats: what they carry is not a track of its own.
var helpers = []string{"RTX", "RED", "ULPFEC", "FLEXFEC", "FLEXFEC-03", "PARITYFEC", "1D-INTERLEAVED-PARITYFEC", "CN", "TELEPHONE-EVENT"}

// leftOut names, for people, the tracks of a kind that are not played besides the chosen one: "2 videos (H264, MJPEG)", "" without.
// Talk-back tracks are left out, and so are all tracks if none is chosen.
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

// names returns the names of a track's codecs.
func (t Track) names() (list []string) {
	for _, f := range t.Formats {
		if name := f.Name(); !slices.Contains(helpers, f.Codec) && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// counted returns a phrase such as "a video" or "2 audio tracks".
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
