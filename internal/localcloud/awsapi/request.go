package awsapi

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// MaxBody bounds the bodies of requests, in bytes; those of PutMedia have no end.
const MaxBody = 2 << 20

// ReadBody reads the body of a request whole, and leaves it to be read again.
func ReadBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return nil, Errorf(http.StatusBadRequest, "SerializationException", "body", "the body ended too early: %s", err)
	}
	if len(body) > MaxBody {
		return nil, Errorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "body", "the body has more than %d bytes", MaxBody)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// Form reads the body of a query request; what cannot be read is not there.
func Form(body []byte) url.Values {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return url.Values{}
	}
	return form
}

// RequestID returns a random UUID.
func RequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// TokenAfter returns the token of the page that starts after a name.
func TokenAfter(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

// ReadToken returns the name of TokenAfter; "" = the first page.
func ReadToken(token string) (after string, err error) {
	name, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil && (len(name) > 4096 || !utf8.Valid(name)) {
		err = errors.New("not a token")
	}
	return string(name), err
}
