// Package sigv4 owns access keys and the signatures that are made with them: Signature Version 4.
package sigv4

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
)

// Keyring issues access keys and knows them again. Secrets are derived and Identity tokens are
// sealed with one key, so that nothing must be remembered of them, not even beyond a restart.
type Keyring struct {
	key      []byte
	lifetime time.Duration
	// Home is the region that requests are signed for.
	Home account.Home
}

// AccessKey is what a client signs with.
type AccessKey struct {
	ID, Secret, Token string // the user's has no token
	Expires           time.Time
}

// Identity is what a session token says: which key, and whose.
type Identity struct {
	ID      string    `json:"id"`
	Thing   string    `json:"thing"`
	Expires time.Time `json:"expires"`
}

const sealSize = sha256.Size

// NewKeyring returns the keys that are derived from one; lifetime is that of the devices' keys.
func NewKeyring(key []byte, lifetime time.Duration, home account.Home) Keyring {
	return Keyring{key: key, lifetime: lifetime, Home: home}
}

// Derive returns a key of 32 bytes for another purpose, from which neither the ring's nor any other can be found.
func (k Keyring) Derive(purpose string) []byte { return k.mac("derived", purpose) }

func (k Keyring) mac(purpose, text string) []byte {
	h := hmac.New(sha256.New, k.key)
	h.Write([]byte(purpose + "\x00" + text))
	return h.Sum(nil)
}

func keyID(prefix string, random []byte) string {
	return prefix + base32.StdEncoding.EncodeToString(random)[:16]
}

func (k Keyring) secretOf(id string) string {
	return base64.StdEncoding.EncodeToString(k.mac("secret", id))[:40]
}

// User returns the key of the account's user.
func (k Keyring) User() AccessKey {
	id := keyID("AKIA", k.mac("user", ""))
	return AccessKey{ID: id, Secret: k.secretOf(id)}
}

// Issue returns a device's key.
func (k Keyring) Issue(thing string, now time.Time) AccessKey {
	random := make([]byte, 10)
	_, _ = rand.Read(random) // never fails
	s := Identity{ID: keyID("ASIA", random), Thing: thing, Expires: now.Add(k.lifetime).UTC().Truncate(time.Second)}
	text, _ := json.Marshal(s) // two strings and a time always marshal
	token := base64.StdEncoding.EncodeToString(append(k.mac("token", string(text)), text...))
	return AccessKey{ID: s.ID, Secret: k.secretOf(s.ID), Token: token, Expires: s.Expires}
}

// Find returns the secret of an access key ID and whose it is. known is false for keys and tokens
// that were never issued.
func (k Keyring) Find(id, token string) (secret string, s Identity, known bool) {
	if user := k.User(); id == user.ID && token == "" {
		return user.Secret, Identity{ID: id}, true
	}
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(sealed) < sealSize || !strings.HasPrefix(id, "ASIA") {
		return "", s, false
	}
	text := sealed[sealSize:]
	if !hmac.Equal(sealed[:sealSize], k.mac("token", string(text))) || json.Unmarshal(text, &s) != nil || s.ID != id {
		return "", s, false
	}
	return k.secretOf(id), s, true
}
