package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// Source: IAM User Guide, "Create a signed AWS API request", Signature Version 4.
const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeLayout = "20060102T150405Z"
	clockSkew  = 15 * time.Minute
)

// The headers that a signature may be wrong in, as a refusal names them.
const (
	inDate  = "header X-Amz-Date"
	inToken = "header X-Amz-Security-Token"
)

// Authorization is the header of that name, taken apart.
type Authorization struct {
	KeyID, date, region, Service string
	signed                       []string // names of headers
	signature                    string
}

// Parse reads the header Authorization.
func Parse(header string) (a Authorization, err error) {
	if header == "" {
		return a, awsapi.Forbidden(awsapi.MissingToken, awsapi.InAuthorization, "Missing Authentication Token")
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return a, awsapi.Forbidden(awsapi.IncompleteSignature, awsapi.InAuthorization, "Authorization must begin with %s", algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || fields["SignedHeaders"] == "" || fields["Signature"] == "" {
		return a, awsapi.Forbidden(awsapi.IncompleteSignature, awsapi.InAuthorization,
			"Authorization needs Credential, SignedHeaders and Signature")
	}
	return Authorization{
		KeyID: scope[0], date: scope[1], region: scope[2], Service: scope[3],
		signed: strings.Split(fields["SignedHeaders"], ";"), signature: fields["Signature"],
	}, nil
}

// Verify checks who signed a request and that nothing was changed since. payloads are the hashes
// that the body may have been signed with (Hash).
func (k Keyring) Verify(r *http.Request, service string, payloads ...string) (Identity, error) {
	a, err := Parse(r.Header.Get("Authorization"))
	if err != nil {
		return Identity{}, err
	}
	now := time.Now()
	secret, who, known := k.Find(a.KeyID, r.Header.Get("X-Amz-Security-Token"))
	switch {
	case !known:
		return Identity{}, awsapi.Forbidden(awsapi.UnknownKey, awsapi.InAuthorization, "The security token included in the request is invalid.")
	case !who.Expires.IsZero() && now.After(who.Expires):
		return Identity{}, awsapi.Forbidden(awsapi.ExpiredToken, inToken, "The security token included in the request is expired")
	case a.region != k.Home.Region():
		return Identity{}, awsapi.Forbidden(awsapi.InvalidSignature, awsapi.InAuthorization,
			"Credential should be scoped to a valid region, not '%s'.", a.region)
	case a.Service != service:
		return Identity{}, awsapi.Forbidden(awsapi.InvalidSignature, awsapi.InAuthorization,
			"Credential should be scoped to correct service: '%s'.", service)
	}
	at, err := time.Parse(timeLayout, r.Header.Get("X-Amz-Date"))
	switch {
	case err != nil || !strings.HasPrefix(r.Header.Get("X-Amz-Date"), a.date):
		return Identity{}, awsapi.Forbidden(awsapi.IncompleteSignature, inDate,
			"X-Amz-Date must be a time of the day in Credential, like 20260102T150405Z")
	case now.Sub(at).Abs() > clockSkew:
		return Identity{}, awsapi.Forbidden(awsapi.InvalidSignature, inDate, "Signature expired: %s is more than 15 min from %s",
			at.Format(timeLayout), now.UTC().Format(timeLayout))
	}
	for _, required := range []string{"host", "x-amz-date"} {
		if !slices.Contains(a.signed, required) {
			return Identity{}, awsapi.Forbidden(awsapi.InvalidSignature, awsapi.InAuthorization,
				"'%s' must be a 'SignedHeader' in the AWS Authorization.", required)
		}
	}
	for _, payload := range payloads {
		for _, spell := range spellings {
			if hmac.Equal([]byte(a.signature), []byte(sign(r, a, secret, payload, spell))) {
				return who, nil
			}
		}
	}
	return Identity{}, awsapi.Forbidden(awsapi.InvalidSignature, awsapi.InAuthorization, "The request signature we calculated does not match "+
		"the signature you provided. Check your AWS Secret Access Key and signing method.")
}

// spellings are the letters in which the value of Transfer-Encoding and the names in Trailer may have
// been sent. net/http does not keep them.
var spellings = []func(string) string{strings.ToLower, http.CanonicalHeaderKey}

// sign returns the signature that the request should have.
func sign(r *http.Request, a Authorization, secret, payload string, spell func(string) string) string {
	canonical := strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), canonicalHeaders(r, a.signed, spell), strings.Join(a.signed, ";"), payload,
	}, "\n")
	scope := strings.Join([]string{a.date, a.region, a.Service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, r.Header.Get("X-Amz-Date"), scope, Hash([]byte(canonical))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{a.date, a.region, a.Service, "aws4_request"} {
		key = hmacOf(key, part)
	}
	return hex.EncodeToString(hmacOf(key, text))
}

func hmacOf(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Hash returns the SHA-256 of a body, as signatures have it.
func Hash(data []byte) string {
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
