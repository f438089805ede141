package playable

import (
	"slices"
	"strings"
)

// Use is what tracks are to be played by.
type Use uint8

// The uses that the developer guide has a table for ("Video playback track requirements").
const (
	ByHLS Use = iota // in fragmented MP4
	ByTransportStream
	ByDASH
	ByClip
)

// The kinds of tracks.
const (
	kindH264 = "H.264"
	kindH265 = "H.265"
	kindAAC  = "AAC"
	kindALaw = "G.711 A-law"
	kindULaw = "G.711 µ-law"
)

// beside joins the kinds of two tracks.
const beside = " beside "

// uses are the rows of the tables.
var uses = map[Use]struct {
	name string
	rows []string
}{
	ByHLS:             {"HLS", []string{kindH264, kindH264 + beside + kindAAC, kindAAC, kindH265, kindH265 + beside + kindAAC}},
	ByTransportStream: {"HLS in MPEG_TS", []string{kindH264, kindH264 + beside + kindAAC, kindAAC}},
	ByDASH: {"MPEG-DASH", []string{kindH264, kindH264 + beside + kindAAC, kindH264 + beside + kindALaw, kindH264 + beside + kindULaw, kindAAC,
		kindH265, kindH265 + beside + kindAAC}},
	ByClip: {"GetClip", []string{kindH264, kindH264 + beside + kindAAC, kindH264 + beside + kindALaw, kindH265, kindH265 + beside + kindAAC}},
}

// PlayedBy returns the error of tracks that a use does not play.
func (l Tracks) PlayedBy(use Use) error {
	var kinds []string
	for i := range l {
		kinds = append(kinds, l[i].kind)
	}
	table, have := uses[use], strings.Join(kinds, beside)
	if slices.Contains(table.rows, have) {
		return nil
	}
	return unsupported("%s does not play %s; it plays %s", table.name, have, strings.Join(table.rows, ", "))
}
