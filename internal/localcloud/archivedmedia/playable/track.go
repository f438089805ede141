// Package playable owns which media Kinesis Video Streams plays, and what a player gets of a fragment: its samples, as
// parts of fragmented MP4. It must not know who asks for them, nor which fragments there are.
// Sources: API reference, GetHLSStreamingSessionURL and GetClip (codec IDs of the tracks, codec private data); RFC 6381 (names
// of codecs).
package playable

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// codecHEVCKVS is what the API reference of GetHLSStreamingSessionURL calls HEVC.
const codecHEVCKVS = "V_MPEG/ISO/HEVC"

// Track is one that players get.
type Track struct {
	Number        uint64 // in Matroska, and in URLs
	Video         bool
	Codec         mp4.Codec
	Name          string // of the codec with its profile, as RFC 6381 has it
	Width, Height int    // video: pixels

	sets      [][]byte // video: parameter sets that Codec has no place for
	nalLength int      // video: bytes of the length before each NAL unit
	private   []byte
	codecID   string
	kind      string // as the tables of uses have it
}

// Tracks are those of a session.
type Tracks []Track

// TracksOf reads the tracks of a fragment. The error says why AWS plays it nowhere: it is one of those that the operations of
// archived media declare. What plays it says PlayedBy.
func TracksOf(h *strictmkv.Header) (Tracks, error) {
	var tracks Tracks
	for i := range h.Tracks {
		t, err := readTrack(&h.Tracks[i], i)
		if err != nil {
			return nil, err
		}
		tracks = append(tracks, t)
	}
	switch {
	case len(tracks) == 0:
		return nil, unsupported("the fragment has no track")
	case len(tracks) > 2:
		return nil, unsupported("the fragment has %d tracks; players get one of video and one of audio", len(tracks))
	case len(tracks) == 2 && (!tracks[0].Video || tracks[1].Video):
		return nil, unsupported("the first track must be video and the second one audio, and they are %s and %s",
			tracks[0].codecID, tracks[1].codecID)
	}
	return tracks, nil
}

// Same reports whether a session that began with these tracks can continue with others: whether they have the same codec private data.
func (l Tracks) Same(other Tracks) bool {
	if len(l) != len(other) {
		return false
	}
	for i := range l {
		if l[i].Number != other[i].Number || l[i].codecID != other[i].codecID || !bytes.Equal(l[i].private, other[i].private) {
			return false
		}
	}
	return true
}

// Alike reports whether other tracks differ from these in their codec private data at most.
func (l Tracks) Alike(other Tracks) bool {
	return slices.EqualFunc(l, other, func(a, b Track) bool { return a.Number == b.Number && a.codecID == b.codecID && a.kind == b.kind })
}

// ByNumber finds a track by its number in Matroska.
func (l Tracks) ByNumber(number uint64) (*Track, bool) {
	for i := range l {
		if l[i].Number == number {
			return &l[i], true
		}
	}
	return nil, false
}

// codecs are those that players know, by their IDs in Matroska.
var codecs = map[string]struct {
	kind  string
	video bool
	read  func(*Track) error
}{
	strictmkv.CodecAVC: {kindH264, true, readAVC}, strictmkv.CodecAVCKVS: {kindH264, true, readAVC},
	strictmkv.CodecHEVC: {kindH265, true, readHEVC}, codecHEVCKVS: {kindH265, true, readHEVC},
	strictmkv.CodecAAC: {kindAAC, false, readAAC}, strictmkv.CodecACM: {"", false, readG711}, // which sets the kind
}

func readTrack(t *strictmkv.Track, at int) (Track, error) {
	codec, known := codecs[t.CodecID]
	track := Track{Number: t.Number, Video: t.Type == strictmkv.TypeVideo, private: t.CodecPrivate, codecID: t.CodecID, kind: codec.kind}
	switch {
	case !known:
		return track, unsupported("the codec ID of track %d is %q, not that of H.264, H.265, AAC or G.711", at+1, t.CodecID)
	case track.Video != codec.video:
		return track, unsupported("track %d has the codec ID %s and the type %d", at+1, t.CodecID, t.Type)
	case len(t.CodecPrivate) == 0:
		return track, refused(kvsmodel.MissingCodecPrivate, "No codec private data was found in track %d.", at+1)
	}
	if err := codec.read(&track); err != nil {
		return track, refused(kvsmodel.InvalidCodecPrivate, "The codec private data of track %d is not valid: %s.", at+1, err)
	}
	return track, nil
}

// readAAC reads an AudioSpecificConfig (ISO/IEC 14496-3).
func readAAC(t *Track) error {
	codec := &mp4.CodecMPEG4Audio{}
	if err := codec.Config.Unmarshal(t.private); err != nil {
		return err
	}
	if codec.Config.Type != mpeg4audio.ObjectTypeAACLC {
		return fmt.Errorf("its audio object type is %d, not AAC-LC", codec.Config.Type)
	}
	t.Codec, t.Name = codec, fmt.Sprintf("mp4a.40.%d", codec.Config.Type)
	return nil
}

func unsupported(format string, args ...any) error {
	return refused(kvsmodel.UnsupportedMediaType, format, args...)
}

func refused(name, format string, args ...any) error {
	return awsapi.Errorf(http.StatusBadRequest, name, "the media", format, args...)
}
