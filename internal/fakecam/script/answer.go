package script

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// defaults are the answers of a camera without oddities.
var defaults = map[string][]template{
	"OPTIONS": must("RTSP/1.0 200 OK", "CSeq: {cseq}",
		"Public: OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER", ""),
	"DESCRIBE": must("RTSP/1.0 200 OK", "CSeq: {cseq}", "Content-Type: application/sdp", "Content-Base: {url}/",
		"Content-Length: {length}", "", "{sdp}"),
	"SETUP": must("RTSP/1.0 200 OK", "CSeq: {cseq}", "Transport: {transport}", "Session: {session};timeout=60", ""),
	"PLAY": must("RTSP/1.0 200 OK", "CSeq: {cseq}", "Session: {session}", "Range: npt=0.000-",
		"RTP-Info: url={url}/trackID=0;seq={seq};rtptime={rtptime}", ""),
	"": must("RTSP/1.0 200 OK", "CSeq: {cseq}", "Session: {session}", ""),
}

// defaultValues are the values of placeholders that the camera does not set.
var defaultValues = map[string]string{
	"session": "12345678",
	"seq":     "0",
	"rtptime": "0",
	"sdp": strings.Join([]string{"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=cam", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
		"m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1", "a=control:trackID=0"}, "\n"),
}

// must parses lines that are known to be valid.
func must(lines ...string) (list []template) {
	for _, line := range lines {
		t, err := parseTemplate(line)
		if err != nil {
			panic(err)
		}
		list = append(list, t)
	}
	return list
}

// Answer is a camera's reaction to a request.
type Answer struct {
	Bytes  []byte        // nil for none
	Wait   time.Duration // before it
	Close  bool          // the camera hangs up after it
	Agreed bool          // it says that the request is carried out
}

// Conversation is the state of the requests and answers on one connection.
type Conversation struct {
	file       *File
	connection uint64
	started    time.Time
	answered   map[*section]int
}

// Converse starts the conversation of a connection. Connections are counted from 1; started is the camera's start.
func (f *File) Converse(connection uint64, started time.Time) *Conversation {
	return &Conversation{file: f, connection: connection, started: started, answered: make(map[*section]int)}
}

// Answer returns the answer to the next request. values has the placeholders that the camera knows, with \n between
// lines; unknown ones may be missing.
func (c *Conversation) Answer(r Request, values map[string]string) Answer {
	s := c.choose(r)
	lines := defaults[""]
	if s == nil {
		if known := defaults[r.Method]; known != nil {
			lines = known
		}
		s = new(section)
	} else {
		lines = s.lines
	}
	a := Answer{Wait: s.wait, Close: s.hangUp}
	if s.silent || s.hangUp && len(lines) == 0 {
		return a
	}
	a.Bytes = c.render(lines, r, values)
	a.Agreed = agrees(a.Bytes)
	return a
}

// choose returns the section that answers a request, nil for the default answer: the first that matches and has not reached its
// number of answers, or else the last of those without a number or a condition, which answers all later requests.
func (c *Conversation) choose(r Request) *section {
	var stays *section
	for _, s := range c.file.answers {
		if !c.fits(s, r) {
			continue
		}
		if c.answered[s]++; s.times == 0 || c.answered[s] <= s.times {
			return s
		}
		c.answered[s]--
		if s.inTurn {
			stays = s
		}
	}
	return stays
}

// fits reports whether a section is for a request.
func (c *Conversation) fits(s *section, r Request) bool {
	if s.method != "*" && s.method != r.Method || !s.connections.holds(c.connection) {
		return false
	}
	if s.until > 0 && time.Since(c.started) > s.until {
		return false
	}
	if s.login || s.noLogin {
		if loggedIn(r, c.file.user, c.file.password) != s.login {
			return false
		}
	}
	for _, fits := range s.fits {
		if !fits(r) {
			return false
		}
	}
	return true
}

// lengthMark stands for {length} until the length is known; no file can contain it.
const lengthMark = "\xff{length}\xff"

// render writes an answer.
func (c *Conversation) render(lines []template, r Request, values map[string]string) []byte {
	value := func(name string) string {
		switch name {
		case "cseq":
			return r.Header.Get("CSeq")
		case "url":
			return strings.TrimSuffix(r.URL, "/")
		case "length":
			return lengthMark
		}
		if text, known := values[name]; known {
			return text
		}
		if name == "transport" {
			return r.Header.Get("Transport")
		}
		return defaultValues[name]
	}
	var b []byte
	body := -1 // the start of the body
	for _, line := range lines {
		b = line.render(b, value, c.file.ends)
		if len(line.parts) == 0 && !line.open && body < 0 {
			body = len(b)
		}
	}
	if body < 0 { // only the head
		b = append(b, c.file.ends...)
		body = len(b)
	}
	length := strconv.Itoa(len(b) - body)
	return bytes.ReplaceAll(b, []byte(lengthMark), []byte(length))
}

// agrees reports whether an answer means that the request is carried out: its first status is not a refusal.
func agrees(answer []byte) bool {
	_, line, found := bytes.Cut(answer, []byte("RTSP/"))
	if !found {
		line = answer
	}
	for _, word := range bytes.Fields(line[:min(len(line), 80)]) {
		if n, err := strconv.Atoi(string(word)); err == nil && len(word) == 3 {
			return n < 300
		}
	}
	return true
}
