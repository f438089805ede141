package auth

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// Reasons why a challenge is not answered.
var (
	// ErrDowngrade: Basic is requested after Digest; a man in the middle could obtain the password this way.
	ErrDowngrade = errors.New("after Digest the password in clear text (Basic) is asked for")
	// ErrNoUser: a password is requested, and there is none.
	ErrNoUser = errors.New("there is no user name to answer with")
	// ErrNoChallenge: the camera refuses a request without a challenge.
	ErrNoChallenge = errors.New("no challenge came with the refusal")
	// ErrStale: each answer is called stale, and the password not wrong.
	ErrStale = errors.New("each answer is called stale")
	// ErrTakenBefore: the camera refuses a password that it accepted for another request of the session.
	ErrTakenBefore = errors.New("the password was accepted and then refused")
)

// UnknownError: none of the challenges can be computed.
type UnknownError struct{ What string } // for people

func (e *UnknownError) Error() string { return "unknown challenge: " + e.What }

// Answer is an answer to a challenge: Basic, or a Digest of one of the offered kinds.
type Answer struct {
	challenge *challenge
	kind      string // distinguishes the answers to one refusal
	bare      bool   // the user's name is not hashed, although the camera supports that
	unescaped bool   // the hash is computed from the realm without its escapes
}

// Client answers the challenges of one session.
type Client struct {
	User, Password string
	Has            bool    // there is a user
	Memory         *Memory // of the camera; nil: none
	// DigestOffered: a computable Digest was offered in this session. Clients of the same session share it. nil: its own.
	DigestOffered *atomic.Bool

	answer   *Answer // the current answer; nil before the first challenge
	accepted bool    // the password was accepted once
	second   bool    // answer is the second kind of this session
	nonces   map[string]*nonce
}

// nonce is the state of a camera's nonce.
type nonce struct {
	uses   int
	cnonce string // the agent's
}

// Connect forgets the current answer, as a new connection starts. What is known of the camera and of its nonces stays.
func (c *Client) Connect() { c.answer = nil }

// Challenged handles the challenges of the refusal of a request with the given answer, nil for none. again: the
// request is worth another attempt; problem is why no attempt helps, nil when the password is refused. Cameras
// lock accounts: a password is tried again only where it was not the reason, and once for each password with another Digest of those
// that are offered. To compensate, the next session does not send it at all.
func (c *Client) Challenged(headers []string, sent *Answer) (again bool, problem error) {
	if !c.Has {
		return false, ErrNoUser
	}
	candidates, problem := c.candidates(parseChallenges(headers))
	if sent != nil && errors.Is(problem, ErrNoChallenge) { // there was a challenge before: the answer to it is refused
		return false, c.blame()
	}
	if problem != nil {
		return false, problem
	}
	memory := c.memory()
	same := find(candidates, sent)
	c.answer = memory.first(candidates)
	switch {
	case sent == nil && memory.skip:
		memory.skip = false
		return false, nil
	case sent == nil, sent.basic() && !c.answer.basic():
		return true, nil
	case sent.basic():
		return false, c.blame()
	case same != nil && same.challenge.is("stale"):
		c.answer = same
		return same.renews(sent), ErrStale
	case c.accepted && same != nil:
		c.answer = same
		return same.renews(sent), ErrTakenBefore
	case c.accepted:
		return true, ErrTakenBefore
	}
	again = !c.second && !memory.spent && memory.works != sent.kind && len(candidates) > 1
	c.second, memory.spent = c.second || again, memory.spent || again
	c.answer = memory.refuse(candidates, sent.kind)
	if again {
		return true, nil
	}
	return false, c.blame()
}

// blame returns why a request is refused after the agent's answer: nil for the password.
func (c *Client) blame() error {
	if c.accepted {
		return ErrTakenBefore
	}
	c.memory().skip = c.second
	return nil
}

// Accepted notes that the camera accepted a request with an answer.
func (c *Client) Accepted(sent *Answer) {
	if sent == nil {
		return
	}
	c.accepted = true
	c.memory().works = sent.kind
}

// Answer returns the answer to use for requests now, nil for none.
func (c *Client) Answer() *Answer { return c.answer }

func (c *Client) offered() *atomic.Bool {
	if c.DigestOffered == nil {
		c.DigestOffered = new(atomic.Bool)
	}
	return c.DigestOffered
}

