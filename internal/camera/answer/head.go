package answer

import (
	"bytes"
	"strings"
)

// head is the first lines of a message.
type head struct {
	status  int    // of a response, 0 of a request
	reason  string // of a response, unchanged
	method  string // of a request
	headers []header
}

// header has a name in lower case.
type header struct{ name, value string }

const (
	statusOK       = 200
	statusRedirect = 300
	statusError    = 400
	statusServer   = 500
	maxHeaders     = 200
)

// parseHead reads the lines of a message, with any line ends, and with values that continue in the next line.
func parseHead(text []byte) head {
	var h head
	lines := bytes.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	for i, line := range lines {
		switch text := string(line); {
		case i == 0:
			h.first(text)
		case text[0] == ' ' || text[0] == '\t':
			h.fold(strings.TrimSpace(text))
		default:
			name, value, ok := strings.Cut(text, ":")
			if ok && len(h.headers) < maxHeaders {
				h.headers = append(h.headers, header{name: strings.ToLower(strings.TrimSpace(name)), value: strings.TrimSpace(value)})
			}
		}
	}
	return h
}

// first reads the first line. A status that is not a number means success, as for ffmpeg.
func (h *head) first(line string) {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return
	}
	if len(fields[0]) < len(response) || !strings.EqualFold(fields[0][:len(response)], response) {
		h.method = fields[0]
		return
	}
	h.status = statusOK
	if len(fields) == 1 {
		return
	}
	switch n := number(fields[1]); {
	case n <= 0:
	case n >= 1000:
		h.status = statusServer
	default:
		h.status = n
	}
	h.reason = strings.Join(fields[2:], " ")
}

func (h *head) fold(text string) {
	if last := len(h.headers) - 1; last >= 0 && text != "" {
		h.headers[last].value = strings.TrimSpace(h.headers[last].value + " " + text)
	}
}

// get returns the first value of a header that is not empty.
func (h *head) get(name string) string {
	for _, of := range h.headers {
		if of.name == name && of.value != "" {
			return of.value
		}
	}
	return ""
}

// all returns the values of a header that are not empty.
func (h *head) all(name string) []string {
	var values []string
	for _, of := range h.headers {
		if of.name == name && of.value != "" {
			values = append(values, of.value)
		}
	}
	return values
}

// bodySize is the announced size of the body, 0 where there can be none.
func (h *head) bodySize() int {
	n := number(h.get("content-length"))
	if n < 0 || n > maxBody {
		return 0
	}
	return n
}

// number reads the digits at the start of a text, -1 when there are none. The result is at most 10⁹.
func number(text string) int {
	const most = 1_000_000_000
	n := -1
	for _, r := range strings.TrimLeft(text, " \t\"'") {
		if r < '0' || r > '9' {
			break
		}
		n = min(10*max(n, 0)+int(r-'0'), most)
	}
	return n
}
