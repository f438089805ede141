// Package likecam reads files that say what a camera answers; see internal/camera/answer for how they are written.
package likecam

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Camera is such a file.
type Camera struct {
	About   string            // what is odd, for people
	Expect  []string          // what a test expects
	ends    string            // of lines
	answers map[string][]text // by method
	asked   map[string]int
}

// text is an answer as it is written.
type text []string

// Request is what is answered.
type Request struct{ Method, URL, CSeq, Transport string }

// usual are the answers of a camera for which a file has none.
var usual = map[string]text{
	"OPTIONS": {"RTSP/1.0 200 OK", "CSeq: {cseq}", "Public: OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, PAUSE, GET_PARAMETER", ""},
	"DESCRIBE": {
		"RTSP/1.0 200 OK", "CSeq: {cseq}", "Content-Type: application/sdp", "Content-Base: {url}/", "Content-Length: {length}", "",
		"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=cam", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
		"m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1", "a=control:trackID=0",
	},
	"SETUP": {"RTSP/1.0 200 OK", "CSeq: {cseq}", "Transport: {transport}", "Session: {session};timeout=60", ""},
	"":      {"RTSP/1.0 200 OK", "CSeq: {cseq}", "Session: {session}", ""},
}

const session = "12345678"

// Load reads a file.
func Load(path string) (*Camera, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &Camera{ends: "\r\n", answers: make(map[string][]text), asked: make(map[string]int)}
	section := ""
	for line := range strings.SplitSeq(strings.TrimSuffix(string(content), "\n"), "\n") {
		name, begins := strings.CutPrefix(line, ">>> ")
		ends, isEnds := strings.CutPrefix(line, "ends: ")
		switch {
		case begins:
			if section = strings.TrimSpace(name); section != "expect" {
				c.answers[section] = append(c.answers[section], nil)
			}
		case section == "" && isEnds:
			var ok bool
			if c.ends, ok = map[string]string{"lf": "\n", "cr": "\r", "crlf": "\r\n"}[strings.TrimSpace(ends)]; !ok {
				return nil, fmt.Errorf("%s: lines cannot end with %q", path, ends)
			}
		case section == "":
			c.About += strings.TrimSpace(line) + " "
		case section == "expect":
			c.Expect = append(c.Expect, line)
		default:
			last := &c.answers[section][len(c.answers[section])-1]
			*last = append(*last, line)
		}
	}
	if strings.TrimSpace(c.About) == "" {
		return nil, fmt.Errorf("%s does not say what is odd", path)
	}
	return c, nil
}

// Answer returns the bytes of the answer to the next request.
func (c *Camera) Answer(r Request) []byte {
	list := c.answers[r.Method]
	n := c.asked[r.Method]
	c.asked[r.Method]++
	lines := usual[""]
	switch {
	case len(list) > 0:
		lines = list[min(n, len(list)-1)]
	case usual[r.Method] != nil:
		lines = usual[r.Method]
	}
	var b strings.Builder
	body := -1 // where it begins
	replace := strings.NewReplacer("{cseq}", r.CSeq, "{url}", strings.TrimSuffix(r.URL, "/"), "{transport}", r.Transport, "{session}", session)
	for _, line := range lines {
		end := c.ends
		if rest, open := strings.CutSuffix(line, `\`); open && !strings.HasSuffix(rest, `\`) {
			line, end = rest, ""
		}
		b.WriteString(unescape(replace.Replace(line)) + end)
		if line == "" && body < 0 {
			body = b.Len()
		}
	}
	if body < 0 { // the head alone
		b.WriteString(c.ends)
		body = b.Len()
	}
	return []byte(strings.Replace(b.String(), "{length}", strconv.Itoa(b.Len()-body), 1))
}

// unescape reads \r, \n, \t, \\ and \x24.
func unescape(line string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(line, `\`)
		b.WriteString(before)
		if !found || after == "" {
			return b.String()
		}
		line = after[1:]
		switch after[0] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'x':
			if n, err := strconv.ParseUint(line[:min(2, len(line))], 16, 8); err == nil {
				b.WriteByte(byte(n))
				line = line[2:]
			}
		default:
			b.WriteByte(after[0])
		}
	}
}
