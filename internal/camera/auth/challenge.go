// Package auth answers the challenges of RTSP cameras: Digest as RFC 7616 defines it, with the deviations of cameras, and Basic. It
// turns the headers of answers into headers of requests, and does no I/O.
package auth

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// maxChallenges bounds the challenges of one answer.
const maxChallenges = 16

// challenge is a challenge of a camera in a 401 answer (RFC 7235, section 4.1).
type challenge struct {
	scheme string            // in lower case
	params map[string]string // names in lower case; values as written, without their quotes
}

// Names of schemes, in lower case.
const (
	schemeBasic  = "basic"
	schemeDigest = "digest"
)

// parseChallenges reads the WWW-Authenticate headers of an answer. One header may have several challenges, as commas
// separate both challenges and their parameters. Parts that cannot be read are left out.
func parseChallenges(headers []string) (list []challenge) {
	for _, rest := range headers {
		var current *challenge
		for rest != "" && len(list) <= maxChallenges {
			if rest = strings.TrimLeft(rest, ", \t"); rest == "" {
				break
			}
			end := strings.IndexAny(rest, "=, \t")
			if end < 0 {
				end = len(rest)
			}
			word := strings.ToLower(rest[:end])
			after := strings.TrimLeft(rest[end:], " \t")
			switch {
			case strings.HasPrefix(after, "="):
				var value string
				value, rest = parseValue(strings.TrimLeft(after[1:], " \t"))
				if current != nil && word != "" {
					current.set(word, value)
				}
			case current != nil && (after == "" || after[0] == ','): // qop=auth,auth-int without quotes
				rest = after
			default:
				list = append(list, challenge{scheme: word, params: make(map[string]string)})
				current, rest = &list[len(list)-1], after
			}
		}
	}
	return list[:min(len(list), maxChallenges)]
}

// set keeps the first value of a parameter: a second one would let two readers see two challenges.
func (c *challenge) set(name, value string) {
	if _, had := c.params[name]; !had {
		c.params[name] = value
	}
}

// parseValue reads a parameter's value. Cameras omit required quotes: such a value ends at the
// next comma.
func parseValue(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ",")
		return strings.Map(func(r rune) rune {
			if r == '"' || r == '\\' {
				return -1
			}
			return r
		}, strings.TrimRight(value, " \t")), rest
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[1:i], text[i+1:]
		}
	}
	return text[1:], "" // the quote is not closed
}

// hash returns a hash in hexadecimal digits.
type hash func(string) string

// hashes are the algorithms that can be computed, by their names in lower case without "-sess".
var hashes = map[string]hash{
	"md5":     func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) },
	"sha-256": sha256Hex,
	"sha256":  sha256Hex, // not a name of RFC 7616, but used by cameras
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// hash is the hash of a Digest challenge, nil when it cannot be computed. session: the password's hash is for the whole
// session (-sess).
func (c *challenge) hash() (sum hash, session bool) {
	name := strings.ToLower(c.params["algorithm"])
	name, session = strings.CutSuffix(name, "-sess")
	if name == "" && !session {
		name = "md5" // RFC 7616, section 3.3
	}
	return hashes[name], session
}

// qop is the quality of protection of the answer to a Digest challenge: "auth", "auth-int", or "" as in RFC 2069. ok
// is false when the camera offers only others.
func (c *challenge) qop() (qop string, ok bool) {
	offered, has := c.params["qop"]
	if !has || strings.TrimSpace(offered) == "" {
		return "", true
	}
	list := strings.FieldsFunc(strings.ToLower(offered), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	for _, known := range []string{"auth", "auth-int"} {
		if slices.Contains(list, known) {
			return known, true
		}
	}
	return "", false
}

// computable reports whether a Digest challenge can be answered. Its values are copied into a header of the agent's.
func (c *challenge) computable() bool {
	sum, _ := c.hash()
	_, ok := c.qop()
	if c.scheme != schemeDigest || sum == nil || !ok || c.params["nonce"] == "" {
		return false
	}
	for _, value := range c.params {
		if strings.ContainsAny(value, "\r\n\x00") {
			return false
		}
	}
	return true
}

// strength orders computable challenges: SHA-256 is higher than MD5.
func (c *challenge) strength() int {
	sum, _ := c.hash()
	return len(sum(""))
}

// is reports whether a parameter is true.
func (c *challenge) is(name string) bool {
	return strings.EqualFold(strings.TrimSpace(c.params[name]), "true")
}

// unknown names the unsupported part of a challenge.
func (c *challenge) unknown() string {
	sum, _ := c.hash()
	switch _, ok := c.qop(); {
	case c.scheme != schemeDigest:
		return "the scheme " + health.Clean(c.scheme, maxShown)
	case sum == nil:
		return "the algorithm " + health.Clean(c.params["algorithm"], maxShown)
	case !ok:
		return "the protection (qop) " + health.Clean(c.params["qop"], maxShown)
	default:
		return "an incomplete challenge"
	}
}

// maxShown bounds a camera's text in a sentence, in characters: there may be several.
const maxShown = 40
