// Package signin owns who may use the web pages: the password of each role, links that work once, sessions, and how wrong passwords
// are slowed. It must not know HTTP, nor what the roles may do.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// Role is what somebody is signed in as.
type Role string

// The roles.
const (
	View    Role = "view"    // sees everything and changes nothing
	Operate Role = "operate" // may do what the local API does for those who operate
)

// ParseRole reads the name of a role.
func ParseRole(name string) (Role, error) {
	switch role := Role(name); role {
	case View, Operate:
		return role, nil
	}
	return "", fmt.Errorf("the role is %q, but must be %s or %s", name, View, Operate)
}

// Lengths of passwords, in characters.
const (
	minPassword = 10
	maxPassword = 256
)

// File has the passwords' hashes, in the state directory.
const File = "web-passwords.json"

// stored is the content of File: for each role with a password its hash, in the form of PHC strings.
type stored struct {
	Version   int
	Passwords map[Role]string
}

const fileVersion = 1

// Options are what a Gate needs.
type Options struct {
	Dir statefile.Dir
	Now func() time.Time
	Log *zap.Logger
}

// Gate lets people in. Safe for concurrent use.
type Gate struct {
	o        Options
	hashing  hashing
	sessions sessions
	links    links
	slow     slowdown

	mu     sync.Mutex
	hashes map[Role]string // guarded by mu
}

// Open reads the passwords. Where they cannot be read there are none, so that links alone let people in.
func Open(o Options) *Gate {
	g := &Gate{o: o, hashing: newHashing(), hashes: make(map[Role]string)}
	g.sessions.list = make(map[[sha256.Size]byte]*session)
	g.links.list = make(map[[sha256.Size]byte]link)
	g.slow.list = make(map[place]*tries)
	var s stored
	switch err := o.Dir.Read(File, &s); {
	case err == nil && s.Version == fileVersion:
		for role, hash := range s.Passwords {
			g.hashes[role] = hash
		}
	case err == nil:
		logevent.WebPasswordsUnreadable.Log(o.Log, zap.Int("version", s.Version))
	case !errors.Is(err, fs.ErrNotExist):
		logevent.WebPasswordsUnreadable.Log(o.Log, zap.Error(err))
	}
	return g
}

// SetPassword sets the password of a role, or with "" removes it, and ends the sessions of that role: once it returns nil, the change
// is on the disk. An error is a sentence for a person, without the password.
func (g *Gate) SetPassword(ctx context.Context, role Role, password string) error {
	var hash string
	if password != "" {
		if strings.ContainsRune(password, utf8.RuneError) {
			return errors.New("the password is not text in UTF-8: no browser would send the same")
		}
		if n := utf8.RuneCountInString(password); n < minPassword || n > maxPassword {
			return fmt.Errorf("the password has %s, but must have %d to %d", humanize.Count(n, "character"), minPassword, maxPassword)
		}
		var err error
		if hash, err = g.hashing.hash(ctx, password); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next := stored{Version: fileVersion, Passwords: make(map[Role]string)}
	for r, h := range g.hashes {
		next.Passwords[r] = h
	}
	if next.Passwords[role] = hash; hash == "" {
		delete(next.Passwords, role)
	}
	if err := g.o.Dir.Write(File, next); err != nil {
		return fmt.Errorf("the password cannot be saved: %w; %s", err, g.o.Dir.Advice(File, err))
	}
	g.hashes = next.Passwords
	g.sessions.endAll(role)
	logevent.WebPasswordSet.Log(g.o.Log, zap.String("role", string(role)), zap.Bool("removed", hash == ""))
	return nil
}

// ErrWrong means that the password is not that of the role, or that it has none: a client is not told which.
var ErrWrong = errors.New("the password is wrong, or this role has none yet: `kvs-edge-agent web password` on the hub sets one")

// ErrLink means that a link is unknown, used or expired.
var ErrLink = errors.New("the link is used up, or older than 5 minutes: run `kvs-edge-agent web` on the hub for another one")

// WaitError means that a client has to wait before its next try.
type WaitError struct{ For time.Duration }

// Error implements error.
func (e *WaitError) Error() string {
	return fmt.Sprintf("too many wrong passwords came from this address: try again in %s", humanize.Span(e.For))
}

// ByPassword starts a session for who knows the password of a role. from is the client's address.
func (g *Gate) ByPassword(ctx context.Context, from netip.Addr, role Role, password string) (token string, err error) {
	place := of(from, role)
	if wait := g.slow.begin(place, g.o.Now()); wait > 0 {
		return "", &WaitError{wait}
	}
	g.mu.Lock()
	hash := g.hashes[role]
	g.mu.Unlock()
	right, err := g.hashing.matches(ctx, hash, password)
	if err != nil {
		g.slow.undo(place)
		return "", err
	}
	if !right {
		if n := g.slow.count(place); n >= freeTries {
			logevent.WebPasswordsWrong.Log(g.o.Log, zap.Stringer("from", from), zap.Int("tries", n))
		}
		return "", ErrWrong
	}
	g.mu.Lock() // a password that is changed meanwhile lets nobody in
	defer g.mu.Unlock()
	if g.hashes[role] != hash {
		return "", ErrWrong
	}
	g.slow.forget(place)
	return g.begin(role, from, "password"), nil
}

// ByLink starts a session for who has a link. It works once.
func (g *Gate) ByLink(from netip.Addr, link string) (token string, role Role, err error) {
	role, ok := g.links.use(link, g.o.Now())
	if !ok {
		return "", "", ErrLink
	}
	return g.begin(role, from, "link"), role, nil
}

func (g *Gate) begin(role Role, from netip.Addr, by string) string {
	logevent.WebSignedIn.Log(g.o.Log, zap.String("role", string(role)), zap.Stringer("from", from), zap.String("method", by))
	return g.sessions.add(role, g.o.Now())
}

// Link makes a link that signs in to a role, once.
func (g *Gate) Link(role Role) (token string, expires time.Time) {
	logevent.WebLinkMade.Log(g.o.Log, zap.String("role", string(role)))
	return g.links.add(role, g.o.Now())
}

// Session returns the role of a session that has not ended, and a context that ends with it.
func (g *Gate) Session(token string) (role Role, ended context.Context, ok bool) {
	return g.sessions.use(token, g.o.Now())
}

// Close ends all sessions.
func (g *Gate) Close() { g.sessions.close() }

// End signs out.
func (g *Gate) End(token string) { g.sessions.end(token) }

// secretBytes is how long secrets are that nobody can guess.
const secretBytes = 32

// newSecret returns a secret as text, and its hash, which is what is kept.
func newSecret() (text string, kept [sha256.Size]byte) {
	var raw [secretBytes]byte
	_, _ = rand.Read(raw[:]) // it never fails: crypto/rand
	text = base64.RawURLEncoding.EncodeToString(raw[:])
	return text, sha256.Sum256([]byte(text))
}
