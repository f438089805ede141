package fakecam

import (
	_ "embed" // the clips
	"errors"
	"fmt"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
)

//go:embed clip.h264
var clip1080AnnexB []byte

//go:embed clip720.h264
var clip720AnnexB []byte

//go:embed clip.jpg
var clipJPEG []byte

// clip is a looping film, split into RTP payloads once and shared by all sessions of all cameras.
type clip struct {
	vps      []byte      // H.265 only
	sps, pps []byte      // nil for MJPEG
	row      *stamps.Row // nil: the pictures are as they are in the film
	frames   []frame
}

// frame is one picture. Parts that differ each time it is sent (stamps, filler) are not included.
type frame struct {
	key        bool
	params     [][]byte // RTP payloads of the parameter sets, before a keyframe
	paramUnits [][]byte // the parameter sets
	paramsSize int      // bytes of the parameter sets as NAL units with 4-byte lengths
	body       [][]byte // RTP payloads of the picture
	bodyUnits  [][]byte // the NAL units of the picture; nil for MJPEG
	bodySize   int      // bytes of the picture as NAL units with 4-byte lengths
	row        stamps.RowHeader
}

// size is the mean size of a frame with its stamp, in bytes.
func (c *clip) size() float64 {
	total := 0
	var writer stamps.RowWriter
	for _, f := range c.frames {
		total += f.paramsSize + f.bodySize + 4 + len(stamps.Stamp{}.Append(nil))
		if c.row != nil {
			total += 4 + len(writer.Write(c.row, f.row, stamps.MostBlocks, true))
		}
	}
	return float64(total) / float64(len(c.frames))
}

// The clips are parsed when the first camera starts, so that other users of the binary need not wait.
var (
	clip1080 = sync.OnceValues(func() (*clip, error) { return parseClip(clip1080AnnexB) })
	clip720  = sync.OnceValues(func() (*clip, error) { return parseClip(clip720AnnexB) })
	clip360  = sync.OnceValues(func() (*clip, error) { return parseH265(clip360AnnexB, new(stamps.H265Cutter)) })
)

// parseClip splits an Annex B film into access units and RTP payloads.
func parseClip(annexB []byte) (*clip, error) { return parseH264(annexB, false, new(stamps.H264Cutter)) }

// parseFilm is parseClip for films whose SEI messages matter, and whose keyframes need not be IDR.
func parseFilm(annexB []byte) (*clip, error) { return parseH264(annexB, true, nil) }

func parseH264(annexB []byte, withSEI bool, cutter *stamps.H264Cutter) (*clip, error) {
	c := new(clip)
	var header stamps.RowHeader
	var params, messages, slices [][]byte
	flush := func() {
		if len(slices) > 0 {
			c.frames = append(c.frames, newFrame(params, messages, slices, header))
			params, messages, slices = nil, nil, nil
		}
	}
	for _, nalu := range nal.SplitAnnexB(annexB) {
		if cutter != nil {
			flush()
			var err error
			if header, nalu, err = cutter.Cut(nalu); err != nil {
				return nil, err
			}
			c.row = cutter.Row()
		}
		switch nalu[0] & 0x1f {
		case nal.H264SPS:
			flush()
			c.sps = nalu
			params = append(params, nalu)
		case nal.H264PPS:
			flush()
			c.pps = nalu
			params = append(params, nalu)
		case nal.H264Slice, nal.H264IDR:
			// first_mb_in_slice is 0, coded as one bit, in the first slice of a picture only.
			if len(nalu) > 1 && nalu[1]&0x80 != 0 {
				flush()
			}
			slices = append(slices, nalu)
		case nal.H264SEI:
			flush()
			if withSEI {
				messages = append(messages, nalu)
			}
		case nal.H264AUD, nal.H264EndOfSequence, nal.H264EndOfStream, nal.H264Filler:
			flush()
		default:
			return nil, fmt.Errorf("the clip has a NAL unit of type %d, which this camera does not send", nalu[0]&0x1f)
		}
	}
	flush()
	if len(c.frames) == 0 || !c.frames[0].key || len(c.frames[0].params) == 0 {
		return nil, errors.New("the clip does not begin with parameter sets and a keyframe")
	}
	return c, nil
}

// newFrame splits the NAL units of a picture of H.264.
func newFrame(params, messages, slices [][]byte, row stamps.RowHeader) frame {
	f := frame{key: slices[0][0]&0x1f == nal.H264IDR || len(params) > 0, row: row, paramUnits: params}
	if len(params) > 0 {
		f.params = [][]byte{aggregate(params)}
	}
	for _, n := range params {
		f.paramsSize += 4 + len(n)
	}
	f.bodyUnits = append(messages, slices...)
	for _, n := range f.bodyUnits {
		f.body = appendPayloads(f.body, n)
		f.bodySize += 4 + len(n)
	}
	return f
}
