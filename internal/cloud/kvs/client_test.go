package kvs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// serve answers over HTTPS; the client trusts it.
func serve(t testing.TB, handler http.HandlerFunc) (*httptest.Server, aws.Config) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server, aws.Config{
		Region: "us-west-2", BaseEndpoint: &server.URL, HTTPClient: server.Client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "token"),
	}
}

const hub = "arn:aws:iot:us-west-2:123456789012:thing/hub"

// Pages of ListEdgeAgentConfigurations as the service returns them.
var pages = map[string]string{
	"": `{"NextToken":"two","EdgeConfigs":[{"StreamName":"door","StreamARN":"arn:aws:kinesisvideo:us-west-2:123456789012:stream/door/1",
		"CreationTime":1.7E9,"LastUpdatedTime":1.700000000123E9,"SyncStatus":"IN_SYNC","FutureMember":1,
		"EdgeConfig":{"HubDeviceArn":"` + hub + `",
			"RecorderConfig":{"MediaSourceConfig":{"MediaUriSecretArn":"arn:s","MediaUriType":"RTSP_URI"},` +
		`"ScheduleConfig":{"ScheduleExpression":"0 0 9 ? * *","DurationInSeconds":3600}},
			"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 0 1 ? * *","DurationInSeconds":600}},
			"DeletionConfig":{"EdgeRetentionInHours":24,"DeleteAfterUpload":false,"LocalSizeConfig":{"MaxLocalMediaSizeInMB":500,` +
		`"StrategyOnFullSize":"DENY_NEW_MEDIA"}}}}]}`,
	"two": `{"EdgeConfigs":[{"StreamName":"yard","SyncStatus":"SYNCING","LastUpdatedTime":1700000001,
		"EdgeConfig":{"HubDeviceArn":"` + hub + `","RecorderConfig":{"MediaSourceConfig":{"MediaUriSecretArn":"arn:t",` +
		`"MediaUriType":"RTSP_URI"}}}}]}`,
	"loop": `{"NextToken":"loop","EdgeConfigs":[]}`,
}

func TestEdgeConfigsGivesAllPagesOrAnError(t *testing.T) {
	t.Parallel()
	var first atomic.Value
	first.Store("")
	_, cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var in struct{ HubDeviceArn, NextToken string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.HubDeviceArn != hub || r.URL.Path != "/listEdgeAgentConfigurations" {
			t.Errorf("the request is for %s at %s: %v", in.HubDeviceArn, r.URL.Path, err)
		}
		if in.NextToken == "" {
			in.NextToken = first.Load().(string)
		}
		page, ok := pages[in.NextToken]
		if !ok {
			w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException:http://x")
			w.WriteHeader(http.StatusForbidden)
			page = `{"Message":"no"}`
		}
		fmt.Fprint(w, page)
	})
	c := New(Options{Config: awsclient.Of(cfg)})
	got, err := c.EdgeConfigs(t.Context(), hub)
	must(t, err)
	want := []EdgeConfigRecord{
		{
			StreamName: "door", StreamARN: "arn:aws:kinesisvideo:us-west-2:123456789012:stream/door/1", SyncStatus: "IN_SYNC",
			LastUpdated: time.UnixMilli(1700000000123).UTC(),
			Config: edgeconfig.EdgeConfig{
				HubDeviceArn: hub,
				RecorderConfig: edgeconfig.RecorderConfig{
					MediaSourceConfig: edgeconfig.MediaSourceConfig{MediaUriSecretArn: "arn:s", MediaUriType: edgeconfig.RTSP},
					ScheduleConfig:    &edgeconfig.ScheduleConfig{ScheduleExpression: "0 0 9 ? * *", DurationInSeconds: 3600},
				},
				UploaderConfig: &edgeconfig.UploaderConfig{ScheduleConfig: &edgeconfig.ScheduleConfig{ScheduleExpression: "0 0 1 ? * *",
					DurationInSeconds: 600}},
				DeletionConfig: &edgeconfig.DeletionConfig{
					EdgeRetentionInHours: aws.Int(24), DeleteAfterUpload: aws.Bool(false),
					LocalSizeConfig: &edgeconfig.LocalSizeConfig{MaxLocalMediaSizeInMB: aws.Int(500), StrategyOnFullSize: edgeconfig.DenyNewMedia},
				},
			},
		},
		{
			StreamName: "yard", SyncStatus: "SYNCING", LastUpdated: time.Unix(1700000001, 0).UTC(),
			Config: edgeconfig.EdgeConfig{HubDeviceArn: hub,
				RecorderConfig: edgeconfig.RecorderConfig{MediaSourceConfig: edgeconfig.MediaSourceConfig{MediaUriSecretArn: "arn:t",
					MediaUriType: edgeconfig.RTSP}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	first.Store("loop")
	if _, err := c.EdgeConfigs(t.Context(), hub); !errors.Is(err, errPagesRepeat) {
		t.Errorf("pages that repeat: %v", err)
	}
	first.Store("denied")
	var answer *RequestError
	if _, err := c.EdgeConfigs(t.Context(), hub); !errors.As(err, &answer) || answer.Status != 403 || answer.Name != "AccessDeniedException" ||
		answer.Message != "no" {
		t.Errorf("a refusal: %v", err)
	}
}

func TestTheEndpointIsKeptFor45Minutes(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	now := time.Now()
	_, cfg := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"DataEndpoint":"https://data-%d"}`, calls.Add(1))
	})
	c := New(Options{Config: awsclient.Of(cfg), Now: func() time.Time { return now }})
	expect := func(want string) {
		t.Helper()
		got, err := c.DataEndpoint(t.Context(), "door")
		if err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	expect("https://data-1")
	now = now.Add(kvslimit.EndpointAge - time.Second)
	expect("https://data-1")
	now = now.Add(time.Second)
	expect("https://data-2")
	c.InvalidateEndpoint("yard")
	expect("https://data-2")
	c.InvalidateEndpoint("door")
	expect("https://data-3")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	_, cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var in struct{ StreamName string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		if in.StreamName != "door" {
			w.Header().Set("X-Amzn-ErrorType", "ResourceNotFoundException")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"StreamInfo":{"DataRetentionInHours":48}}`)
	})
	c := New(Options{Config: awsclient.Of(cfg)})
	if hours, err := c.Retention(t.Context(), "door"); err != nil || hours != 48 {
		t.Errorf("got %d, %v", hours, err)
	}
	var answer *RequestError
	if _, err := c.Retention(t.Context(), "yard"); !errors.As(err, &answer) || answer.Status != 404 || answer.Stream != "yard" {
		t.Errorf("got %v", err)
	}
}

