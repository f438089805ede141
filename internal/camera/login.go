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
// never sees the password. It goes to the configured host only, and never as it is, which is what Basic does, once the
// camera has shown that it knows Digest: somebody in between could otherwise ask for it.
type login struct {
	auth.Client
	scheme, host string // of the URL; host with its port

	elsewhere string // host and port of a connection that may not have the password; "" for the camera's own
	problem   error  // why a challenge is not answered; nil when it is, or there was none
}

// newLogin takes the user and the password out of a camera's URL.
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

// connect begins a connection. The password may go to the host and port of the URL, and to any port of that host over TLS,
// where a certificate proves that it is the same.
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

// loginError says why a challenge is not answered. It counts as a refusal of the password.
type loginError struct {
	error
	elsewhere string // where we were sent to
}

// Unwrap returns what it is about, and the answer of the camera.
func (e *loginError) Unwrap() []error {
	return []error{e.error, &statusError{code: statusUnauthorized}}
}

// loginSentences are those for why a password is not sent, or not blamed, with the camera's host at %s.
var loginSentences = []struct {
	err  error
	text string
}{
	{auth.ErrDowngrade, "The camera at %s asked for Digest authentication first and then for the password as it is " +
		"(Basic), which is not sent: set the camera to Digest only, and look who else is in its network."},
	{auth.ErrNoUser, "The camera at %s asks for a user name and a password: write them into the secret's MediaURI, as in " +
		"rtsp://user:password@192.168.1.20:554/path."},
	{auth.ErrNoChallenge, "The camera at %s refuses access without saying how it wants the password: set its RTSP authentication to " +
		"Digest or Basic, and update its firmware."},
	{auth.ErrStale, "The camera at %s calls each answer to its Digest authentication too old, whatever the password is: restart it, and " +
		"update its firmware."},
	{auth.ErrTakenBefore, "The camera at %s takes the user name and password for one request and refuses them for the next: give the user " +
		"the right to watch this stream, or correct the path in the secret's MediaURI."},
}

// fault is a sentence for the camera at a host.
func (e *loginError) fault(host string) *health.Fault {
	var unknown *auth.UnknownError
	switch {
	case e.elsewhere != "":
		return health.UserFault(codeCamera, e, "The camera at %s sends us to %s, which asks for a password, and that is only "+
			"given to the host of the secret's MediaURI: if it is right, write %s into the MediaURI.", host, e.elsewhere, e.elsewhere)
	case errors.As(e.error, &unknown):
		return health.UserFault(codeCamera, e, "The camera at %s asks for authentication with %s, which the agent does not know, "+
			"and the password is not sent as it is instead: set the camera to Digest with SHA-256 or MD5, or to Basic only.", host, unknown.What)
	}
	for _, s := range loginSentences {
		if errors.Is(e.error, s.err) {
			return health.UserFault(codeCamera, e, s.text, host)
		}
	}
	return answerFault(host, &statusError{code: statusUnauthorized})
}

// errElsewhere says that somebody else than the camera asks for its password.
var errElsewhere = errors.New("the password is not sent to another host")

// challenged takes the challenges of an answer 401 to a request that was sent with our answer, nil for none. It reports
// whether the request is worth another try.
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

// authorization is the header for a request, "" for none. The URI is that of the request's line.
func (l *login) authorization(method, uri string) string {
	if l.elsewhere != "" {
		return ""
	}
	return l.Authorization(method, uri)
}
