package localcloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
)

// signedRequest is a request as the SDK's signer signs it, with everything that can be wrong.
type signedRequest struct {
	path, body string
	hashed     string // what is hashed in place of the body
	service    string
	region     string
	key        sigv4.AccessKey
	at         time.Time
	before     func(*http.Request) // changes it until it is signed
	after      func(*http.Request) // changes it when it is signed
}

func (s signedRequest) send(t *testing.T, c *Cloud) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Endpoint()+s.path, bytes.NewReader([]byte(s.body)))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	if s.before != nil {
		s.before(r)
	}
	sum := sha256.Sum256([]byte(s.hashed))
	key := aws.Credentials{AccessKeyID: s.key.ID, SecretAccessKey: s.key.Secret, SessionToken: s.key.Token}
	must(t, v4.NewSigner().SignHTTP(context.Background(), key, r, hex.EncodeToString(sum[:]), s.service, s.region, s.at))
	if s.after != nil {
		s.after(r)
	}
	client := userConfig(t, c).HTTPClient
	response, err := client.Do(r)
	must(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	device := c.keys.Issue(hub, time.Now())
	for name, row := range map[string]struct {
		change func(*signedRequest)
		want   string // of x-amzn-ErrorType; empty when the signature is good
	}{
		"good":             {func(*signedRequest) {}, ""},
		"good with token":  {func(s *signedRequest) { s.key = device }, ""},
		"good with query":  {func(s *signedRequest) { s.path += "?b=2&a=x%20y&a=%2F&c" }, ""},
		"good, 14 min ago": {func(s *signedRequest) { s.at = s.at.Add(-14 * time.Minute) }, ""},
		"good, spaces": {func(s *signedRequest) {
			s.after = func(r *http.Request) { r.Header.Set("Content-Type", "  application/json ") }
		}, ""},
		"16 min ago":      {func(s *signedRequest) { s.at = s.at.Add(-16 * time.Minute) }, awsapi.InvalidSignature},
		"16 min ahead":    {func(s *signedRequest) { s.at = s.at.Add(16 * time.Minute) }, awsapi.InvalidSignature},
		"wrong secret":    {func(s *signedRequest) { s.key.Secret += "x" }, awsapi.InvalidSignature},
		"wrong region":    {func(s *signedRequest) { s.region = "eu-west-1" }, awsapi.InvalidSignature},
		"wrong service":   {func(s *signedRequest) { s.service = "sts" }, awsapi.InvalidSignature},
		"body changed":    {func(s *signedRequest) { s.body = `{"StreamName":"cam" }` }, awsapi.InvalidSignature},
		"body not signed": {func(s *signedRequest) { s.hashed = "" }, awsapi.InvalidSignature},
		"signed header changed": {func(s *signedRequest) { s.after = func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") } },
			awsapi.InvalidSignature},
		"query changed": {func(s *signedRequest) { s.after = func(r *http.Request) { r.URL.RawQuery = "a=1" } }, awsapi.InvalidSignature},
		"date changed": {func(s *signedRequest) {
			s.after = func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") }
		}, awsapi.IncompleteSignature},
		"unknown key":         {func(s *signedRequest) { s.key.ID = "AKIAIOSFODNN7EXAMPLE" }, awsapi.UnknownKey},
		"key without token":   {func(s *signedRequest) { s.key = device; s.key.Token = "" }, awsapi.UnknownKey},
		"user's with a token": {func(s *signedRequest) { s.key.Token = device.Token }, awsapi.UnknownKey},
		"another token":       {func(s *signedRequest) { s.key = device; s.key.Token = c.keys.Issue(hub, time.Now()).Token }, awsapi.UnknownKey},
		"forged token":        {func(s *signedRequest) { s.key = device; s.key.Token = "A" + s.key.Token[1:] + "AAAA" }, awsapi.UnknownKey},
		"expired": {func(s *signedRequest) { s.key = c.keys.Issue(hub, time.Now().Add(-time.Hour-time.Second)) },
			awsapi.ExpiredToken},
		"unsigned": {func(s *signedRequest) { s.after = func(r *http.Request) { r.Header.Del("Authorization") } },
			awsapi.MissingToken},
		"another algorithm": {func(s *signedRequest) { s.after = func(r *http.Request) { r.Header.Set("Authorization", "Basic x") } },
			awsapi.IncompleteSignature},
		"cut off": {func(s *signedRequest) {
			s.after = func(r *http.Request) {
				h := r.Header.Get("Authorization")
				r.Header.Set("Authorization", h[:strings.Index(h, "Signature=")])
			}
		}, awsapi.IncompleteSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signedRequest{path: "/describeStream", body: `{"StreamName":"cam"}`, service: "kinesisvideo", region: Region, key: c.keys.User(),
				at: time.Now()}
			s.hashed = s.body
			row.change(&s)
			response := s.send(t, c)
			body, err := io.ReadAll(response.Body)
			must(t, err)
			want := http.StatusForbidden
			if row.want == "" {
				want = http.StatusOK
			}
			if got := response.Header.Get("x-amzn-ErrorType"); got != row.want || response.StatusCode != want {
				t.Errorf("answered %d %s: %s", response.StatusCode, got, body)
			}
			if want == http.StatusForbidden && !strings.Contains(string(body), `"Message":"`) {
				t.Errorf("the answer has no Message: %s", body)
			}
		})
	}
}

func TestTheDataPlaneChecksSignatures(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	const read = `{"StreamName":"cam","StartSelector":{"StartSelectorType":"NOW"}}`
	putHeaders := func(r *http.Request) {
		r.Header.Set("x-amzn-stream-name", "cam")
		r.Header.Set("x-amzn-fragment-timecode-type", "ABSOLUTE")
		r.Header.Set("x-amzn-producer-start-timestamp", "1700000000.000")
	}
	for name, row := range map[string]struct {
		path, body, hashed string
		after              func(*http.Request)
		status             int
	}{
		"PutMedia":                 {"/putMedia", "", "", putHeaders, 200},
		"PutMedia, body hashed":    {"/putMedia", "x", "x", putHeaders, 403},
		"GetMedia, body hashed":    {"/getMedia", read, read, nil, 200},
		"GetMedia, nothing hashed": {"/getMedia", read, "", nil, 200},
		"GetMedia, other hashed":   {"/getMedia", read, "other", nil, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signedRequest{path: row.path, body: row.body, hashed: row.hashed, service: "kinesisvideo", region: Region, key: c.keys.Issue(hub,
				time.Now()), at: time.Now(), after: row.after}
			if response := s.send(t, c); response.StatusCode != row.status {
				body, _ := io.ReadAll(response.Body)
				t.Errorf("answered %d: %s", response.StatusCode, body)
			}
		})
	}
}