func TestStorageTier(t *testing.T) {
	t.Parallel()
	_, cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var in struct{ StreamName string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		if r.URL.Path != "/describeStreamStorageConfiguration" {
			t.Errorf("asked is %s", r.URL.Path)
		}
		switch in.StreamName {
		case "door":
			fmt.Fprint(w, `{"StreamName":"door","StreamStorageConfiguration":{"DefaultStorageTier":"WARM"}}`)
		case "empty":
			fmt.Fprint(w, `{}`)
		default:
			w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
			w.WriteHeader(http.StatusForbidden)
		}
	})
	c := New(Options{Config: awsclient.Of(cfg)})
	if tier, err := c.StorageTier(t.Context(), "door"); err != nil || tier != "WARM" {
		t.Errorf("got %q, %v", tier, err)
	}
	if tier, err := c.StorageTier(t.Context(), "empty"); err == nil {
		t.Errorf("an empty answer is the tier %q", tier)
	}
	var answer *RequestError
	if _, err := c.StorageTier(t.Context(), "yard"); !errors.As(err, &answer) || !answer.Meaning.RightMissing() || answer.Stream != "yard" {
		t.Errorf("got %v", err)
	}
}

// countingProvider hands out other credentials each time.
type countingProvider struct{ n int }

func (p *countingProvider) Retrieve(context.Context) (aws.Credentials, error) {
	p.n++
	return aws.Credentials{AccessKeyID: fmt.Sprint("id", p.n), SecretAccessKey: "secret", CanExpire: true,
		Expires: time.Now().Add(time.Hour)}, nil
}

// keepingProvider decides by itself when it returns other credentials.
type keepingProvider struct {
	countingProvider
	invalidated int
}

func (p *keepingProvider) Invalidate() { p.invalidated++ }

// TestCredentialsAreKeptUntilInvalidated checks the credentials that requests are signed with. A provider that keeps
// credentials is asked each time: it says that they end in an hour, but the clock may have been set back
// since, and only the provider knows.
func TestCredentialsAreKeptUntilInvalidated(t *testing.T) {
	t.Parallel()
	var signed atomic.Value
	_, cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, _, _ = strings.Cut(key, "/")
		signed.Store(key)
		fmt.Fprint(w, `{"StreamInfo":{"DataRetentionInHours":48}}`)
	})
	for name, c := range map[string]struct {
		provider aws.CredentialsProvider
		want     []string // of two requests, and one after InvalidateCredentials
	}{
		"by us":           {new(countingProvider), []string{"id1", "id1", "id2"}},
		"by the provider": {new(keepingProvider), []string{"id1", "id2", "id3"}},
	} {
		cfg.Credentials = c.provider
		client := New(Options{Config: awsclient.Of(cfg)})
		for i, want := range c.want {
			if i == 2 {
				client.InvalidateCredentials()
			}
			_, err := client.Retention(t.Context(), "door")
			must(t, err)
			if got := signed.Load(); got != want {
				t.Errorf("kept %s: request %d is signed with %s, want %s", name, i, got, want)
			}
		}
		if p, ok := c.provider.(*keepingProvider); ok && p.invalidated != 1 {
			t.Errorf("the provider was notified %d times", p.invalidated)
		}
	}
}

// TestAListingWithoutEndIsNoListing has a service that has another page behind each.
func TestAListingWithoutEndIsNoListing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	_, cfg := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"NextToken":"t%d","EdgeConfigs":[{"StreamName":"door"}],"Tags":{"a":"b"}}`, asked.Add(1))
	})
	c := New(Options{Config: awsclient.Of(cfg)})
	if list, err := c.EdgeConfigs(t.Context(), hub); !errors.Is(err, errPagesEndless) || list != nil || asked.Load() != maxPages {
		t.Errorf("%d configurations after %d pages: %v", len(list), asked.Load(), err)
	}
	asked.Store(0)
	if tags, err := c.Tags(t.Context(), "door"); !errors.Is(err, errPagesEndless) || tags != nil || asked.Load() != maxPages {
		t.Errorf("tags %v after %d pages: %v", tags, asked.Load(), err)
	}
}