// candidates lists the possible answers to challenges, the best first: the Digest with the better hash; then one with another hash, the
// others, and lenient variants of the best. If no Digest is offered it is Basic.
func (c *Client) candidates(list []challenge) (candidates []*Answer, problem error) {
	var best *challenge
	var basic, strange *Answer
	for i := range list {
		one := &list[i]
		switch {
		case one.computable():
			if best == nil || one.strength() > best.strength() {
				best = one
			}
		case one.scheme == schemeBasic:
			basic = &Answer{challenge: one, kind: schemeBasic}
		case strange == nil || one.scheme == schemeDigest:
			strange = &Answer{challenge: one}
		}
	}
	if best != nil {
		c.offered().Store(true)
	}
	switch {
	case best != nil:
		return digests(list, best), nil
	case strange != nil && (basic == nil || strange.challenge.scheme == schemeDigest):
		return nil, &UnknownError{What: strange.challenge.unknown()}
	case basic != nil && c.offered().Load():
		return nil, ErrDowngrade
	case basic != nil:
		return []*Answer{basic}, nil
	default:
		return nil, ErrNoChallenge
	}
}

// digests lists the kinds of Digest to try, the best first.
func digests(list []challenge, best *challenge) (candidates []*Answer) {
	var others, same []*Answer
	for i := range list {
		if one := &list[i]; one != best && one.computable() {
			answer := &Answer{challenge: one, kind: fmt.Sprintf("%s %s %d", one.scheme, strings.ToLower(one.params["algorithm"]), i)}
			if one.strength() != best.strength() {
				others = append(others, answer)
			} else {
				same = append(same, answer)
			}
		}
	}
	candidates = append([]*Answer{{challenge: best, kind: "best"}}, append(others, same...)...)
	if best.is("userhash") {
		candidates = append(candidates, &Answer{challenge: best, kind: "name in the clear", bare: true})
	}
	if strings.Contains(best.params["realm"], `\`) {
		candidates = append(candidates, &Answer{challenge: best, kind: "realm without escapes", unescaped: true})
	}
	return candidates
}

func find(candidates []*Answer, like *Answer) *Answer {
	for _, one := range candidates {
		if like != nil && one.kind == like.kind {
			return one
		}
	}
	return nil
}

// after returns the candidate after the one of a kind, or the first without one of that kind.
func after(candidates []*Answer, kind string) *Answer {
	for i, one := range candidates {
		if one.kind == kind {
			return candidates[(i+1)%len(candidates)]
		}
	}
	return candidates[0]
}

// renews reports whether an answer is for another nonce.
func (a *Answer) renews(sent *Answer) bool {
	return a.challenge.params["nonce"] != sent.challenge.params["nonce"]
}

func (a *Answer) basic() bool { return a.challenge.scheme == schemeBasic }

// Authorization returns the header of a request, "" for none. The URI is the one in the request line.
func (c *Client) Authorization(method, uri string) string {
	a := c.answer
	if a == nil || !c.Has {
		return ""
	}
	if a.basic() {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password))
	}
	sum, session := a.challenge.hash()
	params := a.challenge.params
	qop, _ := a.challenge.qop()
	n := c.use(params["nonce"])
	count := fmt.Sprintf("%08x", n.uses)
	realm := params["realm"]
	if a.unescaped {
		realm = unescape(realm)
	}
	secret := sum(c.User + ":" + realm + ":" + c.Password)
	if session {
		secret = sum(secret + ":" + params["nonce"] + ":" + n.cnonce)
	}
	request := method + ":" + uri
	if qop == "auth-int" {
		request += ":" + sum("") // the agent's requests have no body
	}
	proof := params["nonce"]
	if qop != "" {
		proof += ":" + count + ":" + n.cnonce + ":" + qop
	}
	user := quotable.Replace(c.User)
	hashed := params["userhash"] != "" && a.challenge.is("userhash") && !a.bare
	if hashed {
		user = sum(c.User + ":" + realm)
	}
	header := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`,
		user, params["realm"], params["nonce"], quotable.Replace(uri), sum(secret+":"+proof+":"+sum(request)))
	if algorithm, ok := params["algorithm"]; ok {
		header += ", algorithm=" + algorithm
	}
	if opaque, ok := params["opaque"]; ok {
		header += `, opaque="` + opaque + `"`
	}
	if qop != "" {
		header += ", qop=" + qop + ", nc=" + count
	}
	if qop != "" || session {
		header += `, cnonce="` + n.cnonce + `"`
	}
	if hashed {
		header += ", userhash=true"
	}
	return header
}

// use counts a use of a camera's nonce.
func (c *Client) use(value string) *nonce {
	const most = 64 // cameras that use a new one for each request do not reuse old ones
	if c.nonces == nil || len(c.nonces) > most {
		c.nonces = make(map[string]*nonce)
	}
	n := c.nonces[value]
	if n == nil {
		n = &nonce{cnonce: newCnonce()}
		c.nonces[value] = n
	}
	n.uses++
	return n
}

// quotable escapes what would end a quoted string (RFC 7230, section 3.2.6).
var quotable = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "")

// unescape removes the escapes of a quoted string.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// newCnonce returns a new client nonce.
func newCnonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
