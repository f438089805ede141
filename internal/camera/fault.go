package camera

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/handshake"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/multiplex"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/traffic"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// endings are the reasons for which the agent ends a session, with sentences for the camera at a host.
var endings = []struct {
	err   error
	class health.Class
	text  string
}{
	{errWeb, health.UserError, "The camera at %s has its web server on that port, not RTSP: correct the port in the secret's " +
		"MediaURI, which is 554 on most cameras."},
	{errTLS, health.UserError, "The camera at %s expects TLS on that port: write rtsps:// instead of rtsp:// in the secret's MediaURI, " +
		"or correct the port."},
	{errNowhere, health.UserError, "The camera at %s redirects to an address that is not one for RTSP: correct the secret's MediaURI."},
	{errDownward, health.UserError, "The camera at %s redirects from rtsps:// to an address without TLS, " +
		"where others in its network could read the password and the video: correct the secret's MediaURI."},
	{accessunit.ErrHuge, health.UserError, "The camera at %s sends pictures larger than 16 MiB: " +
		"lower the bitrate or the resolution of its stream."},
	{multiplex.ErrScrambled, health.UserError, "The camera at %s sends its video scrambled (MPEG-TS with conditional access): " +
		"switch scrambling off for its stream."},
	{traffic.ErrFlood, health.UserError, "The camera at %s sends more than 100 Mbit/s, which Kinesis Video Streams does not accept: " +
		"lower the bitrate of its stream."},
	{traffic.ErrEarly, health.UserError, "The camera at %s sends too much data before it is asked to play: " +
		"check that the host and the port in the secret's MediaURI are those of a camera, and update its firmware."},
	{errMessages, health.UserError, "The camera at %s sends more than 100 RTSP messages a second: restart it, and update its firmware."},
	{errRedirects, health.UserError, "The camera at %s redirects from one address to the next: correct the secret's MediaURI."},
	{errStale, health.SystemError, "The camera at %s still sends frames of an earlier session: the agent reconnects; " +
		"restart the camera if this continues."},
}

// ending returns the sentence for a session that the agent ended, nil for another.
func ending(host string, err error) *health.Fault {
	for _, e := range endings {
		if errors.Is(err, e.err) {
			return health.NewFault(e.class, codeCamera, err, e.text, host)
		}
	}
	return nil
}

// fault returns a sentence for the camera at a host, which depends on the settings.
func (e *transportError) fault(host string) *health.Fault {
	if e.beside && slices.Contains(e.tried, overTCP) {
		return health.UserFault(codeCamera, e, "The camera at %s sends its video only outside the TLS connection or the HTTP tunnel "+
			"of RTSP: allow RTP over TCP in its settings.", host)
	}
	if len(e.tried) == 1 {
		return health.SystemFault(codeCamera, e, "The camera at %s does not send over the transport that was asked for, %v: "+
			"%s.", host, e.tried[0], otherTransport(e.fromURL))
	}
	return health.SystemFault(codeCamera, e, "The camera at %s sends neither over TCP nor over UDP nor to a multicast group: "+
		"restart it, and allow one of them in its settings.", host)
}

// otherTransport returns how to have another transport tried.
func otherTransport(fromURL bool) string {
	if fromURL {
		return "write rtsp:// (rtsps:// with TLS) in the secret's MediaURI, which allows any transport"
	}
	return "set AWS_KVS_EDGE_RTSP_TRANSPORT to auto"
}

// stallFault returns a sentence for a session in which no video arrived.
func stallFault(host string, err error) *health.Fault {
	var (
		stranger *strangerError
		only     *onlyTransportError
	)
	switch {
	case errors.As(err, &stranger):
		return health.UserFault(codeCamera, err, "The video of the camera at %s comes from %s, an address that the camera did not name, and is "+
			"left out: if that one is the camera's, add ?source=any to the end of the secret's MediaURI.", host, stranger.from)
	case errors.As(err, &only):
		return health.SystemFault(codeCamera, err, "The camera at %s keeps the connection open but no video arrives over %v: allow it in "+
			"the firewalls between camera and hub, or %s.", host, only.transport, otherTransport(only.fromURL))
	default:
		return health.SystemFault(codeCamera, err, "The camera at %s keeps the connection open but sends no video: the agent reconnects; "+
			"restart the camera if this continues.", host)
	}
}

