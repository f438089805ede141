// Package answer reads what cameras send over their RTSP connections as leniently as players do, and rewrites it in the form
// that a strict reader accepts: status lines, headers, and the description of the streams. It uses neither sockets nor an RTSP
// library.
//
// The files in testdata/cameras are cameras: their answers, and what is expected from reading them.
//
//	The camera's name. What is odd, and who reported it.   text for people, up to the first line that begins with >>>
//	ends: lf                                               optional: how lines of answers end, crlf (default), lf or cr
//	>>> DESCRIBE                                           what is sent for a request of that method, in the lines below; a second
//	RTSP/1.0 200 OK                                        section for a method is for the second request, the last one for all
//	CSeq: {cseq}                                           later ones. No section: the ordinary answer of a camera
//	Content-Length: {length}
//
//	v=0
//	>>> expect                                             what a test expects, see the table test
//
// In answers {cseq}, {url}, {transport} and {session} stand for the header CSeq, the URL and the header Transport of the request
// and for the session 12345678, and {length} for the size of what follows the first empty line, in bytes. \r, \n, \t, \\ and \x24
// are bytes, and a line that ends with \ continues in the next one without a line end. Lines of answers keep their blanks.
package answer

import (
	"bytes"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
)

// Element is what a camera sends over its RTSP connection: messages, and between them frames of RTP and RTCP (RFC 2326,
// section 10.12).
type Element uint8

// The elements.
const (
	Unknown   Element = iota // too little of it has arrived to decide
	Frame                    // an interleaved frame
	Message                  // a response or a request
	Malformed                // bytes without a meaning
)

const (
	frameMark = '$'
	// FrameHeader is the size of an interleaved frame's header, in bytes: the mark, the channel and the payload's size.
	FrameHeader = 4
	// MaxHead bounds the lines of a message, in bytes: a longer one is not a message.
	MaxHead = 32 << 10
	// maxBody bounds a body, in bytes: a longer one is ignored.
	maxBody = 128 << 10
)

// How long to wait for the rest of a message before it counts as complete.
const (
	shortPatience = 300 * time.Millisecond // for more of a description than was announced
	longPatience  = 2 * time.Second        // for as much as was announced
)

// requests are the requests that a server may send (RFC 2326, section 10).
var requests = []string{"ANNOUNCE ", "GET_PARAMETER ", "OPTIONS ", "REDIRECT ", "SET_PARAMETER "}

const response = "RTSP/"

// First returns the element at the start of a stream, and its size in bytes, which may exceed what has arrived. For an unknown
// element, patience is how long to wait for more of it; settled: that time is over.
func First(stream []byte, settled bool) (kind Element, size int, patience time.Duration) {
	if len(stream) == 0 {
		return Unknown, 0, 0
	}
	if stream[0] == frameMark {
		if len(stream) < FrameHeader {
			return Unknown, 0, 0
		}
		return Frame, FrameHeader + int(stream[2])<<8 + int(stream[3]), 0
	}
	if !begins(stream) {
		return Malformed, 1 + beforeElement(stream[1:]), 0
	}
	size, patience = messageSize(stream, settled)
	switch {
	case size > 0:
		return Message, size, 0
	case patience == 0 && headEnd(stream) == 0 && len(stream) >= MaxHead:
		return Malformed, MaxHead, 0
	default:
		return Unknown, 0, patience
	}
}

// begins reports whether the start of a stream may be a message, as far as it has arrived.
func begins(stream []byte) bool {
	if n := min(len(response), len(stream)); strings.EqualFold(string(stream[:n]), response[:n]) {
		return true
	}
	for _, start := range requests {
		if n := min(len(start), len(stream)); string(stream[:n]) == start[:n] {
			return true
		}
	}
	return false
}

// beforeElement is the number of bytes before the first that may start an element. A camera may send nothing but meaningless bytes.
func beforeElement(stream []byte) int {
	const first = "$RrAGOS" // frameMark, and the letters of messages
	if i := bytes.IndexAny(stream, first); i >= 0 {
		return i
	}
	return len(stream)
}

// headEnd is the size of the lines of a message, including the empty one that ends them, 0 while that has not arrived. Lines end
// with LF, CR LF, CR CR LF, or with CR alone when the first one does.
func headEnd(stream []byte) int {
	stream = stream[:min(len(stream), MaxHead)]
	if first := bytes.IndexAny(stream, "\r\n"); first >= 0 && first+1 < len(stream) && stream[first] == '\r' &&
		stream[first+1] != '\n' && stream[first+1] != '\r' {
		if end := bytes.Index(stream, []byte("\r\r")); end >= 0 {
			return end + 2
		}
		return 0
	}
	for at := 0; ; {
		next := bytes.IndexByte(stream[at:], '\n')
		if next < 0 {
			return 0
		}
		if line := stream[at : at+next]; len(bytes.Trim(line, "\r")) == 0 {
			return at + next + 1
		}
		at += next + 1
	}
}

// messageSize is the size of a message with its body, 0 while it is unknown.
func messageSize(stream []byte, settled bool) (size int, patience time.Duration) {
	head := headEnd(stream)
	if head == 0 {
		return 0, 0
	}
	h := parseHead(stream[:head])
	announced := h.bodySize()
	rest := stream[head:]
	describes := h.status != 0 && (announced > 0 && sdp.Looks(rest) || strings.Contains(strings.ToLower(h.get("content-type")), "sdp"))
	switch {
	case len(rest) < announced && settled:
		return len(stream), 0
	case len(rest) < announced:
		return 0, longPatience
	case !describes && !(announced == 0 && h.status != 0 && sdp.Looks(rest)):
		return head + announced, 0
	}
	more, whole := textBehind(rest[announced:])
	if whole || settled || announced > 0 && more == 0 && rest[announced-1] == '\n' {
		return head + announced + more, 0
	}
	return 0, shortPatience
}

// textBehind is the number of bytes of text before the next element; whole: that element has arrived.
func textBehind(stream []byte) (size int, whole bool) {
	blank := len(stream) - len(bytes.TrimLeft(stream, "\r\n"))
	if rest := stream[blank:]; len(rest) == 0 || rest[0] == frameMark || begins(rest) {
		return 0, len(rest) > 0
	}
	for at := 0; at < len(stream); {
		next := bytes.IndexByte(stream[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
		if rest := stream[at:]; len(rest) > 0 && (rest[0] == frameMark || len(rest) > len(response) && begins(rest)) {
			return at, true
		}
	}
	return len(stream), len(stream) > maxBody
}
