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

// Conversation follows the requests and answers on one connection to a camera. Call Sent with all that is sent, and Repair with each
// message received. Several goroutines may use it.
type Conversation struct {
	// Key rewrites a MIKEY message of a description, in base64, for strict readers; empty: impossible. Default: always impossible.
	Key func(base64 string) string

	mu        sync.Mutex
	pending   []request
	answered  int // CSeq of the last answered request
	described Described
	setUp     SetUp
}

// request is a request of the agent.
type request struct {
	method    string
	number    int // CSeq
	url       string
	transport string
}

// Described is the camera's last description.
type Described struct {
	sdp.Choice
	// Base is the URL of the whole presentation; VideoURLs and AudioURLs are the possible URLs of its tracks, the likeliest first.
	Base                 string
	Bases                []string
	VideoURLs, AudioURLs []string
}

// maxPending is how many requests may be without an answer: cameras leave keepalives unanswered.
const maxPending = 8

// Sent notes a sent message; anything but a request is ignored.
func (d *Conversation) Sent(message []byte) {
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

// Described returns the camera's last description.
func (d *Conversation) Described() Described {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.described
}

// SetUp returns how the camera sends the track that was set up last.
func (d *Conversation) SetUp() SetUp {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.setUp
}

// Repair rewrites a message of a camera so that a strict reader accepts it. nil: the message is to be ignored.
func (d *Conversation) Repair(message []byte) []byte {
	end := headEnd(message)
	if end == 0 {
		return nil
	}
	h := parseHead(message[:end])
	if h.status == 0 {
		return repairRequest(h)
	}
	if h.status < statusOK { // the final answer follows
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	to, repeated := d.answers(&h, message[end:])
	if repeated {
		return nil
	}
	return d.repairResponse(&h, to, message[end:])
}

// repairRequest rewrites a request of a camera. The resource and the body are not needed.
func repairRequest(h head) []byte {
	var w writer
	fmt.Fprintf(&w, "%s * RTSP/1.0\r\n", h.method)
	if n := number(h.get("cseq")); n >= 0 {
		w.header("CSeq", strconv.Itoa(n))
	}
	return w.end(nil)
}

// answers finds the request that is answered: the one of the same number, else the last one, as players do. A camera that repeats an
// answer answers an earlier one.
func (d *Conversation) answers(h *head, body []byte) (to request, repeated bool) {
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

// passed are the headers that are copied unchanged, with the names that readers know.
var passed = []string{
	"Allow", "Authentication-Info", "Date", "KeyMgmt", "Location", "Proxy-Authenticate", "Range", "Retry-After", "Server", "Unsupported",
	"WWW-Authenticate",
}

// repairResponse rewrites the answer to a request.
func (d *Conversation) repairResponse(h *head, to request, body []byte) []byte {
	var w writer
	status := h.status
	if status < statusRedirect {
		status = statusOK
	}
	fmt.Fprintf(&w, "RTSP/1.0 %d %s\r\n", status, reason(h))
	if to.method != "" {
		w.header("CSeq", strconv.Itoa(to.number))
	} else {
		w.header("CSeq", "0") // no request waits for it
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

// reason is the reason phrase of a status line.
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

// describe reads a description, and rewrites it.
func (d *Conversation) describe(h *head, to request, body []byte) (text []byte, ok bool) {
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

// writer builds a message.
type writer struct{ bytes.Buffer }

// maxValue bounds a header, in bytes: strict readers accept no more.
const maxValue = 2000

// header writes a header that has a value, unless it is too long.
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
