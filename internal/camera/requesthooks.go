package camera

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
)

// requestHooks do what the library leaves out: they answer challenges, find the keepalive that a camera takes, let a camera
// ask what it likes, do without OPTIONS, and know where a redirect led.
type requestHooks struct {
	serverMethod base.Method // of the camera's last request; only the library's main goroutine uses it

	mu             sync.Mutex
	at             *base.URL   // what is described, without the password: a redirect changes it
	downward       bool        // the last redirect would have left TLS
	method         base.Method // of our last request
	sent           *challenge  // what our last request answered; nil: none
	login          login
	mayRepeat      bool // the last request was refused, and may be taken when it is sent again
	playing        atomic.Bool
	otherKeepalive bool // the camera refused the last keepalive

	messages messageLimit // of the camera; only the library's main goroutine uses it
	abort    func(error)  // ends the session
}

// connect begins a connection to a host and port.
func (h *requestHooks) connect(scheme, address string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.login.connect(scheme, address)
}

// count counts a message of the camera.
func (h *requestHooks) count() {
	if err := h.messages.add(time.Now()); err != nil {
		h.abort(err)
	}
}

// stage is how far the session has come.
func (h *requestHooks) stage() stage {
	if h.playing.Load() {
		return played
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.method == base.Play {
		return asking
	}
	return describing
}

// target is what is to be described now.
func (h *requestHooks) target() *base.URL {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *requestHooks) request(r *base.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.playing.Load() && h.otherKeepalive {
		switch r.Method {
		case base.GetParameter:
			r.Method = base.Options
		case base.Options:
			r.Method = base.GetParameter
		}
	}
	h.method, h.sent = r.Method, nil
	delete(r.Header, "Authorization")
	if r.URL == nil {
		return
	}
	if value := h.login.authorization(string(r.Method), r.URL.CloneWithoutCredentials().String()); value != "" {
		h.sent = h.login.answer
		r.Header["Authorization"] = base.HeaderValue{value}
	}
}

func (h *requestHooks) response(r *base.Response) {
	h.count()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mayRepeat = false
	if r.StatusCode == base.StatusUnauthorized {
		h.mayRepeat = h.login.challenged(r.Header["WWW-Authenticate"], h.sent)
		return
	}
	h.login.accepted = h.login.accepted || h.sent != nil && r.StatusCode < base.StatusBadRequest
	switch {
	case h.playing.Load():
		if r.StatusCode >= base.StatusBadRequest {
			h.otherKeepalive = !h.otherKeepalive // the other one next time
		}
	case h.method == base.Options && unknown(r.StatusCode): // the library does not go on without it
		r.StatusCode = base.StatusOK
	case h.method == base.Describe && r.StatusCode >= base.StatusMovedPermanently && r.StatusCode <= base.StatusUseProxy:
		h.redirect(r)
	}
	// Cameras end sessions earlier than they announce: keepalives come twice as often as they have to.
	var session headers.Session
	if v, ok := r.Header["Session"]; ok && session.Unmarshal(v) == nil && session.Timeout != nil && *session.Timeout > 1 {
		*session.Timeout /= 2
		r.Header["Session"] = session.Marshal()
	}
}

// redirect notes where the library goes next. A user in the new URL is not ours.
func (h *requestHooks) redirect(r *base.Response) {
	values := r.Header["Location"]
	if len(values) != 1 {
		return
	}
	to, err := base.ParseURL(values[0])
	if err != nil {
		return
	}
	h.downward = h.at.Scheme == "rtsps" && to.Scheme != "rtsps" // the library does not go there
	to.User = nil
	h.at = to
	r.Header["Location"] = base.HeaderValue{to.String()}
}

// unknown reports whether a camera does not know a method.
func unknown(code base.StatusCode) bool {
	return code == base.StatusNotFound || code == base.StatusMethodNotAllowed || code == base.StatusNotImplemented
}

// serverRequest takes a request of the camera (RFC 2326, section 10). The library would end the session for
// all but OPTIONS, and lose what lies in the socket.
func (h *requestHooks) serverRequest(r *base.Request) {
	h.count()
	h.serverMethod = r.Method
	r.Method = base.Options
}

// serverResponse consents to what asks whether we live, and says of all else that we do not know it.
func (h *requestHooks) serverResponse(r *base.Response) {
	switch h.serverMethod {
	case base.Options, base.GetParameter, base.SetParameter:
	default:
		r.StatusCode = base.StatusNotImplemented
	}
}

// maxTries is how often a request is sent, with the answers to challenges.
const maxTries = 4

// repeat repeats a request that the camera refused for want of a password, or for its nonce's age.
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
		case problem != nil:
			return problem
		case !mayRepeat || try == maxTries:
			return err
		}
	}
}

// explain says what the library has no error for.
func (h *requestHooks) explain(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && h.downward {
		return errors.Join(errDownward, err)
	}
	return err
}
