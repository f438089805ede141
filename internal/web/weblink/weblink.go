// Package weblink owns the tokens of links to media for players that have no session: each is for one stream and one range of time, to
// view only, for at most an hour. It must not know what is served.
package weblink

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// MaxTime is how long a token is valid, and MaxRange how much media it may be for.
const (
	MaxTime  = time.Hour
	MaxRange = 24 * time.Hour
)

// precision is that of times in addresses of media: those of a grant have no other.
const precision = time.Millisecond

// maxToken is far more than a token has.
const maxToken = 2048

// Grant is what a token allows: to view what was recorded of a stream from (inclusive) to (exclusive).
type Grant struct {
	Stream  string    `json:"s"`
	From    time.Time `json:"f"`
	To      time.Time `json:"t"`
	Expires time.Time `json:"e"`
}

// Covers reports whether a range of a stream is a part of the grant.
func (g Grant) Covers(stream string, from, to time.Time) bool {
	return stream == g.Stream && !from.IsZero() && !to.IsZero() && !from.Before(g.From) && !to.After(g.To)
}

// Maker makes and reads tokens. They are valid as long as it exists: a restart of the agent ends them.
type Maker struct {
	key [sha256.Size]byte
	now func() time.Time
}

// New returns a Maker with a key of its own.
func New(now func() time.Time) *Maker {
	m := &Maker{now: now}
	_, _ = rand.Read(m.key[:]) // it never fails: crypto/rand
	return m
}

// Make returns a token for a range of a stream. An error is a sentence for a person.
func (m *Maker) Make(stream string, from, to time.Time) (token string, expires time.Time, err error) {
	from, to = from.Truncate(precision), to.Truncate(precision)
	switch {
	case stream == "":
		return "", expires, errors.New("the stream of the link is missing")
	case from.IsZero() || to.IsZero() || !from.Before(to) || to.Sub(from) > MaxRange:
		return "", expires, errors.New("the link needs a range of time of at most 24 hours: from, and to after it")
	}
	expires = m.now().Add(MaxTime).UTC().Truncate(time.Second)
	body, err := json.Marshal(Grant{stream, from.UTC(), to.UTC(), expires})
	if err != nil {
		return "", expires, err
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(m.sum(text)), expires, nil
}

// Read returns what a token allows; ok is false for one that this Maker did not make, or that has expired.
func (m *Maker) Read(token string) (g Grant, ok bool) {
	text, sum, found := strings.Cut(token, ".")
	if !found || len(token) > maxToken {
		return g, false
	}
	got, err := base64.RawURLEncoding.DecodeString(sum)
	if err != nil || !hmac.Equal(got, m.sum(text)) {
		return g, false
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(body, &g) != nil {
		return Grant{}, false
	}
	left := g.Expires.Sub(m.now())
	if left <= 0 || left > MaxTime { // the clock may have gone back
		return Grant{}, false
	}
	return g, true
}

func (m *Maker) sum(text string) []byte {
	h := hmac.New(sha256.New, m.key[:])
	h.Write([]byte(text))
	return h.Sum(nil)
}
