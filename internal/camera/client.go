package camera

import (
	"context"
	"errors"

	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// clientConfig is how to talk to a camera.
type clientConfig struct {
	Options // with defaults
	endpoint
	udp bool // RTP over UDP instead of TCP
}

// play runs one session with the camera until it ends, and says why.
func (c clientConfig) play(ctx context.Context, to accessunit.Sink) error {
	s := &session{
		clientConfig: c, to: to,
		hooks:   requestHooks{at: c.url.CloneWithoutCredentials(), login: newLogin(c.endpoint)},
		payload: rateLimit{limit: c.Limits.Bytes},
		traffic: newTraffic(c.Limits.Bytes),
		ended:   make(chan error, 1),
	}
	s.hooks.abort = s.abort
	s.tap.readable = readable
	s.order = accessunit.NewReorder(s.push)
	s.client = s.newClient()
	if err := s.client.Start2(); err != nil {
		return err
	}
	defer func() { s.drain.close() }()
	defer s.close()
	stop := context.AfterFunc(ctx, s.pauseAndClose)
	defer stop()
	err := s.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if aborted := s.aborted.Load(); aborted != nil {
		err = *aborted // what else failed follows from it
	}
	return translate(err)
}

// translate hides the library's error types from the rest of the package.
func translate(err error) error {
	var (
		answer liberrors.ErrClientBadStatusCode
		login  *loginError
	)
	if errors.As(err, &login) {
		return login
	}
	if errors.As(err, &answer) {
		return &statusError{code: int(answer.Code), message: answer.Message}
	}
	var frame liberrors.ErrClientUnexpectedFrame
	if errors.As(err, &frame) {
		return errors.Join(errStale, err)
	}
	var wantsUDP liberrors.ErrClientServerRequestedUDP
	var wantsTCP liberrors.ErrClientServerRequestedTCP
	var noPorts liberrors.ErrClientServerPortsNotProvided
	if errors.As(err, &wantsUDP) || errors.As(err, &wantsTCP) || errors.As(err, &noPorts) {
		return errors.Join(errTransport, err)
	}
	return err
}
