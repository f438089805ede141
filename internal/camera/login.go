package camera

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/auth"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// login answers the challenges of one session with a camera, over all of its connections and redirects. The RTSP library
// never sees the password. It is sent to the configured host only, and never in clear text (Basic) once the
// camera has offered Digest: otherwise a man in the middle could ask for it.
type login struct {
	auth.Client
	scheme, host string // of the URL; host with its port

	elsewhere string // host and port of a connection that must not receive the password; "" for the camera's own
	problem   error  // why a challenge was not answered; nil when it was, or there was none
}

// newLogin extracts the user and the password from a camera's URL.
func newLogin(at endpoint, memory *auth.Memory) login {
	l := login{scheme: "rtsp", host: at.host, Client: auth.Client{Memory: memory, DigestOffered: new(atomic.Bool)}}
	if at.TLS {
		l.scheme = "rtsps"
	}
	if user := at.url.User; user != nil {
		l.Has, l.User = true, user.Username()
		l.Password, _ = user.Password()
	}
	return l
}

// connect starts a connection. The password may be sent to the host and port of the URL, and to any port of that host over TLS,
// where a certificate proves that it is the same host.
func (l *login) connect(scheme, address string) {
	host, port, _ := net.SplitHostPort(address)
	ownHost, ownPort, _ := net.SplitHostPort(l.host)
	l.elsewhere = ""
	if !strings.EqualFold(host, ownHost) || port != ownPort && scheme != "rtsps" || l.scheme == "rtsps" && scheme != "rtsps" {
		l.elsewhere = address
	}
	l.Connect()
	l.problem = nil
}

// loginError is why a challenge is not answered. It counts as a refusal of the password.
type loginError struct {
	error
	elsewhere string // the target of the redirect
}

// Unwrap returns the cause, and the answer of the camera.
func (e *loginError) Unwrap() []error {
	return []error{e.error, &statusError{code: statusUnauthorized}}
}

// loginSentences say why a password is not sent, or is not the cause, with the camera's host at %s.
var loginSentences = []struct {
	err  error
	text string
}{
	{auth.ErrDowngrade, "The camera at %s asked for Digest authentication first and then for the password in clear text " +
		"(Basic), which is not sent: set the camera to Digest only, and check who else has access to its network."},
	{auth.ErrNoUser, "The camera at %s asks for a user name and a password: write them into the secret's MediaURI, as in " +
		"rtsp://user:password@192.168.1.20:554/path."},
	{auth.ErrNoChallenge, "The camera at %s refuses access without an authentication challenge: set its RTSP authentication to " +
		"Digest or Basic, and update its firmware."},
	{auth.ErrStale, "The camera at %s reports each Digest response as stale, whatever the password is: restart it, and " +
		"update its firmware."},
	{auth.ErrTakenBefore, "The camera at %s accepts the user name and password for one request and refuses them for the next: " +
		"grant the user permission to watch this stream, or correct the path in the secret's MediaURI."},
}

// fault returns a sentence for the camera at a host.
func (e *loginError) fault(host string) *health.Fault {
	var unknown *auth.UnknownError
	switch {
	case e.elsewhere != "":
		return health.UserFault(codeCamera, e, "The camera at %s redirects to %s, which asks for a password, and that is only "+
			"given to the host of the secret's MediaURI: if it is right, write %s into the MediaURI.", host, e.elsewhere, e.elsewhere)
	case errors.As(e.error, &unknown):
		return health.UserFault(codeCamera, e, "The camera at %s asks for authentication with %s, which the agent does not know, and the "+
			"agent does not send the password in clear text instead: set the camera to Digest with SHA-256 or MD5, or to Basic only.",
			host, unknown.What)
	}
	for _, s := range loginSentences {
		if errors.Is(e.error, s.err) {
			return health.UserFault(codeCamera, e, s.text, host)
		}
	}
	return answerFault(host, &statusError{code: statusUnauthorized})
}

// errElsewhere: another host than the camera's asks for its password.
var errElsewhere = errors.New("the password is not sent to another host")

// challenged handles the challenges of a 401 answer to a request with the given answer, nil for none. It reports
// whether the request is worth another attempt.
func (l *login) challenged(headers []string, sent *auth.Answer) (again bool) {
	l.problem = nil
	if l.elsewhere != "" && len(headers) > 0 {
		l.problem = &loginError{error: errElsewhere, elsewhere: l.elsewhere}
		return false
	}
	again, problem := l.Challenged(headers, sent)
	if problem != nil {
		l.problem = &loginError{error: problem}
	}
	return again
}

// authorization returns the header for a request, "" for none. The URI is the one in the request line.
func (l *login) authorization(method, uri string) string {
	if l.elsewhere != "" {
		return ""
	}
	return l.Authorization(method, uri)
}
