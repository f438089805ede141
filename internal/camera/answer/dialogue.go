package answer

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
)

// Dialogue is that with a camera over one connection. What is sent goes through Sent, and what comes through Mend. Several
// goroutines may use it.
type Dialogue struct {
	// Key writes a MIKEY message of a description, in base64, as it can be read; empty: it cannot. Default: none can.
	Key func(base64 string) string

	mu        sync.Mutex
	pending   []request
	answered  int // the number of the last request that was
	described Described
	setUp     SetUp
}

// request is one of ours.
type request struct {
	method    string
	number    int // CSeq
	url       string
	transport string
}

// Described is what a camera described last.
type Described struct {
	sdp.Choice
	// Base is the URL of all that is described, and VideoURLs and AudioURLs are those that its tracks may have, the likeliest first.
	Base                 string
	Bases                []string
	VideoURLs, AudioURLs []string
}

// maxPending is how many requests may be without an answer: cameras leave keepalives unanswered.
const maxPending = 8

// Sent takes note of what is sent: a request, or anything else.
func (d *Dialogue) Sent(message []byte) {
	if len(message) == 0 || message[0] == frameMark || bytes.HasPrefix(message, []byte(response)) {
		return
	}
	end := headEnd(message)
	if end == 0 {
		return
	}
	line, _, _ := strings.Cut(string(message[:end]), "\r\n")
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return
	}
	h := parseHead(message[:end])
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = append(d.pending, request{method: fields[0], number: number(h.get("cseq")), url: fields[1], transport: h.get("transport")})
	if len(d.pending) > maxPending {
		d.pending = slices.Delete(d.pending, 0, 1)
	}
}

// Described returns what the camera described last.
func (d *Dialogue) Described() Described {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.described
}

// SetUp returns how the camera sends the track that was set up last.
func (d *Dialogue) SetUp() SetUp {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.setUp
}

// Mend makes a message that a strict reader takes of one that a camera sent. nil: it has nothing to say.
func (d *Dialogue) Mend(message []byte) []byte {
	end := headEnd(message)
	if end == 0 {
		return nil
	}
	h := parseHead(message[:end])
	if h.status == 0 {
		return mendRequest(h)
	}
	if h.status < statusOK { // more is to come
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	to, repeated := d.answers(&h, message[end:])
	if repeated {
		return nil
	}
	return d.mendResponse(&h, to, message[end:])
}

// mendRequest says what a camera asks. Which resource and with what body is of no use.
func mendRequest(h head) []byte {
	var w writer
	fmt.Fprintf(&w, "%s * RTSP/1.0\r\n", h.method)
	if n := number(h.get("cseq")); n >= 0 {
		w.header("CSeq", strconv.Itoa(n))
	}
	return w.end(nil)
}

// answers finds the request that is answered: the one of that number, else the last one, as players do. A camera that says the
// same again answers an earlier one.
func (d *Dialogue) answers(h *head, body []byte) (to request, repeated bool) {
	n := number(h.get("cseq"))
	i := slices.IndexFunc(d.pending, func(r request) bool { return r.number == n })
	if i < 0 {
		i = len(d.pending) - 1
		if i < 0 {
			return request{}, false
		}
		nothing := d.pending[i].method == "DESCRIBE" && len(bytes.TrimSpace(body)) == 0 ||
			d.pending[i].method == "SETUP" && h.get("transport") == "" && h.get("session") == ""
		if n > 0 && n == d.answered && h.status == statusOK && nothing {
			return request{}, true
		}
	}
	to = d.pending[i]
	d.pending = slices.Delete(d.pending, i, i+1)
	d.answered = to.number
	return to, false
}

// passed are the headers that are as they came, with the names that readers know.
var passed = []string{
	"Allow", "Authentication-Info", "Date", "KeyMgmt", "Location", "Proxy-Authenticate", "Range", "Retry-After", "Server", "Unsupported",
	"WWW-Authenticate",
}

// mendResponse says what a camera answers to a request.
func (d *Dialogue) mendResponse(h *head, to request, body []byte) []byte {
	var w writer
	status := h.status
	if status < statusRedirect {
		status = statusOK
	}
	fmt.Fprintf(&w, "RTSP/1.0 %d %s\r\n", status, reason(h))
	if to.method != "" {
		w.header("CSeq", strconv.Itoa(to.number))
	} else {
		w.header("CSeq", "0") // nobody waits for it
	}
	for _, name := range passed {
		for _, value := range h.all(strings.ToLower(name)) {
			w.header(name, value)
		}
	}
	w.header("Public", strings.Join(h.all("public"), ", "))
	w.header("Session", sessionValue(h.all("session")))
	w.header("RTP-Info", rtpInfoValue(strings.Join(h.all("rtp-info"), ",")))
	switch {
	case to.method == "SETUP" && status == statusOK:
		t := parseTransport(h.get("transport"))
		t.answering(parseTransport(to.transport))
		d.setUp = t.setUp()
		w.header("Transport", t.String())
	case to.method == "DESCRIBE" && status == statusOK:
		if text, ok := d.describe(h, to, body); ok {
			w.header("Content-Type", "application/sdp")
			w.header("Content-Base", d.described.Base)
			return w.end(text)
		}
	}
	return w.end(nil)
}

// reason is the one of a status line.
func reason(h *head) string {
	const most = 200
	text := strings.TrimSpace(printable(h.reason))
	switch {
	case text != "":
		return text[:min(len(text), most)]
	case h.status < statusError:
		return "OK"
	default:
		return "no reason given"
	}
}

// describe reads a description, and writes it anew.
func (d *Dialogue) describe(h *head, to request, body []byte) (text []byte, ok bool) {
	at, err := url.Parse(to.url)
	if err != nil {
		return nil, false
	}
	description := sdp.Parse(body)
	choice := description.Choose()
	for _, c := range []*sdp.Chosen{choice.Video, choice.Audio} {
		switch {
		case c == nil:
		case d.Key == nil:
			c.KeyMgmt = ""
		default:
			c.KeyMgmt = d.Key(c.KeyMgmt)
		}
	}
	base := h.get("content-base")
	if base == "" {
		base = h.get("content-location")
	}
	as := Described{Choice: choice, Bases: sdp.Bases(description.Control, base, at)}
	if len(as.Bases) == 0 {
		return nil, false
	}
	as.Base = as.Bases[0]
	videoURL, audioURL := "", ""
	if choice.Video != nil {
		as.VideoURLs = sdp.Controls(as.Bases, choice.Video.Control, at)
		videoURL = first(as.VideoURLs)
	}
	if choice.Audio != nil {
		as.AudioURLs = sdp.Controls(as.Bases, choice.Audio.Control, at)
		audioURL = first(as.AudioURLs)
	}
	d.described = as
	return choice.Write(videoURL, audioURL), true
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// writer writes a message.
type writer struct{ bytes.Buffer }

// maxValue bounds a header, in bytes: strict readers take no more.
const maxValue = 2000

// header writes one that has a value, unless it is too long.
func (w *writer) header(name, value string) {
	if value = strings.TrimSpace(printable(value)); value != "" && len(value) <= maxValue {
		fmt.Fprintf(w, "%s: %s\r\n", name, value)
	}
}

// end returns the message with its body.
func (w *writer) end(body []byte) []byte {
	if len(body) > 0 {
		w.header("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteString("\r\n")
	w.Write(body)
	return w.Bytes()
}
