package camera

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// login answers the challenges of one session with a camera, over all of its connections and redirects. The RTSP library
// never sees the password. It goes to the configured host only, and never as it is, which is what Basic does, once the
// camera has shown that it knows Digest: somebody in between could otherwise ask for it.
type login struct {
	user, password string
	has            bool   // the URL has a user
	scheme, host   string // of the URL; host with its port

	elsewhere string // host and port of a connection that may not have the password; "" for the camera's own

	answer   *challenge // what to answer; nil before the first
	digest   bool       // a Digest that can be computed was offered in this session
	cnonce   string
	uses     int   // of the answer's nonce
	accepted bool  // the camera took the password once
	problem  error // why a challenge is not answered; nil when it is, or there was none
}

// newLogin takes the user and the password out of a camera's URL.
func newLogin(at endpoint) login {
	l := login{scheme: at.url.Scheme, host: at.host}
	if user := at.url.User; user != nil {
		l.has, l.user = true, user.Username()
		l.password, _ = user.Password()
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
	l.answer, l.problem = nil, nil
}

// loginError says why a challenge is not answered. It counts as a refusal of the password.
type loginError struct {
	elsewhere string // where we were sent to
	algorithm string // of the Digest that cannot be computed
	downgrade bool   // Basic is asked for after Digest
}

func (e *loginError) Error() string {
	switch {
	case e.elsewhere != "":
		return "the password is not sent to " + e.elsewhere
	case e.downgrade:
		return "Basic is asked for after Digest"
	default:
		return "unknown Digest algorithm " + e.algorithm
	}
}

// Unwrap returns the answer of the camera.
func (e *loginError) Unwrap() error { return &statusError{code: statusUnauthorized} }

// fault is a sentence for the camera at a host.
func (e *loginError) fault(host string) *health.Fault {
	switch {
	case e.elsewhere != "":
		return health.UserFault(codeCamera, e, "The camera at %s sends us to %s, which asks for a password, and that is only "+
			"given to the host of the secret's MediaURI: if it is right, write %s into the MediaURI.", host, e.elsewhere, e.elsewhere)
	case e.downgrade:
		return health.UserFault(codeCamera, e, "The camera at %s asked for Digest authentication first and then for the password as it is "+
			"(Basic), which is not sent: set the camera to Digest only, and look who else is in its network.", host)
	default:
		return health.UserFault(codeCamera, e, "The camera at %s asks for Digest authentication with %s, which the agent does not know, "+
			"and the password is not sent as it is instead: set the camera to Digest with SHA-256 or MD5, or to Basic only.", host, e.algorithm)
	}
}

// challenged takes the challenges of an answer 401 to a request that was sent with our answer or without. It reports whether
// the request is worth another try: cameras lock accounts, so a password is tried again only where it was not the password
// that was refused.
func (l *login) challenged(headers []string, sent *challenge) (again bool) {
	list := parseChallenges(headers)
	next := l.choose(list)
	if next == nil || l.problem != nil || !l.has {
		return false
	}
	renewed := sent == nil || sent.scheme != next.scheme || sent.params["nonce"] != next.params["nonce"]
	again = sent == nil || sent.scheme == schemeBasic && next.scheme == schemeDigest ||
		next.scheme == schemeDigest && renewed && (l.accepted || strings.EqualFold(next.params["stale"], "true"))
	if l.answer == nil || l.answer.params["nonce"] != next.params["nonce"] {
		l.uses, l.cnonce = 0, newCnonce()
	}
	l.answer = next
	return again
}

// choose picks the challenge to answer: the Digest with the better hash, else Basic. It sets problem when there is none that
// may be answered.
func (l *login) choose(list []challenge) (next *challenge) {
	l.problem = nil
	var basic, unknown *challenge
	for i := range list {
		c := &list[i]
		switch {
		case c.computable():
			if sum, _ := c.hash(); next == nil || len(sum("")) > len(l.sum(next, "")) {
				next = c
			}
		case c.scheme == schemeDigest:
			unknown = c
		case c.scheme == schemeBasic:
			basic = c
		}
	}
	l.digest = l.digest || next != nil
	switch {
	case l.elsewhere != "" && len(list) > 0:
		l.problem = &loginError{elsewhere: l.elsewhere}
		return nil
	case next != nil:
		return next
	case unknown != nil:
		l.problem = &loginError{algorithm: unknown.describe()}
		return nil
	case basic != nil && l.digest:
		l.problem = &loginError{downgrade: true}
		return nil
	default:
		return basic
	}
}

func (l *login) sum(c *challenge, text string) string {
	sum, _ := c.hash()
	return sum(text)
}

// describe names what of a Digest challenge is not known.
func (c *challenge) describe() string {
	const most = 40 // runes: it is one of several texts of a sentence
	sum, _ := c.hash()
	switch _, ok := c.qop(); {
	case sum == nil:
		return "the algorithm " + health.Clean(c.params["algorithm"], most)
	case !ok:
		return "the protection (qop) " + health.Clean(c.params["qop"], most)
	default:
		return "a challenge that is not whole"
	}
}

// authorization is the header for a request, "" for none. The URI is that of the request's line.
func (l *login) authorization(method, uri string) string {
	c := l.answer
	if c == nil || l.elsewhere != "" || !l.has {
		return ""
	}
	if c.scheme == schemeBasic {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.user+":"+l.password))
	}
	sum, session := c.hash()
	qop, _ := c.qop()
	nonce := c.params["nonce"]
	l.uses++
	count := fmt.Sprintf("%08x", l.uses)
	secret := sum(l.user + ":" + c.params["realm"] + ":" + l.password)
	if session {
		secret = sum(secret + ":" + nonce + ":" + l.cnonce)
	}
	request := method + ":" + uri
	if qop == "auth-int" {
		request += ":" + sum("") // no request of ours has a body
	}
	proof := nonce
	if qop != "" {
		proof += ":" + count + ":" + l.cnonce + ":" + qop
	}
	header := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`,
		quotable.Replace(l.user), c.params["realm"], nonce, quotable.Replace(uri), sum(secret+":"+proof+":"+sum(request)))
	if algorithm, ok := c.params["algorithm"]; ok {
		header += ", algorithm=" + algorithm
	}
	if opaque, ok := c.params["opaque"]; ok {
		header += `, opaque="` + opaque + `"`
	}
	if qop != "" {
		header += ", qop=" + qop + ", nc=" + count
	}
	if qop != "" || session {
		header += `, cnonce="` + l.cnonce + `"`
	}
	return header
}

// quotable escapes what would end a quoted string (RFC 7230, section 3.2.6).
var quotable = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "")

// newCnonce is a nonce of ours.
func newCnonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
