package camera

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/multiplex"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// endings are why we end a session ourselves, with sentences for the camera at a host.
var endings = []struct {
	err   error
	class health.Class
	text  string
}{
	{errDownward, health.UserError, "The camera at %s sends us from rtsps:// to an address without TLS, where anybody could read along: " +
		"correct the secret's MediaURI."},
	{accessunit.ErrHuge, health.UserError, "The camera at %s sends pictures larger than 16 MiB: " +
		"lower the bitrate or the resolution of its stream."},
	{multiplex.ErrScrambled, health.UserError, "The camera at %s sends its video scrambled (MPEG-TS with conditional access): " +
		"switch scrambling off for its stream."},
	{errStall, health.SystemError, "The camera at %s keeps the connection open but sends no video: it is connected anew; " +
		"restart it if this stays."},
	{errFlood, health.UserError, "The camera at %s sends more than 100 Mbit/s, which Kinesis Video Streams does not take: " +
		"lower the bitrate of its stream."},
	{errEarly, health.UserError, "The camera at %s sends more before it is asked to play than any camera has to say: " +
		"check that the host and the port in the secret's MediaURI are those of a camera, and update its firmware."},
	{errMessages, health.UserError, "The camera at %s sends more than 100 RTSP messages a second: restart it, and update its firmware."},
	{errRedirects, health.UserError, "The camera at %s sends us from one address to the next: correct the secret's MediaURI."},
	{errStale, health.SystemError, "The camera at %s still sends frames of an earlier session: it is connected anew; " +
		"restart it if this stays."},
	{errTransport, health.SystemError, "The camera at %s does not send over the transport that was asked for: " +
		"set AWS_KVS_EDGE_RTSP_TRANSPORT to auto."},
}

// ending returns the sentence for a session that we ended, nil for another.
func ending(host string, err error) *health.Fault {
	for _, e := range endings {
		if errors.Is(err, e.err) {
			return health.NewFault(e.class, codeCamera, err, e.text, host)
		}
	}
	return nil
}

// faultOf turns the end of a session into a sentence. host is the camera's host and port;
// nothing else of its URL is ever shown.
func faultOf(host string, err error) *health.Fault {
	var (
		already     *health.Fault
		answer      *statusError
		login       *loginError
		unsupported *unsupportedError
	)
	user := func(format string, args ...any) *health.Fault {
		return health.UserFault(codeCamera, err, format, args...)
	}
	ended := ending(host, err)
	if streams := new(multiplex.NoVideoError); errors.As(err, &streams) {
		err = &unsupportedError{codecs: streams.Codecs}
	}
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &login):
		return login.fault(host)
	case errors.As(err, &answer):
		return answerFault(host, answer)
	case ended != nil:
		return ended
	case errors.As(err, &unsupported) && len(unsupported.codecs) == 0:
		return user("The camera at %s sends no video: correct the path in the secret's MediaURI.", host)
	case errors.As(err, &unsupported):
		return user("The camera at %s sends %s, which cannot be recorded for Kinesis Video Streams: "+
			"set its stream to H.264 or H.265.", host, strings.Join(unsupported.codecs, " and "))
	case errors.Is(err, errNoKeyframe):
		return user("The camera at %s sent no keyframe within %v, and nothing can be recorded without one: "+
			"set its keyframe (I-frame) interval to a few seconds.", host, accessunit.ProbeMost)
	}
	return connectionFault(host, err)
}

// connectionFault turns what ended a connection into a sentence.
func connectionFault(host string, err error) *health.Fault {
	var (
		dns         *net.DNSError
		certificate *certificateError
		notTLS      tls.RecordHeaderError
		address     *net.AddrError
	)
	system := func(format string, args ...any) *health.Fault {
		return health.SystemFault(codeCamera, err, format, args...)
	}
	user := func(format string, args ...any) *health.Fault {
		return health.UserFault(codeCamera, err, format, args...)
	}
	switch {
	case errors.As(err, &dns):
		return system("The name of the camera at %s cannot be resolved: check the secret's MediaURI and the hub's DNS.", host)
	case errors.As(err, &certificate) && certificate.pinned:
		return user("The certificate of the camera at %s is not the pinned one but has the fingerprint %s: "+
			"if it was renewed, correct the fingerprint in the secret's MediaURI.", host, certificate.fingerprint)
	case errors.As(err, &certificate):
		return user("The certificate of the camera at %s is not trusted: "+
			"if its SHA-256 fingerprint is %s, add ?fingerprint= with it to the secret's MediaURI.", host, certificate.fingerprint)
	case errors.As(err, &notTLS):
		return user("The camera at %s does not speak TLS on that port: "+
			"write rtsp:// in place of rtsps:// in the secret's MediaURI, or correct the port.", host)
	case errors.As(err, &address):
		return user("The address %s of the camera cannot be one: "+
			"correct the host and the port, which is 1 to 65535, in the secret's MediaURI.", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return system("The camera at %s refuses connections: check that it is on and that its RTSP port is right.", host)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return system("There is no way to the camera at %s: check that it is on and its network cable or Wi-Fi.", host)
	case neterr.IsTimeout(err):
		return system("The camera at %s does not answer: check that it is on and reachable.", host)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return system("The camera at %s closed the connection: it is connected again; "+
			"if it closes every one, check the port, and write rtsps:// for one with TLS.", host)
	default:
		return system("The session with the camera at %s failed: %v.", host, health.Varying(err.Error())) // it may have ports in it
	}
}

func answerFault(host string, e *statusError) *health.Fault {
	switch e.code {
	case statusUnauthorized:
		return health.UserFault(codeCamera, e, "The camera at %s refuses the user name or password: correct the secret's MediaURI.", host)
	case statusForbidden:
		return health.UserFault(codeCamera, e, "The camera at %s does not let this user watch the stream: give the user the right to.", host)
	case statusNotFound:
		return health.UserFault(codeCamera, e, "The camera at %s has no such stream: correct the path in the secret's MediaURI.", host)
	case statusTransport:
		return health.SystemFault(codeCamera, e, "The camera at %s does not send over the transport that was asked for: "+
			"set AWS_KVS_EDGE_RTSP_TRANSPORT to auto.", host)
	case statusUnavailable, statusBandwidth:
		return health.SystemFault(codeCamera, e, "The camera at %s has no session left for us: "+
			"close other viewers, or raise its number of clients.", host)
	default:
		return health.SystemFault(codeCamera, e, "The camera at %s answers %d (%s).", host, e.code, e.message)
	}
}

// retryOf says when a camera may be asked again after a session that ended so.
func retryOf(err error) accessunit.Retry {
	var answer *statusError
	switch {
	case errors.As(err, &answer) && answer.code == statusUnauthorized:
		return accessunit.RetryRefused
	case errors.Is(err, errStale):
		return accessunit.RetryStale
	case errors.Is(err, accessunit.ErrHuge), errors.Is(err, errFlood), errors.Is(err, errEarly), errors.Is(err, errMessages):
		return accessunit.RetrySlowly
	}
	return accessunit.RetryUsual
}

// wrongTransport reports whether a session, of which so many frames were recorded, ended so that another transport may
// help.
func wrongTransport(err error, frames int64) bool {
	var answer *statusError
	return errors.Is(err, errTransport) || errors.Is(err, errStall) && frames == 0 ||
		errors.As(err, &answer) && answer.code == statusTransport
}

// byCamera reports whether a session ended so that the camera hung up, or did not send any more.
func byCamera(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, errStall)
}
