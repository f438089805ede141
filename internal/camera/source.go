// Package camera plays RTSP cameras: it handles addresses, sessions, passwords, certificates and
// transports, and turns the end of a session into a sentence. The media goes to an accessunit.Sink: the package does not know
// how it is used. No other package uses the RTSP library.
package camera

import (
	"context"
	"errors"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// endpoint is where a camera is: the part of its URL that may be shown, and the part that may not.
type endpoint struct {
	address.Address
	url  *base.URL
	host string // and port
}

func parseEndpoint(url secret.String) (endpoint, error) {
	a, err := address.Parse(url)
	return endpoint{Address: a, url: (*base.URL)(a.URL), host: a.At}, err
}

// Source plays a camera, one session after the other. One goroutine uses it.
type Source struct {
	o      Options
	played Options // those of the last session
	memory memory  // of the camera
}

// NewSource returns a Source.
func NewSource(o Options) *Source {
	return &Source{o: o.withDefaults()}
}

// Live returns true: a camera sends video of the present.
func (s *Source) Live() bool { return true }

// Play plays one session until it ends. It returns an *accessunit.SessionEnd, or ctx's error.
func (s *Source) Play(ctx context.Context, to accessunit.Sink) error {
	host, err := s.play(ctx, to)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &accessunit.SessionEnd{Fault: faultOf(host, err), Retry: retryOf(err), NoURL: errors.As(err, new(noURL))}
}

func (s *Source) play(ctx context.Context, to accessunit.Sink) (host string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = accessunit.InternalFault(host, supervise.PanicError(p))
		}
	}()
	url, err := s.o.URL(ctx)
	if err != nil {
		return "", noURL{err}
	}
	at, err := parseEndpoint(url)
	if err != nil {
		return "", err
	}
	host = at.host
	s.played = s.o.of(at)
	return host, clientConfig{Options: s.played, endpoint: at, memory: &s.memory}.playOverAny(ctx, to)
}

// Adapt has the next session try another transport, when that may help after a session with this end and
// this number of recorded frames.
func (s *Source) Adapt(end *accessunit.SessionEnd, frames int64) {
	if next := s.played.next(s.memory.transport); next != s.memory.transport && wrongTransport(end, frames) {
		s.memory.transport = next
		logevent.TransportSwitched.Log(s.o.Log, zap.Stringer("transport", next))
	}
}
