package uploader

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// countedCloud counts how often other credentials are asked for.
type countedCloud struct {
	*kvs.Client
	renewed atomic.Int32
}

func (c *countedCloud) InvalidateCredentials() {
	c.renewed.Add(1)
	c.Client.InvalidateCredentials()
}

// TestWhoMayNotUploadIsNamed has PutMedia denied a few times as IAM does it, and then allowed.
func TestWhoMayNotUploadIsNamed(t *testing.T) {
	t.Parallel()
	const text = "User: arn:aws:sts::123456789012:assumed-role/hub/0a1b is not authorized to perform: kinesisvideo:PutMedia on resource: " +
		"arn:aws:kinesisvideo:us-west-2:123456789012:stream/door/1 because no identity-based policy allows the kinesisvideo:PutMedia action"
	for name, row := range map[string]struct {
		status        int
		name, message string
		says          string
		renewed       int32
	}{
		"IAM": {http.StatusForbidden, "", text,
			"Stream door is not uploaded: the hub's role may not upload (HTTP 403). Allow the hub's role kinesisvideo:PutMedia on " +
				"arn:aws:kinesisvideo:us-west-2:123456789012:stream/door/1.", 0},
		"a right, or the token": {http.StatusUnauthorized, "NotAuthorizedException", "",
			"Allow the hub's role kinesisvideo:PutMedia, GetDataEndpoint and DescribeStream on the stream.", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(1, 3)
			var denied atomic.Int32
			server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/getDataEndpoint":
					_ = json.NewEncoder(rw).Encode(map[string]string{"DataEndpoint": "https://" + r.Host})
				case r.URL.Path == "/putMedia" && denied.Add(1) <= 3:
					_ = http.NewResponseController(rw).EnableFullDuplex() // else the server waits for the body first
					if row.name != "" {
						rw.Header().Set("x-amzn-ErrorType", row.name)
					}
					rw.WriteHeader(row.status)
					_ = json.NewEncoder(rw).Encode(map[string]string{"Message": row.message})
				default:
					w.serve(rw, r)
				}
			}))
			t.Cleanup(server.Close)
			t.Cleanup(server.CloseClientConnections)
			cloud := &countedCloud{Client: kvs.New(kvs.Options{Config: awsclient.Of(aws.Config{
				Region: "us-west-2", BaseEndpoint: &server.URL, HTTPClient: server.Client(), RetryMaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "token"),
			})})}
			w.drain(w.uploader(func(o *Options) { o.Cloud = cloud }))
			w.expectOnce()
			w.mu.Lock()
			defer w.mu.Unlock()
			if !slices.ContainsFunc(w.conditions, func(c health.Condition) bool {
				return c.Code == codeUpload && c.Class == health.UserError && strings.Contains(c.Text, row.says)
			}) {
				t.Errorf("nothing said %q: %+v", row.says, w.conditions)
			}
			if n := cloud.renewed.Load(); n != row.renewed {
				t.Errorf("other credentials were asked for %d times, want %d", n, row.renewed)
			}
		})
	}
}
