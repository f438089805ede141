package camera

import (
	"bytes"
	"strconv"
)

// element is what a camera sends over its RTSP connection: messages, and between them frames of RTP
// and RTCP (RFC 2326, section 10.12).
type element uint8

const (
	elementUnknown   element = iota // too little of it has come to tell
	elementFrame                    // an interleaved frame
	elementMessage                  // a response or a request
	elementMalformed                // nothing that has a meaning
)

const (
	frameMark   = '$'
	frameHeader = 4 // bytes: the mark, the channel and the payload's size
	// maxHead bounds the lines of an RTSP message, in bytes: what has more is none.
	maxHead = 16 << 10
)

// starts are the beginnings of what a server sends: responses, and the requests that RFC 2326,
// section 10, lets it make.
var starts = []string{"RTSP/", "ANNOUNCE ", "GET_PARAMETER ", "OPTIONS ", "REDIRECT ", "SET_PARAMETER "}

// firstElement returns what stands at the beginning of a stream, and how many bytes it has. These may
// be more than have come.
func firstElement(stream []byte) (kind element, size int) {
	if len(stream) == 0 {
		return elementUnknown, 0
	}
	if stream[0] == frameMark {
		if len(stream) < frameHeader {
			return elementUnknown, 0
		}
		return elementFrame, frameHeader + int(stream[2])<<8 + int(stream[3])
	}
	for _, start := range starts {
		n := min(len(start), len(stream))
		if string(stream[:n]) != start[:n] {
			continue
		}
		if size = messageSize(stream); size > 0 {
			return elementMessage, size
		}
		if len(stream) < maxHead {
			return elementUnknown, 0
		}
		return elementMalformed, maxHead
	}
	return elementMalformed, 1 + beforeElement(stream[1:])
}

// beforeElement is how many bytes stand before the first with which a element may begin. A camera may send nothing but noise.
func beforeElement(stream []byte) int {
	const first = "$RAGOS" // frameMark, and the letters of starts
	if i := bytes.IndexAny(stream, first); i >= 0 {
		return i
	}
	return len(stream)
}

// messageSize is that of an RTSP message with its body, 0 while its lines have not come to an end.
func messageSize(stream []byte) int {
	head, _, ended := bytes.Cut(stream[:min(len(stream), maxHead)], []byte("\r\n\r\n"))
	if !ended {
		return 0
	}
	size := len(head) + len("\r\n\r\n")
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			n, _ := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 30) // the library refuses what is too much, or no number
			return size + int(n)
		}
	}
	return size
}
