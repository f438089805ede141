package camera

import (
	"context"
	"errors"
	"slices"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
)

// transport is a transport of RTP.
type transport uint8

// The transports, in the order in which they are tried.
const (
	overTCP transport = iota
	overUDP
	overMulticast
)

// transportNames are names for people.
var transportNames = map[transport]string{overTCP: "TCP", overUDP: "UDP", overMulticast: "UDP multicast"}

// String implements fmt.Stringer.
func (t transport) String() string { return transportNames[t] }

// transports are the transports that a camera may be asked for.
func (o Options) transports() []transport {
	switch o.Transport {
	case TransportTCP:
		return []transport{overTCP}
	case TransportUDP:
		return []transport{overUDP}
	case TransportMulticast:
		return []transport{overMulticast}
	default:
		return []transport{overTCP, overUDP, overMulticast}
	}
}

// next returns the transport to try after the last one.
func (o Options) next(last transport) transport {
	all := o.transports()
	return all[(slices.Index(all, last)+1)%len(all)]
}

// refusals are the camera's answers to the transports that it was asked for, in order.
type refusals []error

// refuse notes that the camera does not send over the requested transport, and reports whether there is
// another one to try.
func (c clientConfig) refuse(err error) (another bool) {
	*c.refused = append(*c.refused, err)
	c.memory.transport = c.next(c.memory.transport)
	return len(*c.refused) < len(c.transports())
}

// playOverAny plays one session over the transport that worked last, or else over the first that the camera does not
// refuse. It starts another session where the camera confused one transport with another.
func (c clientConfig) playOverAny(ctx context.Context, to accessunit.Sink) error {
	all := c.transports()
	if !slices.Contains(all, c.memory.transport) {
		c.memory.transport = all[0]
	}
	c.refused = new(refusals)
	for {
		err := c.play(ctx, to)
		if ctx.Err() != nil || !refusesTransport(err) {
			return err
		}
		var accepted *acceptedError
		if !errors.As(err, &accepted) || !c.refuse(err) {
			break
		}
	}
	for _, err := range *c.refused {
		if !errors.Is(err, errTransport) { // the more specific reason
			return err
		}
	}
	beside := slices.ContainsFunc(*c.refused, func(err error) bool { return errors.As(err, new(*besideError)) })
	return &transportError{error: (*c.refused)[0], tried: all, fromURL: c.Address.Transport != "", beside: beside}
}

// setUpVideo sets up the video over the first transport that the camera does not refuse.
func (s *session) setUpVideo(baseURL *base.URL, m *description.Media, described answer.Described) (*delivery, error) {
	for {
		d, err := s.setUpMedia(baseURL, m, described.VideoURLs, described.Video.Delivery)
		err = refusedSetUp(translate(err))
		var accepted *acceptedError
		if !refusesTransport(err) || errors.As(err, &accepted) || !s.refuse(err) {
			return d, err
		}
	}
}

// acceptedError: a camera accepts a transport, and then names addresses over which nothing can arrive.
type acceptedError struct{ error }

// Unwrap marks it as a refusal, so that another transport is tried.
func (e *acceptedError) Unwrap() []error { return []error{errTransport, e.error} }

// refusesTransport reports whether a camera refused to send over the requested transport.
func refusesTransport(err error) bool {
	var refused *setUpError
	return errors.Is(err, errTransport) || errors.As(err, &refused)
}

// setUpError is a refusal of SETUP that may be due to the transport, as some cameras do not use its status code.
type setUpError struct{ *statusError }

func (e *setUpError) Unwrap() error { return e.statusError }

// refusedSetUp classifies a refusal to set up the video.
func refusedSetUp(err error) error {
	var answer *statusError
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.code {
	case statusTransport:
		return errors.Join(errTransport, err)
	case statusUnauthorized, statusForbidden, statusNotFound, statusUnavailable, statusBandwidth:
		return err
	}
	return &setUpError{answer}
}

// wrongTransport reports whether another transport may help after a session that ended with an error, of which
// a number of frames was recorded.
func wrongTransport(err error, frames int64) bool {
	var stranger *strangerError
	return errors.Is(err, errStall) && frames == 0 && !errors.As(err, &stranger)
}
