package recorder

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
)

// keeper does what the library leaves out: it answers a new nonce in mid-session, finds the keepalive
// that a camera takes, lets a camera ask what it likes, and does without OPTIONS.
type keeper struct {
	url     *base.URL
	theirs  base.Method // of the camera's last request; only the library's main goroutine uses it
	mu      sync.Mutex
	ours    base.Method // of our last request
	sender  *auth.Sender
	renewed bool // the nonce is new since the last request that was not a keepalive
	playing atomic.Bool
	odd     bool // the camera refused the last keepalive
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
	k.ours = r.Method
	if k.sender != nil {
		k.sender.AddAuthorization(r)
	}
}

func (k *keeper) response(r *base.Response) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.StatusCode == base.StatusUnauthorized && k.url.User != nil {
		password, _ := k.url.User.Password()
		sender := &auth.Sender{WWWAuth: r.Header["WWW-Authenticate"], User: k.url.User.Username(), Pass: password}
		if sender.Initialize() == nil {
			k.renewed = k.sender != nil
			k.sender = sender
		}
		return
	}
	switch {
	case k.playing.Load():
		if r.StatusCode >= base.StatusBadRequest {
			k.odd = !k.odd // the other one next time
		}
	case k.ours == base.Options && unknown(r.StatusCode): // the library does not go on without it
		r.StatusCode = base.StatusOK
	}
	// Cameras end sessions earlier than they announce: keepalives come twice as often as they have to.
	var session headers.Session
	if v, ok := r.Header["Session"]; ok && session.Unmarshal(v) == nil && session.Timeout != nil && *session.Timeout > 1 {
		*session.Timeout /= 2
		r.Header["Session"] = session.Marshal()
	}
}

// unknown tells whether a camera does not know a method.
func unknown(code base.StatusCode) bool {
	return code == base.StatusNotFound || code == base.StatusMethodNotAllowed || code == base.StatusNotImplemented
}

// asked takes a request of the camera (RFC 2326, section 10). The library would end the session for
// all but OPTIONS, and lose what lies in the socket.
func (k *keeper) asked(r *base.Request) {
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

// again repeats a request when the camera refused it for its nonce's age.
func (k *keeper) again(request func() error) error {
	err := request()
	var answer liberrors.ErrClientBadStatusCode
	k.mu.Lock()
	renewed := k.renewed
	k.renewed = false
	k.mu.Unlock()
	if renewed && errors.As(err, &answer) && answer.Code == base.StatusUnauthorized {
		return request()
	}
	return err
}
