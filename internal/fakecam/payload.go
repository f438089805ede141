package fakecam

import (
	"bytes"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
)

// RTP payloads of H.264 (RFC 6184, packetization mode 1).

const (
	maxPayload  = 1400 // bytes; with all headers below an Ethernet MTU
	payloadFUA  = 28
	payloadSTAP = 24
	maxFragment = maxPayload - 2 // bytes of a NAL unit in a FU-A payload
)

// aggregate puts small NAL units into one STAP-A payload.
func aggregate(nalus [][]byte) []byte {
	out := []byte{0x60 | payloadSTAP}
	for _, n := range nalus {
		out = append(out, byte(len(n)>>8), byte(len(n)))
		out = append(out, n...)
	}
	return out
}

// appendPayloads adds the payloads of one NAL unit: itself, or fragments when it is large.
func appendPayloads(out [][]byte, nalu []byte) [][]byte {
	if len(nalu) <= maxPayload {
		return append(out, nalu)
	}
	indicator, header := nalu[0]&0x60|payloadFUA, nalu[0]&0x1f
	rest := nalu[1:]
	for start := byte(0x80); len(rest) > 0; start = 0 {
		n, end := min(len(rest), maxFragment), byte(0)
		if n == len(rest) {
			end = 0x40
		}
		out = append(out, append([]byte{indicator, start | end | header}, rest[:n]...))
		rest = rest[n:]
	}
	return out
}

// minFiller is the smallest filler NAL unit with its 4-byte length, in bytes.
const minFiller = 4 + 2

// filler is the payloads of filler NAL units: they only differ in length and in two or three
// bytes, so they are views of one buffer that is set once.
type filler struct {
	buf [maxPayload]byte
}

func newFiller() *filler {
	f := new(filler)
	for i := range f.buf {
		f.buf[i] = 0xff
	}
	return f
}

// count is how many payloads a filler NAL unit of size bytes (with its 4-byte length) takes.
func (f *filler) count(size int) int {
	nalu := size - 4
	switch {
	case size < minFiller:
		return 0
	case nalu <= maxPayload:
		return 1
	default:
		return (nalu - 1 + maxFragment - 1) / maxFragment
	}
}

// each passes on the payloads of a filler NAL unit of size bytes (with its 4-byte length).
// A payload is valid during the call only.
func (f *filler) each(size int, send func(payload []byte)) {
	if size < minFiller {
		return
	}
	nalu := size - 4
	if nalu <= maxPayload {
		f.buf[0], f.buf[1] = nal.H264Filler, 0xff
		f.sendLast(nalu, send)
		return
	}
	rest := nalu - 1
	f.buf[0], f.buf[1] = payloadFUA, 0x80|nal.H264Filler
	for ; rest > maxFragment; rest -= maxFragment {
		send(f.buf[:])
		f.buf[1] = nal.H264Filler
	}
	f.buf[1] = 0x40 | nal.H264Filler
	f.sendLast(2+rest, send)
}

// sendLast sends the first n bytes with the stop bit that ends a NAL unit.
func (f *filler) sendLast(n int, send func(payload []byte)) {
	f.buf[n-1] = 0x80
	send(f.buf[:n])
	f.buf[n-1] = 0xff
}

// fillerUnit is a filler NAL unit of size bytes (with its 4-byte length).
func fillerUnit(size int) []byte {
	unit := bytes.Repeat([]byte{0xff}, size-4)
	unit[0], unit[len(unit)-1] = nal.H264Filler, 0x80
	return unit
}
