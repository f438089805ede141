package fakecam

import (
	"bytes"
	_ "embed" // the clips
	"errors"
	"fmt"
	"sync"
)

//go:embed clip.h264
var clip1080AnnexB []byte

//go:embed clip720.h264
var clip720AnnexB []byte

//go:embed clip.jpg
var clipJPEG []byte

// clip is a looping film, cut into RTP payloads once and shared by all sessions of all cameras.
type clip struct {
	vps      []byte // H.265 only
	sps, pps []byte // nil for MJPEG
	row      *row   // nil: the pictures are as they are in the film
	frames   []frame
}

// frame is one picture. What differs from sending to sending (stamps, filler) is not part of it.
type frame struct {
	key        bool
	params     [][]byte // RTP payloads of the parameter sets, before a keyframe
	paramsSize int      // bytes of the parameter sets as NAL units with 4-byte lengths
	body       [][]byte // RTP payloads of the picture
	bodySize   int      // bytes of the picture as NAL units with 4-byte lengths
	row        rowHeader
}

// size is the mean size of a frame with its stamp, in bytes.
func (c *clip) size() float64 {
	total := 0
	var writer rowWriter
	for _, f := range c.frames {
		total += f.paramsSize + f.bodySize + 4 + len(Stamp{}.append(nil))
		if c.row != nil {
			total += 4 + len(writer.write(c.row, f.row, mostBlocks, true))
		}
	}
	return float64(total) / float64(len(c.frames))
}

// The clips are cut when the first camera starts: other users of the binary pay nothing.
var (
	clip1080 = sync.OnceValues(func() (*clip, error) { return parseClip(clip1080AnnexB) })
	clip720  = sync.OnceValues(func() (*clip, error) { return parseClip(clip720AnnexB) })
	clip360  = sync.OnceValues(func() (*clip, error) { return parseHEVC(clipHEVC, new(h265Cutter)) })
)

// parseClip cuts an Annex B film into access units and RTP payloads.
func parseClip(annexB []byte) (*clip, error) { return parseAVC(annexB, false, new(h264Cutter)) }

// parseFilm is parseClip for films whose SEI messages matter, and whose keyframes need be no IDR.
func parseFilm(annexB []byte) (*clip, error) { return parseAVC(annexB, true, nil) }

func parseAVC(annexB []byte, withSEI bool, cutter *h264Cutter) (*clip, error) {
	c := new(clip)
	var header rowHeader
	var params, messages, slices [][]byte
	flush := func() {
		if len(slices) > 0 {
			c.frames = append(c.frames, newFrame(params, messages, slices, header))
			params, messages, slices = nil, nil, nil
		}
	}
	for _, nalu := range splitAnnexB(annexB) {
		if cutter != nil {
			flush()
			var err error
			if header, nalu, err = cutter.cut(nalu); err != nil {
				return nil, err
			}
			c.row = cutter.row
		}
		switch nalu[0] & 0x1f {
		case nalSPS:
			flush()
			c.sps = nalu
			params = append(params, nalu)
		case nalPPS:
			flush()
			c.pps = nalu
			params = append(params, nalu)
		case nalSlice, nalIDR:
			// first_mb_in_slice is 0, coded as one bit, in the first slice of a picture only.
			if len(nalu) > 1 && nalu[1]&0x80 != 0 {
				flush()
			}
			slices = append(slices, nalu)
		case nalSEI:
			flush()
			if withSEI {
				messages = append(messages, nalu)
			}
		case nalAUD, nalEndOfSequence, nalEndOfStream, nalFiller:
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

// newFrame cuts the NAL units of a picture of H.264.
func newFrame(params, messages, slices [][]byte, row rowHeader) frame {
	f := frame{key: slices[0][0]&0x1f == nalIDR || len(params) > 0, row: row}
	if len(params) > 0 {
		f.params = [][]byte{aggregate(params)}
	}
	for _, n := range params {
		f.paramsSize += 4 + len(n)
	}
	for _, n := range append(messages, slices...) {
		f.body = appendPayloads(f.body, n)
		f.bodySize += 4 + len(n)
	}
	return f
}

// splitAnnexB returns the NAL units between start codes.
func splitAnnexB(b []byte) [][]byte {
	var nalus [][]byte
	for _, n := range bytes.Split(b, []byte{0, 0, 1}) {
		// A four-byte start code leaves its first zero at the end of the NAL unit before.
		if n = bytes.TrimRight(n, "\x00"); len(n) > 0 {
			nalus = append(nalus, n)
		}
	}
	return nalus
}
