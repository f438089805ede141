package camera

import (
	"errors"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/auth"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/keepalive"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/traffic"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

// memory is what is known of a camera from earlier sessions.
type memory struct {
	transport   transport // the one that worked, or is tried next
	password    auth.Memory
	webPassword auth.Memory // of the web server that tunnels its RTSP
	carrier     carrierMemory
	keepalive   keepalive.Memory
	videoType   uint8 // the payload type of a format that arrived instead of the chosen one
}

// requestHooks do what the library does not: they answer challenges, find the keepalive that a camera accepts, answer the camera's own
// requests, work without OPTIONS, and follow where a redirect led.
type requestHooks struct {
	serverMethod base.Method // of the camera's last request; used by the library's main goroutine only

	mu        sync.Mutex
	at        *base.URL    // the URL of DESCRIBE, without the password: a redirect changes it
	downward  bool         // the last redirect would have left TLS
	nowhere   bool         // the last redirect did not lead to a camera
	last      base.Request // the agent's last request; sent is its authorization
	sent      *auth.Answer // nil: without a password
	login     login
	mayRepeat bool // the last request was refused, and may be accepted when it is repeated
	playing   atomic.Bool
	keepalive *keepalive.Memory
	late      base.HeaderValue // the CSeq of a keepalive whose answer is no longer awaited
	repeats   int              // how often the last keepalive was repeated

	write func(message []byte) (int, error) // to the camera, in between the library's writes

	messages ratelimit.Limit // of the camera; used by the library's main goroutine only
	abort    func(error)     // ends the session
}

// connect starts a connection to a host and port, to which write sends.
func (h *requestHooks) connect(scheme, address string, write func([]byte) (int, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.login.connect(scheme, address)
	h.write = write
}

// count counts a message of the camera.
func (h *requestHooks) count() {
	if h.messages.Exceeds(1, time.Now()) {
		h.abort(errMessages)
	}
}

// stage returns the stage that the session has reached.
func (h *requestHooks) stage() traffic.Stage {
	if h.playing.Load() {
		return traffic.Played
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last.Method == base.Play {
		return traffic.Asking
	}
	return traffic.Describing
}

// target returns the URL to be described next.
func (h *requestHooks) target() *base.URL {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *requestHooks) request(r *base.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.playing.Load() && keepsAlive(r.Method) {
		h.late, h.repeats = h.last.Header["CSeq"], 0
		r.Method = base.Method(h.keepalive.Next(keepalive.Method(r.Method), time.Now()))
	}
	h.authorize(r)
	h.last = *r
}

// authorize adds the answer to the camera's challenge to a request.
func (h *requestHooks) authorize(r *base.Request) {
	h.sent = nil
	delete(r.Header, "Authorization")
	if r.URL == nil {
		return
	}
	if value := h.login.authorization(string(r.Method), r.URL.CloneWithoutCredentials().String()); value != "" {
		h.sent = h.login.Answer()
		r.Header["Authorization"] = base.HeaderValue{value}
	}
}

// keepsAlive reports whether a method is that of a keepalive, once the camera plays.
func keepsAlive(method base.Method) bool {
	return method == base.Options || method == base.GetParameter || method == base.SetParameter
}

func (h *requestHooks) response(r *base.Response) {
	h.count()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.playing.Load() && keepsAlive(h.last.Method) {
		h.keptAlive(r)
		return
	}
	h.mayRepeat = false
	if r.StatusCode == base.StatusUnauthorized {
		h.mayRepeat = h.login.challenged(r.Header["WWW-Authenticate"], h.sent)
		return
	}
	if r.StatusCode/100 == 2 {
		h.login.Accepted(h.sent)
	}
	switch {
	case h.last.Method == base.Options && unknown(r.StatusCode): // the library does not continue without it
		r.StatusCode = base.StatusOK
	case h.last.Method == base.Describe && r.StatusCode >= base.StatusMovedPermanently && r.StatusCode <= base.StatusUseProxy:
		h.redirect(r)
	}
	h.pace(r)
}

// keptAlive handles the answer to a keepalive, which the library ignores. One that is refused because its nonce is stale is
// repeated at once, as the nonce may not live until the next.
func (h *requestHooks) keptAlive(r *base.Response) {
	if cseq := r.Header["CSeq"]; len(cseq) == 1 && len(h.late) == 1 && cseq[0] == h.late[0] {
		return
	}
	if r.StatusCode == base.StatusUnauthorized && h.login.challenged(r.Header["WWW-Authenticate"], h.sent) &&
		h.repeats < maxTries {
		h.repeats++
		again := h.last
		h.authorize(&again)
		if message, err := again.Marshal(); err == nil {
			_, _ = h.write(message) // the reader notices if it is closed
			return
		}
	}
	h.keepalive.Answered(r.StatusCode < base.StatusBadRequest)
	if r.StatusCode < base.StatusBadRequest {
		h.login.Accepted(h.sent)
	}
}

// pace makes the library send keepalives as often as the camera wants them, and reads the header leniently.
func (h *requestHooks) pace(r *base.Response) {
	values, has := r.Header["Session"]
	if !has && (h.last.Method != base.Setup || r.StatusCode != base.StatusOK) {
		return
	}
	id, timeout := keepalive.ParseSession(values)
	h.keepalive.Announced(timeout)
	const share = 0.8 // the library sends one after this part of the time-out, in whole seconds
	seconds := uint(max(1, h.keepalive.Period().Seconds()/share+0.5))
	r.Header["Session"] = headers.Session{Session: id, Timeout: &seconds}.Marshal()
}

// begin is called when the camera starts to play.
func (h *requestHooks) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keepalive.Begin(time.Now())
	h.playing.Store(true)
}

// end ends the session. byCamera: the camera hung up, or stopped sending; heard is when its last video arrived.
func (h *requestHooks) end(byCamera bool, heard time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keepalive.End(byCamera, heard, time.Now())
}

// redirect notes where the library connects next. A user in the new URL is ignored.
func (h *requestHooks) redirect(r *base.Response) {
	values := r.Header["Location"]
	if len(values) == 0 {
		return
	}
	to := address.Location(values[0], (*url.URL)(h.at))
	if to == nil {
		h.nowhere = true
		return
	}
	h.downward = h.at.Scheme == "rtsps" && to.Scheme != "rtsps" // the library does not follow it
	h.at = (*base.URL)(to)
	r.Header["Location"] = base.HeaderValue{to.String()}
}

// unknown reports whether a status means that the camera does not know a method.
func unknown(code base.StatusCode) bool {
	return code == base.StatusNotFound || code == base.StatusMethodNotAllowed || code == base.StatusNotImplemented
}

// serverRequest handles a request of the camera (RFC 2326, section 10). The library would end the session for
// all but OPTIONS, and lose what is in the socket.
func (h *requestHooks) serverRequest(r *base.Request) {
	h.count()
	h.serverMethod = r.Method
	r.Method = base.Options
}

// serverResponse answers checks for liveness with success, and everything else as not implemented.
func (h *requestHooks) serverResponse(r *base.Response) {
	switch h.serverMethod {
	case base.Options, base.GetParameter, base.SetParameter:
	default:
		r.StatusCode = base.StatusNotImplemented
	}
}

// maxTries is how often a request is sent, including the answers to challenges.
const maxTries = 4

// repeat repeats a request that the camera refused because it lacks a password, or because its nonce is stale.
func (h *requestHooks) repeat(request func() error) error {
	for try := 1; ; try++ {
		err := request()
		var answer liberrors.ErrClientBadStatusCode
		if !errors.As(err, &answer) || answer.Code != base.StatusUnauthorized {
			return h.explain(err)
		}
		h.mu.Lock()
		mayRepeat, problem := h.mayRepeat, h.login.problem
		h.mu.Unlock()
		switch {
		case mayRepeat && try < maxTries:
		case problem != nil:
			return problem
		default:
			return err
		}
	}
}

// explain returns the reason for errors that the library does not distinguish.
func (h *requestHooks) explain(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err != nil && h.downward:
		return errors.Join(errDownward, err)
	case err != nil && h.nowhere:
		return errors.Join(errNowhere, err)
	}
	return err
}
