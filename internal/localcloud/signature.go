package localcloud

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// Source: IAM User Guide, "Create a signed AWS API request", Signature Version 4.
const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeLayout = "20060102T150405Z"
	clockSkew  = 15 * time.Minute
	maxBody    = 2 << 20 // of requests whose body is signed
)

// The names of what can be wrong with a signature.
const (
	missingToken     = "MissingAuthenticationTokenException"
	incomplete       = "IncompleteSignatureException"
	unknownKey       = "UnrecognizedClientException"
	expiredToken     = "ExpiredTokenException"
	invalidSignature = media.InvalidSignature
)

// The headers that a signature may be wrong in, as a refusal names them.
const (
	inAuthorization = "header Authorization"
	inDate          = "header X-Amz-Date"
	inToken         = "header X-Amz-Security-Token"
)

func forbidden(name, where, format string, args ...any) *media.HTTPError {
	return &media.HTTPError{Status: http.StatusForbidden, Name: name, Where: where, Message: fmt.Sprintf(format, args...)}
}

// authorization is the header of that name, taken apart.
type authorization struct {
	keyID, date, region, service string
	signed                       []string // names of headers
	signature                    string
}

func parseAuthorization(header string) (a authorization, err error) {
	if header == "" {
		return a, forbidden(missingToken, inAuthorization, "Missing Authentication Token")
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return a, forbidden(incomplete, inAuthorization, "Authorization must begin with %s", algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || fields["SignedHeaders"] == "" || fields["Signature"] == "" {
		return a, forbidden(incomplete, inAuthorization, "Authorization needs Credential, SignedHeaders and Signature")
	}
	return authorization{
		keyID: scope[0], date: scope[1], region: scope[2], service: scope[3],
		signed: strings.Split(fields["SignedHeaders"], ";"), signature: fields["Signature"],
	}, nil
}

// verify checks who signed a request and that nothing was changed since. payloads are the hashes
// that the body may have been signed with.
func (c *Cloud) verify(r *http.Request, service string, payloads ...string) (caller, error) {
	a, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return caller{}, err
	}
	now := time.Now()
	secret, session, known := c.keys.find(a.keyID, r.Header.Get("X-Amz-Security-Token"))
	switch {
	case !known:
		return caller{}, forbidden(unknownKey, inAuthorization, "The security token included in the request is invalid.")
	case !session.Expires.IsZero() && now.After(session.Expires):
		return caller{}, forbidden(expiredToken, inToken, "The security token included in the request is expired")
	case a.region != Region:
		return caller{}, forbidden(invalidSignature, inAuthorization, "Credential should be scoped to a valid region, not '%s'.", a.region)
	case a.service != service:
		return caller{}, forbidden(invalidSignature, inAuthorization, "Credential should be scoped to correct service: '%s'.", service)
	}
	at, err := time.Parse(timeLayout, r.Header.Get("X-Amz-Date"))
	switch {
	case err != nil || !strings.HasPrefix(r.Header.Get("X-Amz-Date"), a.date):
		return caller{}, forbidden(incomplete, inDate, "X-Amz-Date must be a time of the day in Credential, like 20260102T150405Z")
	case now.Sub(at).Abs() > clockSkew:
		return caller{}, forbidden(invalidSignature, inDate, "Signature expired: %s is more than 15 min from %s",
			at.Format(timeLayout), now.UTC().Format(timeLayout))
	}
	for _, required := range []string{"host", "x-amz-date"} {
		if !slices.Contains(a.signed, required) {
			return caller{}, forbidden(invalidSignature, inAuthorization, "'%s' must be a 'SignedHeader' in the AWS Authorization.", required)
		}
	}
	for _, payload := range payloads {
		for _, spell := range spellings {
			if hmac.Equal([]byte(a.signature), []byte(sign(r, a, secret, payload, spell))) {
				return caller{Thing: session.Thing}, nil
			}
		}
	}
	return caller{}, forbidden(invalidSignature, inAuthorization, "The request signature we calculated does not match "+
		"the signature you provided. Check your AWS Secret Access Key and signing method.")
}

// spellings are the letters in which the value of Transfer-Encoding and the names in Trailer may have
// been sent. net/http does not keep them.
var spellings = []func(string) string{strings.ToLower, http.CanonicalHeaderKey}

// sign returns the signature that the request should have.
func sign(r *http.Request, a authorization, secret, payload string, spell func(string) string) string {
	canonical := strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), canonicalHeaders(r, a.signed, spell), strings.Join(a.signed, ";"), payload,
	}, "\n")
	scope := strings.Join([]string{a.date, a.region, a.service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, r.Header.Get("X-Amz-Date"), scope, hashOf([]byte(canonical))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{a.date, a.region, a.service, "aws4_request"} {
		key = hmacOf(key, part)
	}
	return hex.EncodeToString(hmacOf(key, text))
}

func hmacOf(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// canonicalPath is the path as it was sent, escaped once more: only S3 does without the second time.
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = escape(part)
	}
	return strings.Join(parts, "/")
}

func canonicalQuery(u *url.URL) string {
	var pairs []string
	for name, values := range u.Query() {
		for _, value := range values {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape leaves only what RFC 3986 calls unreserved.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// canonicalHeaders renders the signed headers, each with a line end.
func canonicalHeaders(r *http.Request, signed []string, spell func(string) string) string {
	var b strings.Builder
	for _, name := range signed {
		b.WriteString(name + ":")
		for i, value := range valuesOf(r, name, spell) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.Join(strings.Fields(value), " "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// valuesOf returns the values of a header as they were sent. net/http moves three of them out of
// the header map (Host, Transfer-Encoding, Trailer; see net/http, readRequest and readTransfer);
// all others stay, Connection, Content-Length and Expect among them. A Content-Length beside a
// Transfer-Encoding is dropped without a trace, so that its signature cannot be right. A trailer
// that names several headers is taken as sorted and separated by commas.
func valuesOf(r *http.Request, name string, spell func(string) string) []string {
	switch name {
	case "host":
		return []string{r.Host}
	case "transfer-encoding":
		var codings []string
		for _, coding := range r.TransferEncoding { // "chunked" is the only one that net/http takes
			codings = append(codings, spell(coding))
		}
		return codings
	case "trailer":
		var names []string
		for trailer := range r.Trailer {
			names = append(names, spell(trailer))
		}
		slices.Sort(names)
		return names
	}
	return r.Header.Values(name)
}

// readSigned reads a body whole, to be hashed.
func readSigned(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, &media.HTTPError{
			Status: http.StatusBadRequest, Name: "SerializationException", Where: "body", Message: "the body ended too early: " + err.Error(),
		}
	}
	if len(body) > maxBody {
		return nil, &media.HTTPError{
			Status: http.StatusRequestEntityTooLarge, Name: "RequestEntityTooLargeException", Where: "body",
			Message: fmt.Sprintf("the body has more than %d bytes", maxBody),
		}
	}
	return body, nil
}

// verifyMedia checks requests of the data plane. That of PutMedia is signed as if it had no body,
// since the body has no end yet. That of GetMedia may be signed either way.
func (c *Cloud) verifyMedia(r *http.Request) error {
	payloads := []string{hashOf(nil)}
	if r.URL.Path != "/putMedia" {
		body, err := readSigned(r)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		payloads = append(payloads, hashOf(body))
	}
	who, err := c.verify(r, serviceKVS, payloads...)
	if err != nil {
		return err
	}
	return c.authorizeMedia(r, who)
}
