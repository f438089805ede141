package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The parameters of new hashes. Source: OWASP, Password Storage Cheat Sheet: Argon2id with 19 MiB, 2 iterations, parallelism 1.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	saltBytes    = 16
	keyBytes     = 32
)

// Bounds of what a stored hash may ask for: the file could be somebody else's.
const (
	maxArgonMemory = 64 << 10
	maxArgonTime   = 10
)

// maxWaiting is how many passwords may wait for their turn.
const maxWaiting = 16

// ErrBusy means that too many passwords are being checked.
var ErrBusy = errors.New("too many passwords are being checked: try again in some seconds")

// hashing checks one password at a time: each takes much memory. One more may be set meanwhile, which strangers do not hold up.
type hashing struct {
	turn    chan struct{}
	setting chan struct{}
	waiting chan struct{}
	absent  string // what is computed where there is no hash, so that the time says nothing
}

func newHashing() hashing {
	h := hashing{turn: make(chan struct{}, 1), setting: make(chan struct{}, 1), waiting: make(chan struct{}, maxWaiting)}
	h.absent = phc(argonMemory, argonTime, argonThreads, make([]byte, saltBytes), make([]byte, keyBytes))
	return h
}

// key computes a key when it is its turn.
func (h hashing) key(ctx context.Context, password string, salt []byte, memory, time uint32, threads uint8) ([]byte, error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	defer func() { <-h.waiting }()
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.turn }()
	return argon2.IDKey([]byte(password), salt, time, memory, threads, keyBytes), nil
}

// hash returns the hash of a password.
func (h hashing) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // it never fails: crypto/rand
	select {
	case h.setting <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-h.setting }()
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, keyBytes)
	return phc(argonMemory, argonTime, argonThreads, salt, key), nil
}

// matches reports whether a hash is that of the password. An empty hash is that of none.
func (h hashing) matches(ctx context.Context, hash, password string) (bool, error) {
	known := hash != ""
	if !known {
		hash = h.absent
	}
	memory, time, threads, salt, want, ok := parsePHC(hash)
	if !ok {
		return false, nil
	}
	got, err := h.key(ctx, password, salt, memory, time, threads)
	if err != nil {
		return false, err
	}
	return known && subtle.ConstantTimeCompare(got, want) == 1, nil
}

var text64 = base64.RawStdEncoding.Strict()

// phc writes a hash. Source: the PHC string format.
func phc(memory, time uint32, threads uint8, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, time, threads, text64.EncodeToString(salt),
		text64.EncodeToString(key))
}

// parsePHC reads a hash that phc wrote, maybe with other parameters.
func parsePHC(hash string) (memory, time uint32, threads uint8, salt, key []byte, ok bool) {
	var version int
	var rest string
	n, err := fmt.Sscanf(hash, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &memory, &time, &threads, &rest)
	if err != nil || n != 5 || version != argon2.Version || memory < 8 || memory > maxArgonMemory || time < 1 || time > maxArgonTime ||
		threads < 1 || threads > 4 {
		return 0, 0, 0, nil, nil, false
	}
	salted, keyed, found := strings.Cut(rest, "$")
	if !found {
		return 0, 0, 0, nil, nil, false
	}
	var saltErr, keyErr error
	salt, saltErr = text64.DecodeString(salted)
	key, keyErr = text64.DecodeString(keyed)
	ok = saltErr == nil && keyErr == nil && len(salt) >= saltBytes && len(salt) <= 4*saltBytes && len(key) == keyBytes
	return memory, time, threads, salt, key, ok
}
