package camera

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// codeCamera is the code of conditions that end a session: one camera has one sentence.
const codeCamera = accessunit.CodeCamera

// statusError is an RTSP answer that is not 200.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return fmt.Sprintf("RTSP %d %s", e.code, e.message) }

// RTSP status codes (RFC 2326, section 7.1.1).
const (
	statusUnauthorized = 401
	statusForbidden    = 403
	statusNotFound     = 404
	statusUnavailable  = 503
	statusBandwidth    = 453
	statusTransport    = 461
)

// errStall ends a session in which no more video arrives.
var errStall = errors.New("no video came")

// stalled returns errStall with its duration.
func stalled(limit time.Duration) error { return fmt.Errorf("%w for %v", errStall, limit) }

// Other reasons for ending a session.
var (
	errStale = errors.New("frames of an earlier session came")
	// errTransport: a camera does not send over the transport that it was asked for.
	errTransport = errors.New("the camera does not send over this transport")
	errRedirects = errors.New("redirected too often")
	errWeb       = errors.New("the answer is one of HTTP")
	errTLS       = errors.New("the answer is one of TLS")
	errNowhere   = errors.New("redirected to an address that is not a camera")
	errDownward  = errors.New("redirected from TLS to an address without")
	errMessages  = errors.New("more than 100 RTSP messages a second came")
	// errNoKeyframe ends a probe: the video cannot be recorded.
	errNoKeyframe = errors.New("no keyframe came for " + accessunit.ProbeMost.String())
)

// unsupportedError: a camera has no track that can be recorded.
type unsupportedError struct{ codecs []string }

func (e *unsupportedError) Error() string {
	return "neither H.264 nor H.265 among the camera's formats: " + strings.Join(e.codecs, ", ")
}

// transportError: a camera sends over none of the transports that it may be asked for.
type transportError struct {
	error   // of the first
	tried   []transport
	fromURL bool // the URL names the transport
	beside  bool // one of them is a besideError
}

func (e *transportError) Unwrap() error { return e.error }

// besideError: video would bypass the TLS connection or the tunnel that carries RTSP.
type besideError struct{}

func (e *besideError) Error() string {
	return "what is not encrypted would leave the TLS connection, or the tunnel"
}

// Unwrap marks it as a refusal of the transport.
func (e *besideError) Unwrap() error { return errTransport }

// strangerError ends a session in which video arrived only from an address that is not the camera's.
type strangerError struct{ from string }

func (e *strangerError) Error() string { return "video came from " + e.from + " only" }

// Unwrap marks it as a stall.
func (e *strangerError) Unwrap() error { return errStall }

// onlyTransportError is a stall over the only transport that is allowed, which was not TCP.
type onlyTransportError struct {
	error
	transport transport
	fromURL   bool // the URL names the transport
}

func (e *onlyTransportError) Unwrap() error { return e.error }

// noURL is an error of Options.URL: there was no session.
type noURL struct{ error }

func (e noURL) Unwrap() error { return e.error }

// translate converts the library's error types to this package's.
func translate(err error) error {
	var (
		refused liberrors.ErrClientBadStatusCode
		login   *loginError
	)
	if errors.As(err, &login) {
		return login
	}
	if errors.As(err, &refused) {
		return &statusError{code: int(refused.Code), message: refused.Message}
	}
	var frame liberrors.ErrClientUnexpectedFrame
	if errors.As(err, &frame) {
		return errors.Join(errStale, err)
	}
	var noChannels liberrors.ErrClientTransportHeaderNoInterleavedIDs
	if errors.As(err, &noChannels) {
		return &acceptedError{err}
	}
	return err
}
