package hls

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
)

// played says which tracks of a recording are played, and how playlists describe them.
type played struct {
	video   mkv.Track
	audio   *mkv.Track // nil: none
	leftOut string     // the codec of audio that browsers do not play in MP4; "": none
	codecs  []string   // as in RFC 6381
	init    []byte     // what precedes the media: the same for the same tracks
	sum     uint32     // of init
}

// playedOf returns the first track of video, and the first of audio that browsers play.
func playedOf(tracks []mkv.Track) (p played) {
	var list []mp4.Track
	for _, t := range tracks {
		if t.Kind == mkv.Video {
			if track, ok := mp4.NewTrack(videoID, t, false); ok && len(list) == 0 {
				p.video, list = t, append(list, track)
				p.codecs = append(p.codecs, videoCodec(t))
			}
			continue
		}
		f, _, _ := audio.Of(t)
		track, ok := mp4.NewTrack(audioID, t, false)
		switch browsers := f.Codec == audio.AAC || f.Codec == audio.Opus; {
		case p.audio != nil:
		case ok && browsers:
			p.audio, list, p.leftOut = &t, append(list, track), ""
			p.codecs = append(p.codecs, audioCodec(f))
		case p.leftOut == "":
			p.leftOut = audio.NameOf(t)
		}
	}
	p.init = mp4.AppendHeader(nil, mp4.Movie{Title: "kvs-edge-agent", Tracks: list})
	p.sum = crc32.ChecksumIEEE(p.init)
	return p
}

// The numbers of tracks in MP4.
const (
	videoID = 1
	audioID = 2
)

// videoCodec returns the name of a codec with its profile and level (RFC 6381, section 3.3; ISO/IEC 14496-15, annex E).
func videoCodec(t mkv.Track) string {
	private := t.CodecPrivate
	if t.CodecID == mkv.CodecAVC {
		if len(private) < 4 {
			return "avc1"
		}
		return fmt.Sprintf("avc1.%02X%02X%02X", private[1], private[2], private[3])
	}
	if len(private) < 13 {
		return "hvc1"
	}
	const tierBit = 0x20
	space := []string{"", "A", "B", "C"}[private[1]>>6]
	tier := "L"
	if private[1]&tierBit != 0 {
		tier = "H"
	}
	name := fmt.Sprintf("hvc1.%s%d.%X.%s%d", space, private[1]&0x1F, bits.Reverse32(binary.BigEndian.Uint32(private[2:])), tier, private[12])
	constraints := private[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, b := range constraints {
		name += fmt.Sprintf(".%X", b)
	}
	return name
}

// audioCodec returns the name of a codec (RFC 6381, section 3.3).
func audioCodec(f audio.Format) string {
	if f.Codec == audio.Opus {
		return "opus"
	}
	const escape = 31
	object := byte(2)
	if len(f.Config) > 0 {
		object = f.Config[0] >> 3
	}
	if object == escape && len(f.Config) > 1 { // ISO/IEC 14496-3, 1.6.2.1
		object = 32 + (f.Config[0]&7)<<3 + f.Config[1]>>5
	}
	return fmt.Sprintf("mp4a.40.%d", object)
}

// addCodecs adds those of a recording that are not in the list.
func addCodecs(list, codecs []string) []string {
	for _, c := range codecs {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}
