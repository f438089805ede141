// Package nal reads and writes NAL units of H.264 and H.265 bit by bit, as far as a camera that rewrites a film needs it.
package nal

import "bytes"

// The types of NAL units of H.264 (table 7-1).
const (
	H264Slice  = 1
	H264IDR    = 5
	H264SEI    = 6
	H264SPS    = 7
	H264PPS    = 8
	H264AUD    = 9
	H264Filler = 12

	H264EndOfSequence = 10
	H264EndOfStream   = 11
)

// The types of NAL units of H.265 (table 7-1).
const (
	H265LastVCL = 31
	H265IRAP    = 16 // and above

	H265IDR          = 19
	H265IDRNoLeading = 20

	H265VPS       = 32
	H265SPS       = 33
	H265PPS       = 34
	H265PrefixSEI = 39
	H265SuffixSEI = 40
)

// SplitAnnexB returns the NAL units between start codes.
func SplitAnnexB(b []byte) [][]byte {
	var nalus [][]byte
	for _, n := range bytes.Split(b, []byte{0, 0, 1}) {
		// A four-byte start code leaves its first zero at the end of the previous NAL unit.
		if n = bytes.TrimRight(n, "\x00"); len(n) > 0 {
			nalus = append(nalus, n)
		}
	}
	return nalus
}

// Unescape removes the emulation prevention bytes.
func Unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	zeros := 0
	for _, v := range b {
		if zeros == 2 && v == 3 {
			zeros = 0
			continue
		}
		out = append(out, v)
		if v == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}
