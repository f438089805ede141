package camera

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/conn"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/handshake"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/srtpkey"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

// dialogue is what is said over the connections of a session, and to which URLs.
type dialogue struct {
	connections int         // so far: a redirect takes another one
	scheme      string      // of the last one
	direct      atomic.Bool // what it brings is not left to gather
	last        atomic.Pointer[answer.Dialogue]

	setup atomic.Pointer[base.URL] // of the track that is set up
	play  atomic.Pointer[base.URL] // of what plays, where it is not the library's

	setting atomic.Pointer[setting] // the SETUP under way; nil: none

	dropped ratelimit.Limit // messages that had nothing to say; the goroutine that reads uses it
}

func (d *dialogue) mend(message []byte) []byte { return d.last.Load().Mend(message) }

func (d *dialogue) described() answer.Described { return d.last.Load().Described() }

// dropMessage counts a message that the library does not see.
func (s *session) dropMessage() error {
	if !s.dialogue.dropped.Exceeds(1, time.Now()) {
		return nil
	}
	s.abort(errMessages)
	return errMessages
}

// maxRedirects is how often a camera may send us elsewhere.
const maxRedirects = 3

// dial connects to the camera, or to where it redirects us.
func (s *session) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if s.dialogue.connections++; s.dialogue.connections > 1+maxRedirects {
		return nil, errRedirects
	}
	messages := &answer.Dialogue{Key: func(encoded string) string { return srtpkey.Readable(encoded, time.Now()) }}
	s.dialogue.scheme = s.client.Scheme
	s.dialogue.last.Store(messages)
	s.tap.opened = false
	scheme := s.client.Scheme
	var batched *conn.Conn
	var err error
	if s.over.tunnel {
		s.dialogue.scheme = "rtsp"
		if s.over.tls {
			scheme = "rtsps"
		}
		batched, address, err = s.dialTunnel(ctx, address)
	} else if batched, err = s.dialStream(ctx, address, scheme == "rtsps"); err == nil {
		batched.Answer = s.Limits.Answer
	}
	if err != nil {
		return nil, err
	}
	// The library would make a TLS connection by itself, unless it takes the scheme for another one; request puts that right.
	s.client.Scheme = "rtsp"
	batched.Tap, batched.Sent, batched.Divert = &s.tap, messages.Sent, s.divert
	inject := batched.Inject
	s.inject.Store(&inject)
	s.hooks.connect(scheme, address, batched.Write)
	return batched, nil
}

func (s *session) dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:         s.Limits.Answer,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: s.Limits.Stall, Interval: s.Limits.Stall / 2, Count: 3},
	}
}

// dialStream connects to a host and port, over TLS or not. Its bytes are counted and read in batches; whoever reads has a time of its own.
func (s *session) dialStream(ctx context.Context, address string, secure bool) (*conn.Conn, error) {
	dialled, err := s.dialer().DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s.conn.Store(&dialled)
	s.peer, s.local = addressOf(dialled.RemoteAddr()), addressOf(dialled.LocalAddr())
	below := &conn.Conn{Conn: dialled, Playing: &s.hooks.playing, Direct: &s.dialogue.direct, Came: s.countBytes}
	if !secure {
		return below, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.Limits.Answer)
	defer cancel()
	secured, err := handshake.Connect(ctx, below, s.trust(address))
	if err != nil {
		return nil, err
	}
	return &conn.Conn{Conn: secured, Playing: below.Playing, Direct: below.Direct, Came: uncounted}, nil
}

// trust says whom to trust at a host and port.
func (s *session) trust(address string) handshake.Options {
	host, _, _ := net.SplitHostPort(address)
	return handshake.Options{Name: host, Pinned: s.Pinned, Roots: s.Roots, Tunnel: s.over.tunnel}
}

// request is called before a request of ours is sent.
func (s *session) request(r *base.Request) {
	if s.client.Scheme != s.dialogue.scheme {
		s.client.Scheme = s.dialogue.scheme
	}
	to := s.dialogue.play.Load()
	switch r.Method {
	case base.Describe:
		to = nil
	case base.Setup:
		to = s.dialogue.setup.Load()
		s.dialogue.setting.Load().asks(r)
	}
	if to != nil {
		r.URL = to.Clone()
	}
	s.hooks.request(r)
}

// response is called before the library takes a response.
func (s *session) response(r *base.Response) {
	s.hooks.response(r)
	if keys := r.Header["KeyMgmt"]; len(keys) == 1 {
		keys[0] = srtpkey.Header(keys[0], time.Now())
	}
	s.dialogue.setting.Load().answers(r, s.dialogue.last.Load().SetUp())
}

// askToPlay asks the camera to play what was described, or else the video alone.
func (s *session) askToPlay() (response *base.Response, err error) {
	described := s.dialogue.described()
	urls := described.Bases
	if to := s.dialogue.setup.Load(); to != nil && s.audio == nil {
		urls = append(slices.Clip(urls), to.String())
	}
	err = s.ask(&s.dialogue.play, urls, func() (err error) { response, err = s.client.Play(nil); return err })
	return response, err
}

// ask makes a request to the first of these URLs that the camera knows.
func (s *session) ask(to *atomic.Pointer[base.URL], urls []string, request func() error) error {
	var refused error
	for _, text := range urls {
		url, err := base.ParseURL(text)
		if err != nil {
			continue
		}
		to.Store(url)
		if err = s.hooks.repeat(request); err == nil || !isElsewhere(err) {
			return err
		}
		refused = errors.Join(refused, err)
	}
	if refused != nil {
		return refused
	}
	to.Store(nil)
	return s.hooks.repeat(request)
}

// isElsewhere reports whether a camera may know another URL for what was asked.
func isElsewhere(err error) bool {
	var answer liberrors.ErrClientBadStatusCode
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code {
	case base.StatusBadRequest, base.StatusNotFound, base.StatusGone, base.StatusParameterNotUnderstood, base.StatusSessionNotFound,
		base.StatusMethodNotValidInThisState, base.StatusAggregateOperationNotAllowed, base.StatusOnlyAggregateOperationAllowed:
		return true
	}
	return false
}
