package hub

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// refusedCredentials counts how often others were asked for.
type refusedCredentials struct{ invalidated int }

func (r *refusedCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
}

func (r *refusedCredentials) Invalidate() { r.invalidated++ }

// When the service refuses the credentials, the uploader's invalidation reaches their provider.
func TestRefusedCredentialsAreRequestedAgain(t *testing.T) {
	t.Parallel()
	var given refusedCredentials
	cfg, err := Load(settings.Settings{Region: "us-west-2"}, &given, Options{Version: "test"})
	must(t, err)
	kvs.New(kvs.Options{Config: cfg}).InvalidateCredentials()
	if given.invalidated != 1 {
		t.Errorf("the credentials were invalidated %d times, want once", given.invalidated)
	}
}

// TestAListingThatFindsExpiredCredentialsAsksForOthers and one that a policy forbids does not.
func TestAListingThatFindsExpiredCredentialsAsksForOthers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"ExpiredTokenException": 1, "UnrecognizedClientException": 1, "AccessDeniedException": 0,
		"ThrottlingException": 0} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("x-amzn-ErrorType", name)
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "{}")
		}))
		var given refusedCredentials
		cfg := testCloud(server.URL)
		cfg.Credentials = &given
		client := kvs.New(kvs.Options{Config: awsclient.Of(cfg)})
		plane := ControlPlane{Client: client}
		if _, err := plane.EdgeConfigs(t.Context(), "arn:aws:iot:us-west-2:123456789012:thing/hub-1"); err == nil {
			t.Errorf("%s: no error", name)
		}
		if given.invalidated != want {
			t.Errorf("%s: others were asked for %d times, want %d", name, given.invalidated, want)
		}
		server.Close()
	}
}
