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

// Why a challenge is not answered.
var (
	// ErrDowngrade says that Basic is asked for after Digest: somebody in between could ask for the password so.
	ErrDowngrade = errors.New("after Digest the password as it is (Basic) is asked for")
	// ErrNoUser says that a password is asked for, and there is none.
	ErrNoUser = errors.New("there is no user name to answer with")
	// ErrNoChallenge says that the camera refuses a request without a challenge.
	ErrNoChallenge = errors.New("no challenge came with the refusal")
	// ErrStale says that each answer is called too old, and the password not wrong.
	ErrStale = errors.New("each answer is called stale")
	// ErrTakenBefore says that the password is refused that the camera took for another request of the session.
	ErrTakenBefore = errors.New("the password was taken and then refused")
)

// UnknownError says that only challenges came that cannot be computed.
type UnknownError struct{ What string } // for people

func (e *UnknownError) Error() string { return "unknown challenge: " + e.What }

// Answer is how a challenge is answered: with Basic, or with a Digest of one of the kinds that were offered.
type Answer struct {
	challenge *challenge
	kind      string // what distinguishes it from others to the same refusal
	bare      bool   // the user's name is not hashed, though the camera knows that
	unescaped bool   // the hash is of the realm without its escapes
}

// Client answers the challenges of one session.
type Client struct {
	User, Password string
	Has            bool    // there is a user
	Memory         *Memory // of the camera; nil: none
	// DigestOffered is whether a Digest that can be computed was offered in this session. Clients of the same one share it. nil: its own.
	DigestOffered *atomic.Bool

	answer   *Answer // to use; nil before the first challenge
	accepted bool    // the password was taken once
	second   bool    // this is the second kind of the session
	nonces   map[string]*nonce
}

// nonce is what is known of a camera's nonce.
type nonce struct {
	uses   int
	cnonce string // ours
}

// Connect forgets what to answer, as a new connection begins. What is known of the camera and of its nonces stays.
func (c *Client) Connect() { c.answer = nil }

// Challenged takes the challenges of a refusal of a request that was sent with an answer, nil for none. again is whether the
// request is worth another try; problem is what to say when no try helps, nil when it is the password that is refused. Cameras
// lock accounts: a password is tried again only where it was not what was refused, and once for each password with another Digest of those
// that are offered. The next session makes up for that: it does not send it at all.
func (c *Client) Challenged(headers []string, sent *Answer) (again bool, problem error) {
	if !c.Has {
		return false, ErrNoUser
	}
	candidates, problem := c.candidates(parseChallenges(headers))
	if sent != nil && errors.Is(problem, ErrNoChallenge) { // it had one: this is what it says of our answer
		return false, c.blame()
	}
	if problem != nil {
		return false, problem
	}
	memory := c.memory()
	same := find(candidates, sent)
	c.answer = memory.first(candidates)
	switch {
	case sent == nil && memory.owed:
		memory.owed = false
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

// blame is why a request is refused after our answer: nil for the password.
func (c *Client) blame() error {
	if c.accepted {
		return ErrTakenBefore
	}
	c.memory().owed = c.second
	return nil
}

// Accepted notes that the camera took a request with an answer.
func (c *Client) Accepted(sent *Answer) {
	if sent == nil {
		return
	}
	c.accepted = true
	c.memory().works = sent.kind
}

// Answer is how the requests are answered that are sent now, nil when they are not.
func (c *Client) Answer() *Answer { return c.answer }

func (c *Client) offered() *atomic.Bool {
	if c.DigestOffered == nil {
		c.DigestOffered = new(atomic.Bool)
	}
	return c.DigestOffered
}

// candidates lists the answers to challenges, the best first: the Digest with the better hash; then one with another hash, others, and
// those that take freedoms with the best. Where no Digest is offered it is Basic.
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

// digests lists the kinds of Digest that may be tried, the best first.
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

// after returns the candidate after the one of a kind, and the first when there is none such.
func after(candidates []*Answer, kind string) *Answer {
	for i, one := range candidates {
		if one.kind == kind {
			return candidates[(i+1)%len(candidates)]
		}
	}
	return candidates[0]
}

// renews reports whether an answer is to another nonce.
func (a *Answer) renews(sent *Answer) bool {
	return a.challenge.params["nonce"] != sent.challenge.params["nonce"]
}

func (a *Answer) basic() bool { return a.challenge.scheme == schemeBasic }

// Authorization is the header of a request, "" for none. The URI is that of the request's line.
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
		request += ":" + sum("") // no request of ours has a body
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
	const most = 64 // cameras that make a new one for each request do not come back to old ones
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

// unescape takes the escapes out of a quoted string.
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

// newCnonce is a nonce of ours.
func newCnonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
