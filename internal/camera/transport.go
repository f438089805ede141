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

// transport is how RTP comes.
type transport uint8

// The transports, in the order in which they are tried.
const (
	overTCP transport = iota
	overUDP
	overMulticast
)

// transportNames are those for people.
var transportNames = map[transport]string{overTCP: "TCP", overUDP: "UDP", overMulticast: "UDP multicast"}

// String implements fmt.Stringer.
func (t transport) String() string { return transportNames[t] }

// transports are those that a camera may be asked for.
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

// next is the transport after the one that was last tried.
func (o Options) next(last transport) transport {
	all := o.transports()
	return all[(slices.Index(all, last)+1)%len(all)]
}

// refusals are what a camera said to the transports that it was asked for, one after the other.
type refusals []error

// refuse takes note that the camera does not send over the transport that it was asked for, and reports whether there is
// another one to try.
func (c clientConfig) refuse(err error) (another bool) {
	*c.refused = append(*c.refused, err)
	c.memory.transport = c.next(c.memory.transport)
	return len(*c.refused) < len(c.transports())
}

// playOverAny plays one session over the transport that worked last, or else over the first that the camera does not
// refuse. It takes another session where the camera took one transport for another.
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
		if !errors.Is(err, errTransport) { // what has the better reason
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

// acceptedError is a transport that a camera accepts, and then names one over which nothing can come.
type acceptedError struct{ error }

// Unwrap makes it another transport's turn.
func (e *acceptedError) Unwrap() []error { return []error{errTransport, e.error} }

// refusesTransport reports whether a camera refused to send over the transport that it was asked for.
func refusesTransport(err error) bool {
	var refused *setUpError
	return errors.Is(err, errTransport) || errors.As(err, &refused)
}

// setUpError is a refusal of SETUP for which the transport may be the reason, as some cameras do not know the code for it.
type setUpError struct{ *statusError }

func (e *setUpError) Unwrap() error { return e.statusError }

// refusedSetUp says what the refusal to set up the video means.
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

// wrongTransport reports whether a session, of which so many frames were recorded, ended so that another transport may
// help.
func wrongTransport(err error, frames int64) bool {
	var stranger *strangerError
	return errors.Is(err, errStall) && frames == 0 && !errors.As(err, &stranger)
}
