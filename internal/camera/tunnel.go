package camera

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/auth"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/conn"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/handshake"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/httptunnel"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// carrier is what carries RTSP to a camera: a connection of TCP or TLS, or HTTP over it.
type carrier struct{ tunnel, tls bool }

// carrierMemory is what was found out about the carrier.
type carrierMemory struct {
	at   string // host and port of that camera
	over carrier
}

// play plays one session with the camera, over HTTP where the camera turns out to be a web server that tunnels RTSP.
func (c clientConfig) play(ctx context.Context, to accessunit.Sink) error {
	c.over = carrier{tunnel: c.Tunnel, tls: c.TLS}
	if known := c.memory.carrier; known.at == c.host && (!known.over.tunnel || c.mayTunnel()) {
		c.over = known.over
	}
	s, err := c.playOver(ctx, to)
	if s.tap.spoke || ctx.Err() != nil {
		return err
	}
	if errors.As(err, new(*tunnelError)) || byCamera(err) {
		c.memory.carrier = carrierMemory{} // the next session tries again without a tunnel
	}
	other, ok := c.otherCarrier(s, err)
	if !ok {
		return err
	}
	c.over = other
	s, again := c.playOver(ctx, to)
	var unsecured *handshake.Error
	switch {
	case s.tap.spoke:
		c.memory.carrier = carrierMemory{at: c.host, over: other}
		return again
	case errors.As(again, new(*statusError)), errors.As(again, new(*tunnelError)), errors.As(again, &unsecured) && unsecured.Untrusted():
		return again
	}
	return err
}

// mayTunnel reports whether RTSP may go through HTTP, which carries only packets over TCP.
func (c clientConfig) mayTunnel() bool { return slices.Contains(c.transports(), overTCP) }

// otherCarrier returns another carrier to try, after a session in which the camera did not answer in RTSP.
func (c clientConfig) otherCarrier(s *session, err error) (carrier, bool) {
	if c.over.tunnel || !c.mayTunnel() {
		return carrier{}, false
	}
	connected := s.conn.Load() != nil && !errors.As(err, new(*handshake.Error))
	other := carrier{tunnel: true, tls: c.TLS || c.OnTLSPort()}
	switch {
	case errors.Is(err, errWeb):
		return other, true
	case errors.Is(err, errTLS):
		return other, c.OnTLSPort()
	}
	return other, c.OnWebPort() && connected && (byCamera(err) || neterr.IsTimeout(err))
}

// tunnelError says that a camera does not accept RTSP through HTTP.
type tunnelError struct {
	what string // its answer, for people
	error
}

func (e *tunnelError) Unwrap() error { return e.error }

// webLogin answers the challenges to the requests of a tunnel.
type webLogin struct {
	mu sync.Mutex
	login
	sent map[string]*auth.Answer // by method
}

func newWebLogin(at endpoint, memory *auth.Memory, beside *login) *webLogin {
	w := &webLogin{login: newLogin(at, memory), sent: make(map[string]*auth.Answer)}
	w.DigestOffered = beside.DigestOffered
	return w
}

func (w *webLogin) authorization(method, target string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	value := w.login.authorization(method, target)
	w.sent[method] = nil
	if value != "" {
		w.sent[method] = w.Answer()
	}
	return value
}

func (w *webLogin) challenged(method string, challenges []string) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.login.challenged(challenges, w.sent[method])
}

func (w *webLogin) accepted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Accepted(w.sent[httptunnel.Get])
}

// dialTunnel connects to the camera through HTTP, or to the target of its web server's redirect.
func (s *session) dialTunnel(ctx context.Context, at string) (*conn.Conn, string, error) {
	to := address.Page{At: at, Target: (*url.URL)(s.hooks.target()).RequestURI(), TLS: s.over.tls}
	for {
		tunnel, err := s.openTunnel(ctx, to)
		if err == nil {
			opened := net.Conn(tunnel)
			s.conn.Store(&opened)
			return &conn.Conn{
				Conn: tunnel, Playing: &s.hooks.playing, Direct: &s.conversation.direct, Answer: s.Limits.Answer, Came: uncounted,
			}, to.At, nil
		}
		var answer *httptunnel.StatusError
		if !errors.As(err, &answer) || answer.Location == "" {
			return nil, "", s.tunnelFault(err)
		}
		if s.conversation.connections++; s.conversation.connections > 1+maxRedirects {
			return nil, "", errRedirects
		}
		next, ok := to.Follow(answer.Location)
		switch {
		case !ok:
			return nil, "", errNowhere
		case to.TLS && !next.TLS:
			return nil, "", errDownward
		}
		to = next
	}
}

func uncounted(int) error { return nil }

func (s *session) openTunnel(ctx context.Context, to address.Page) (*httptunnel.Conn, error) {
	scheme, host := "rtsp", strings.TrimSuffix(to.At, ":80")
	if to.TLS {
		scheme, host = "rtsps", strings.TrimSuffix(to.At, ":443")
	}
	s.web.connect(scheme, to.At)
	return httptunnel.Open(ctx, httptunnel.Options{
		Dial: func(ctx context.Context, method string) (net.Conn, error) {
			if method == httptunnel.Post {
				return s.dialPost(ctx, to)
			}
			return s.dialStream(ctx, to.At, to.TLS)
		},
		Host: host, Target: to.Target, UserAgent: userAgent, Answer: s.Limits.Answer,
		Authorization: s.web.authorization, Challenged: s.web.challenged, Accepted: s.web.accepted,
		Came: s.meter,
	})
}

// dialPost opens a connection for the requests.
func (s *session) dialPost(ctx context.Context, to address.Page) (net.Conn, error) {
	conn, err := s.dialer().DialContext(ctx, "tcp", to.At)
	if err != nil || !to.TLS {
		return conn, err
	}
	return handshake.Connect(ctx, conn, s.trust(to.At))
}

// tunnelFault returns why there is no tunnel, as an error of this package.
func (s *session) tunnelFault(err error) error {
	var answer *httptunnel.StatusError
	switch {
	case errors.As(err, &answer) && answer.Code == statusUnauthorized:
		s.web.mu.Lock()
		defer s.web.mu.Unlock()
		if s.web.problem != nil {
			return s.web.problem
		}
		return &statusError{code: answer.Code, message: answer.Reason}
	case errors.As(err, &answer) && (answer.Code == statusForbidden || answer.Code == statusUnavailable || answer.Code == statusBandwidth):
		return &statusError{code: answer.Code, message: answer.Reason}
	case errors.As(err, &answer):
		return &tunnelError{what: fmt.Sprintf("%d to HTTP", answer.Code), error: err}
	case errors.Is(err, httptunnel.ErrNotHTTP):
		return &tunnelError{what: "something else than HTTP", error: err}
	case errors.Is(err, httptunnel.ErrNoTunnel):
		return &tunnelError{what: "a web page", error: err}
	}
	return err
}
