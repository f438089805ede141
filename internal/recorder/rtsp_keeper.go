package recorder

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
)

// keeper does what the library leaves out: it answers challenges, finds the keepalive that a camera takes, lets a camera
// ask what it likes, does without OPTIONS, and knows where a redirect led.
type keeper struct {
	theirs base.Method // of the camera's last request; only the library's main goroutine uses it

	mu       sync.Mutex
	at       *base.URL   // what is described, without the password: a redirect changes it
	downward bool        // the last redirect would have left TLS
	ours     base.Method // of our last request
	sent     *challenge  // what our last request answered; nil: none
	login    login
	repeat   bool // the last request was refused, and may be taken when it is sent again
	playing  atomic.Bool
	odd      bool // the camera refused the last keepalive

	messages chatter     // of the camera; only the library's main goroutine uses it
	breakOff func(error) // ends the session
}

// connect begins a connection to a host and port.
func (k *keeper) connect(scheme, address string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.login.connect(scheme, address)
}

// count counts a message of the camera.
func (k *keeper) count() {
	if err := k.messages.add(time.Now()); err != nil {
		k.breakOff(err)
	}
}

// stage is how far the session has come.
func (k *keeper) stage() stage {
	if k.playing.Load() {
		return played
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ours == base.Play {
		return asking
	}
	return describing
}

// target is what is to be described now.
func (k *keeper) target() *base.URL {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at
}

func (k *keeper) request(r *base.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.playing.Load() && k.odd {
		switch r.Method {
		case base.GetParameter:
			r.Method = base.Options
		case base.Options:
			r.Method = base.GetParameter
		}
	}
	k.ours, k.sent = r.Method, nil
	delete(r.Header, "Authorization")
	if r.URL == nil {
		return
	}
	if value := k.login.authorization(string(r.Method), r.URL.CloneWithoutCredentials().String()); value != "" {
		k.sent = k.login.answer
		r.Header["Authorization"] = base.HeaderValue{value}
	}
}

func (k *keeper) response(r *base.Response) {
	k.count()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.repeat = false
	if r.StatusCode == base.StatusUnauthorized {
		k.repeat = k.login.challenged(r.Header["WWW-Authenticate"], k.sent)
		return
	}
	k.login.accepted = k.login.accepted || k.sent != nil && r.StatusCode < base.StatusBadRequest
	switch {
	case k.playing.Load():
		if r.StatusCode >= base.StatusBadRequest {
			k.odd = !k.odd // the other one next time
		}
	case k.ours == base.Options && unknown(r.StatusCode): // the library does not go on without it
		r.StatusCode = base.StatusOK
	case k.ours == base.Describe && r.StatusCode >= base.StatusMovedPermanently && r.StatusCode <= base.StatusUseProxy:
		k.redirect(r)
	}
	// Cameras end sessions earlier than they announce: keepalives come twice as often as they have to.
	var session headers.Session
	if v, ok := r.Header["Session"]; ok && session.Unmarshal(v) == nil && session.Timeout != nil && *session.Timeout > 1 {
		*session.Timeout /= 2
		r.Header["Session"] = session.Marshal()
	}
}

// redirect notes where the library goes next. A user in the new URL is not ours.
func (k *keeper) redirect(r *base.Response) {
	values := r.Header["Location"]
	if len(values) != 1 {
		return
	}
	to, err := base.ParseURL(values[0])
	if err != nil {
		return
	}
	k.downward = k.at.Scheme == "rtsps" && to.Scheme != "rtsps" // the library does not go there
	to.User = nil
	k.at = to
	r.Header["Location"] = base.HeaderValue{to.String()}
}

// unknown tells whether a camera does not know a method.
func unknown(code base.StatusCode) bool {
	return code == base.StatusNotFound || code == base.StatusMethodNotAllowed || code == base.StatusNotImplemented
}

// asked takes a request of the camera (RFC 2326, section 10). The library would end the session for
// all but OPTIONS, and lose what lies in the socket.
func (k *keeper) asked(r *base.Request) {
	k.count()
	k.theirs = r.Method
	r.Method = base.Options
}

// answer consents to what asks whether we live, and says of all else that we do not know it.
func (k *keeper) answer(r *base.Response) {
	switch k.theirs {
	case base.Options, base.GetParameter, base.SetParameter:
	default:
		r.StatusCode = base.StatusNotImplemented
	}
}

// maxTries is how often a request is sent, with the answers to challenges.
const maxTries = 4

// again repeats a request that the camera refused for want of a password, or for its nonce's age.
func (k *keeper) again(request func() error) error {
	for try := 1; ; try++ {
		err := request()
		var answer liberrors.ErrClientBadStatusCode
		if !errors.As(err, &answer) || answer.Code != base.StatusUnauthorized {
			return k.explain(err)
		}
		k.mu.Lock()
		repeat, problem := k.repeat, k.login.problem
		k.mu.Unlock()
		switch {
		case problem != nil:
			return problem
		case !repeat || try == maxTries:
			return err
		}
	}
}

// explain says what the library has no error for.
func (k *keeper) explain(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil && k.downward {
		return errors.Join(errDownward, err)
	}
	return err
}