// faultOf turns the end of a session into a sentence. host is the camera's host and port;
// no other part of its URL is ever shown.
func faultOf(host string, err error) *health.Fault {
	var (
		already     *health.Fault
		answer      *statusError
		login       *loginError
		unsupported *unsupportedError
		undeclared  *sdp.UndeclaredError
		other       *sdp.OtherFormatError
		undefined   payload.UndefinedError
		transport   *transportError
	)
	user := func(format string, args ...any) *health.Fault {
		return health.UserFault(codeCamera, err, format, args...)
	}
	ended := ending(host, err)
	if errors.Is(err, errStall) {
		ended = stallFault(host, err)
	}
	if streams := new(multiplex.NoVideoError); errors.As(err, &streams) {
		err = &unsupportedError{codecs: streams.Codecs}
	}
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &login):
		return login.fault(host)
	case errors.As(err, &transport):
		return transport.fault(host)
	case errors.As(err, &answer):
		return answerFault(host, answer)
	case ended != nil:
		return ended
	case errors.As(err, &unsupported) && len(unsupported.codecs) == 0:
		return user("The camera at %s sends no video: correct the path in the secret's MediaURI.", host)
	case errors.As(err, &unsupported):
		return user("The camera at %s sends %s, which cannot be recorded for Kinesis Video Streams: "+
			"set its stream to H.264 or H.265.", host, strings.Join(unsupported.codecs, " and "))
	case errors.As(err, &undeclared):
		return user("The camera at %s sends RTP packets of payload type %d, which it did not describe, and no video that it did: "+
			"restart the camera, and update its firmware if this continues.", host, undeclared.PayloadType)
	case errors.As(err, &other):
		return health.SystemFault(codeCamera, err, "The camera at %s sends another of the formats that it describes: the agent reconnects.", host)
	case errors.As(err, &undefined):
		return user("The camera at %s sends its video in RTP payloads of type %d, which %s does not define: "+
			"update its firmware, or set its stream to another codec.", host, undefined.Type, undefined.Codec)
	case errors.Is(err, errNoKeyframe):
		return user("The camera at %s sent no keyframe within %v, and nothing can be recorded without one: "+
			"set its keyframe (I-frame) interval to a few seconds.", host, accessunit.ProbeMost)
	}
	return connectionFault(host, err)
}

// connectionFault turns the error of a connection into a sentence.
func connectionFault(host string, err error) *health.Fault {
	var (
		dns     *net.DNSError
		tunnel  *tunnelError
		address *net.AddrError
	)
	unsecured := handshake.Fault(host, err)
	system := func(format string, args ...any) *health.Fault {
		return health.SystemFault(codeCamera, err, format, args...)
	}
	user := func(format string, args ...any) *health.Fault {
		return health.UserFault(codeCamera, err, format, args...)
	}
	switch {
	case errors.As(err, &dns):
		return system("The name of the camera at %s cannot be resolved: check the secret's MediaURI and the hub's DNS.", host)
	case unsecured != nil:
		return unsecured
	case errors.As(err, &tunnel):
		return user("The camera at %s answers %s, and does not accept RTSP through HTTP there: correct the port and the path in the "+
			"secret's MediaURI; for rtsp:// the port is 554 on most cameras.", host, tunnel.what)
	case errors.As(err, &address):
		return user("The address %s of the camera is not valid: "+
			"correct the host and the port, which is 1 to 65535, in the secret's MediaURI.", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return system("The camera at %s refuses connections: check that it is on and that its RTSP port is right.", host)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return system("No route to the camera at %s: check that it is on and its network cable or Wi-Fi.", host)
	case neterr.IsTimeout(err):
		return system("The camera at %s does not answer: check that it is on and reachable.", host)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return system("The camera at %s closed the connection: the agent reconnects; "+
			"if it closes every one, check the port, and write rtsps:// for one with TLS.", host)
	default:
		return system("The session with the camera at %s failed: %v.", host, health.Varying(err.Error())) // it may contain ports
	}
}

func answerFault(host string, e *statusError) *health.Fault {
	switch e.code {
	case statusUnauthorized:
		return health.UserFault(codeCamera, e, "The camera at %s refuses the user name or password: correct the secret's MediaURI.", host)
	case statusForbidden:
		return health.UserFault(codeCamera, e, "The camera at %s does not let this user watch the stream: "+
			"grant the user permission to view it.", host)
	case statusNotFound:
		return health.UserFault(codeCamera, e, "The camera at %s has no such stream: correct the path in the secret's MediaURI.", host)
	case statusUnavailable, statusBandwidth:
		return health.SystemFault(codeCamera, e, "The camera at %s has no free session: "+
			"close other viewers, or raise its number of clients.", host)
	default:
		return health.SystemFault(codeCamera, e, "The camera at %s answers %d (%s).", host, e.code, e.message)
	}
}

// retryOf returns when a camera may be asked again after a session that ended with an error.
func retryOf(err error) accessunit.Retry {
	var answer *statusError
	switch {
	case errors.As(err, &answer) && answer.code == statusUnauthorized:
		return accessunit.RetryRefused
	case errors.Is(err, errStale):
		return accessunit.RetryStale
	case errors.Is(err, accessunit.ErrHuge), errors.Is(err, traffic.ErrFlood), errors.Is(err, traffic.ErrEarly), errors.Is(err, errMessages):
		return accessunit.RetrySlowly
	}
	return accessunit.RetryUsual
}

// byCamera reports whether the camera ended a session, by hanging up or by sending no more.
func byCamera(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, errStall)
}
