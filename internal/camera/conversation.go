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

// conversation is the state of the requests and answers of a session, over all of its connections.
type conversation struct {
	connections int         // so far: a redirect opens another one
	scheme      string      // of the last one
	direct      atomic.Bool // it is read without delay
	last        atomic.Pointer[answer.Conversation]

	setup atomic.Pointer[base.URL] // of the track being set up
	play  atomic.Pointer[base.URL] // of PLAY, where it is not the library's

	setting atomic.Pointer[setting] // the SETUP under way; nil: none

	dropped ratelimit.Limit // ignored messages; used by the reading goroutine
}

func (d *conversation) repair(message []byte) []byte { return d.last.Load().Repair(message) }

func (d *conversation) described() answer.Described { return d.last.Load().Described() }

// dropMessage counts a message that is not passed to the library.
func (s *session) dropMessage() error {
	if !s.conversation.dropped.Exceeds(1, time.Now()) {
		return nil
	}
	s.abort(errMessages)
	return errMessages
}

// maxRedirects is how many redirects of a camera are followed.
const maxRedirects = 3

// dial connects to the camera, or to the address of its redirect.
func (s *session) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if s.conversation.connections++; s.conversation.connections > 1+maxRedirects {
		return nil, errRedirects
	}
	messages := &answer.Conversation{Key: func(encoded string) string { return srtpkey.Readable(encoded, time.Now()) }}
	s.conversation.scheme = s.client.Scheme
	s.conversation.last.Store(messages)
	s.tap.opened = false
	scheme := s.client.Scheme
	var batched *conn.Conn
	var err error
	if s.over.tunnel {
		s.conversation.scheme = "rtsp"
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
	// The library would open a TLS connection by itself, unless it sees another scheme; request restores the real one.
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

// dialStream connects to a host and port, over TLS or not. Its bytes are counted and read in batches; readers set deadlines of their own.
func (s *session) dialStream(ctx context.Context, address string, secure bool) (*conn.Conn, error) {
	dialled, err := s.dialer().DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s.conn.Store(&dialled)
	s.peer, s.local = addressOf(dialled.RemoteAddr()), addressOf(dialled.LocalAddr())
	below := &conn.Conn{Conn: dialled, Playing: &s.hooks.playing, Direct: &s.conversation.direct, Came: s.countBytes}
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

// trust returns which certificates are trusted at a host and port.
func (s *session) trust(address string) handshake.Options {
	host, _, _ := net.SplitHostPort(address)
	return handshake.Options{Name: host, Pinned: s.Pinned, Roots: s.Roots, Tunnel: s.over.tunnel}
}

// request is called before the agent sends a request.
func (s *session) request(r *base.Request) {
	if s.client.Scheme != s.conversation.scheme {
		s.client.Scheme = s.conversation.scheme
	}
	to := s.conversation.play.Load()
	switch r.Method {
	case base.Describe:
		to = nil
	case base.Setup:
		to = s.conversation.setup.Load()
		s.conversation.setting.Load().asks(r)
	}
	if to != nil {
		r.URL = to.Clone()
	}
	s.hooks.request(r)
}

// response is called before the library handles a response.
func (s *session) response(r *base.Response) {
	s.hooks.response(r)
	if keys := r.Header["KeyMgmt"]; len(keys) == 1 {
		keys[0] = srtpkey.Header(keys[0], time.Now())
	}
	s.conversation.setting.Load().answers(r, s.conversation.last.Load().SetUp())
}

// askToPlay asks the camera to play everything that was described, or else the video alone.
func (s *session) askToPlay() (response *base.Response, err error) {
	described := s.conversation.described()
	urls := described.Bases
	if to := s.conversation.setup.Load(); to != nil && s.audio == nil {
		urls = append(slices.Clip(urls), to.String())
	}
	err = s.ask(&s.conversation.play, urls, func() (err error) { response, err = s.client.Play(nil); return err })
	return response, err
}

// ask sends a request for the first of these URLs that the camera knows.
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

// isElsewhere reports whether the camera may know the resource by another URL.
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
