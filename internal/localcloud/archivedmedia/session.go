package archivedmedia

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
)

// The modes of playback.
const (
	modeLive     = "LIVE"
	modeReplay   = "LIVE_REPLAY"
	modeOnDemand = "ON_DEMAND"
)

// The values of members that are checked.
const (
	byProducer      = "PRODUCER_TIMESTAMP"
	byServer        = "SERVER_TIMESTAMP"
	inMPEGTS        = "MPEG_TS"
	always          = "ALWAYS"
	never           = "NEVER"
	onDiscontinuity = "ON_DISCONTINUITY"
)

// session is what a session token says: all that a session is. Times are ms since 1970. So sessions need no memory, and survive
// a restart.
type session struct {
	Stream  string `json:"s"` // its ARN
	Created int64  `json:"c"` // of the session
	Expires int64  `json:"x"`
	Mode    string `json:"m"`
	By      string `json:"b"` // which timestamps count
	Start   int64  `json:"f,omitempty"`
	End     int64  `json:"t,omitempty"` // 0 = none
	TS      bool   `json:"ts,omitempty"`
	DASH    bool   `json:"h,omitempty"`
	Gaps    string `json:"d,omitempty"`  // HLS: DiscontinuityMode
	Dates   bool   `json:"p,omitempty"`  // DisplayFragmentTimestamp
	Numbers bool   `json:"fn,omitempty"` // DASH: DisplayFragmentNumber
	Max     int    `json:"n"`
	First   string `json:"a"`           // number of the fragment at which the session begins
	Zero    int64  `json:"o"`           // when that one begins, by the timestamps that count
	Shown   int64  `json:"l,omitempty"` // how long the fragments are that it shows when it begins, in ms
	Since   int64  `json:"r"`           // server timestamp of the oldest fragment that was retained when the session began
	Last    string `json:"z"`           // the number of the newest one then
}

func newSeal(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the key of session tokens: %w", err)
	}
	return cipher.NewGCM(block)
}

// token seals a session. Who has no key can neither read nor change it.
func (s *Service) token(of session) string { return base64.RawURLEncoding.EncodeToString(s.sealed(of)) }

// open returns the session of a token.
func (s *Service) open(token string) (of session, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	return of, err == nil && s.unseal(sealed, &of)
}

// sealed is what only a service with the same key reads again.
func (s *Service) sealed(v any) []byte {
	text, _ := json.Marshal(v) // texts and numbers always marshal
	nonce := make([]byte, s.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return s.seal.Seal(nonce, nonce, text, nil)
}

// unseal reads what sealed returned, and reports whether it is that.
func (s *Service) unseal(sealed []byte, into any) bool {
	if len(sealed) < s.seal.NonceSize() {
		return false
	}
	nonce, sealed := sealed[:s.seal.NonceSize()], sealed[s.seal.NonceSize():]
	text, err := s.seal.Open(nil, nonce, sealed, nil)
	return err == nil && json.Unmarshal(text, into) == nil
}

// expired reports whether a session is over.
func (of session) expired(now time.Time) bool { return now.UnixMilli() >= of.Expires }

// use is what plays the session.
func (of session) use() playable.Use {
	switch {
	case of.DASH:
		return playable.ByDASH
	case of.TS:
		return playable.ByTransportStream
	}
	return playable.ByHLS
}

// at is when a fragment begins, by the timestamps that the session follows.
func (of session) at(f Fragment) time.Time {
	if of.By == byProducer {
		return f.Producer
	}
	return f.Server
}

// within reports whether a fragment starts within the session's range, whose ends belong to it, and was retained when it began.
func (of session) within(f Fragment) bool {
	at := of.at(f).UnixMilli()
	return f.Server.UnixMilli() >= of.Since && at >= of.Start && (of.End == 0 || at <= of.End)
}
