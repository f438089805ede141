package localcloud

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// keyring gives out access keys and knows them again. Secrets are derived and session tokens are
// sealed with one key, so that nothing must be remembered of them, not even beyond a restart.
type keyring struct {
	key      []byte
	lifetime time.Duration
}

// accessKey is what a client signs with.
type accessKey struct {
	ID, Secret, Token string // the user's has no token
	Expires           time.Time
}

// session is what a token says.
type session struct {
	ID      string    `json:"id"`
	Thing   string    `json:"thing"`
	Expires time.Time `json:"expires"`
}

const sealSize = sha256.Size

func newKeyring(key []byte, lifetime time.Duration) keyring {
	return keyring{key: key, lifetime: lifetime}
}

func (k keyring) mac(purpose, text string) []byte {
	h := hmac.New(sha256.New, k.key)
	h.Write([]byte(purpose + "\x00" + text))
	return h.Sum(nil)
}

func keyID(prefix string, random []byte) string {
	return prefix + base32.StdEncoding.EncodeToString(random)[:16]
}

func (k keyring) secretOf(id string) string {
	return base64.StdEncoding.EncodeToString(k.mac("secret", id))[:40]
}

// user gives the key of whoever owns the account.
func (k keyring) user() accessKey {
	id := keyID("AKIA", k.mac("user", ""))
	return accessKey{ID: id, Secret: k.secretOf(id)}
}

// issue gives a device's key.
func (k keyring) issue(thing string, now time.Time) accessKey {
	random := make([]byte, 10)
	_, _ = rand.Read(random) // never fails
	s := session{ID: keyID("ASIA", random), Thing: thing, Expires: now.Add(k.lifetime).UTC().Truncate(time.Second)}
	text, _ := json.Marshal(s) // two strings and a time always marshal
	token := base64.StdEncoding.EncodeToString(append(k.mac("token", string(text)), text...))
	return accessKey{ID: s.ID, Secret: k.secretOf(s.ID), Token: token, Expires: s.Expires}
}

// find gives the secret of an access key ID and whose it is. known is false for keys and tokens
// that were never given out.
func (k keyring) find(id, token string) (secret string, s session, known bool) {
	if user := k.user(); id == user.ID && token == "" {
		return user.Secret, session{ID: id}, true
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
