package kvs

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	location "github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// A hub whose clock is off lists and uploads: what its signatures lack is in the Date of the refusal. Not parallel: the
// SDK reads its endpoints from the process's environment.
func TestSignaturesOfAHubWhoseClockIsOff(t *testing.T) {
	for _, off := range []time.Duration{0, 10 * time.Minute, -6 * time.Minute, 24 * time.Hour, -24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			var ahead, refused atomic.Int64 // of the service's clock; requests
			var url string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := http.NewResponseController(w)
				_ = answer.EnableFullDuplex()
				now := time.Now().Add(time.Duration(ahead.Load())).UTC()
				w.Header().Set("Date", now.Format(http.TimeFormat))
				signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
				switch {
				case err != nil || now.Sub(signed).Abs() > 5*time.Minute:
					refused.Add(1)
					w.Header().Set("x-amzn-ErrorType", "InvalidSignatureException")
					w.WriteHeader(http.StatusForbidden)
					_, _ = fmt.Fprint(w, `{"message":"Signature expired"}`)
				case r.URL.Path == "/getDataEndpoint":
					_, _ = fmt.Fprintf(w, `{"DataEndpoint":%q}`, url)
				default:
					_ = answer.Flush()
					_, _ = io.Copy(io.Discard, r.Body)
				}
			}))
			defer server.Close()
			url = server.URL
			config, err := awsclient.Load(t.Context(), awsclient.Options{
				Region: "us-west-2", Endpoints: location.Options{Environment: location.Addresses{All: url}},
				Clock:       hubclock.New(hubclock.Options{Synchronised: func() bool { return false }}),
				Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("id", "secret", "")),
			})
			must(t, err)
			defer config.HTTP().CloseIdleConnections()
			client := New(Options{Config: config})
			put := func() {
				t.Helper()
				session, err := client.PutMedia(t.Context(), input(""))
				if err != nil {
					t.Fatal(err)
				}
				session.Abort()
				for range session.Acks() {
				}
			}
			put() // the endpoint is known from now on
			ahead.Store(int64(off))
			put()
			put()
			want := int64(0)
			if off != 0 {
				want = 1
			}
			if got := refused.Load(); got != want {
				t.Errorf("%d requests were refused, want %d", got, want)
			}
			client.InvalidateEndpoint("door")
			put()
			if got := refused.Load(); got > 2*want {
				t.Errorf("%d requests were refused with those for the endpoint, want at most %d", got, 2*want)
			}
		})
	}
}
