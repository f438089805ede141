package httptunnel

import (
	"bytes"
	"strings"
)

const (
	// maxHead bounds the lines of an answer, in bytes.
	maxHead = 32 << 10
	// maxReason bounds the reason of a status, in bytes.
	maxReason = 200
)

// head is the lines of an answer.
type head struct {
	status  int
	reason  string
	headers []header
}

// header has a name in lower case.
type header struct{ name, value string }

// parseHead reads the lines of an answer at the start of a stream, with any line ends, and returns their size in bytes, 0 while more
// must arrive. ok is false when it is not an answer of HTTP; some cameras write RTSP or ICY instead of HTTP.
func parseHead(stream []byte) (h head, size int, ok bool) {
	if !begins(stream, "HTTP/") && !begins(stream, "RTSP/") && !begins(stream, "ICY ") {
		return head{}, 0, false
	}
	size = headEnd(stream)
	if size == 0 {
		return head{}, 0, len(stream) < maxHead
	}
	lines := bytes.FieldsFunc(stream[:size], func(r rune) bool { return r == '\r' || r == '\n' })
	_, status, _ := strings.Cut(string(lines[0]), " ")
	code, reason, _ := strings.Cut(strings.TrimSpace(status), " ")
	for i, r := range code {
		if r < '0' || r > '9' || i == 3 {
			return head{}, 0, false
		}
		h.status = 10*h.status + int(r-'0')
	}
	h.reason = strings.TrimSpace(reason[:min(len(reason), maxReason)])
	for _, line := range lines[1:] {
		if name, value, found := strings.Cut(string(line), ":"); found {
			h.headers = append(h.headers, header{name: strings.ToLower(strings.TrimSpace(name)), value: strings.TrimSpace(value)})
		}
	}
	return h, size, h.status >= 100
}

// begins reports whether a stream starts with a word, as far as it has arrived.
func begins(stream []byte, word string) bool {
	n := min(len(stream), len(word))
	return strings.EqualFold(string(stream[:n]), word[:n])
}

// headEnd is the size of the lines, including the empty one that ends them, 0 while that has not arrived.
func headEnd(stream []byte) int {
	stream = stream[:min(len(stream), maxHead)]
	for at := 0; ; {
		next := bytes.IndexByte(stream[at:], '\n')
		if next < 0 {
			return 0
		}
		if len(bytes.Trim(stream[at:at+next], "\r")) == 0 && at > 0 {
			return at + next + 1
		}
		at += next + 1
	}
}

// get returns the first value of a header.
func (h head) get(name string) string {
	for _, of := range h.headers {
		if of.name == name {
			return of.value
		}
	}
	return ""
}

// all returns the values of a header.
func (h head) all(name string) (values []string) {
	for _, of := range h.headers {
		if of.name == name {
			values = append(values, of.value)
		}
	}
	return values
}
