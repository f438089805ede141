package localcloud

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestTheTokenExchangeServesTheSDKs(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	core := httptest.NewServer(c.NewTokenExchange(hub, "ticket"))
	defer core.Close()
	client := core.Client()
	defer client.CloseIdleConnections()
	asked := func(path, token string) *endpointcreds.Provider {
		return endpointcreds.New(core.URL+path, func(o *endpointcreds.Options) {
			o.HTTPClient, o.AuthorizationToken, o.Retryer = client, token, aws.NopRetryer{}
		})
	}
	provider := asked(TokenExchangePath, "ticket")
	first, err := provider.Retrieve(t.Context())
	must(t, err)
	if second, err := provider.Retrieve(t.Context()); err != nil || second.SecretAccessKey != first.SecretAccessKey {
		t.Errorf("with an hour left the credentials are others: %v", err)
	}
	who, err := sts.NewFromConfig(sdkConfig(t, c, provider)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	must(t, err)
	if want := "arn:aws:sts::123456789012:assumed-role/" + RoleAlias + "/" + hub; *who.Arn != want {
		t.Errorf("it is %s, want %s", *who.Arn, want)
	}
	for name, wrong := range map[string]*endpointcreds.Provider{"token": asked(TokenExchangePath, "other"), "path": asked("/", "ticket")} {
		if _, err := wrong.Retrieve(t.Context()); err == nil {
			t.Errorf("a wrong %s was taken", name)
		}
	}
	if response, err := client.Post(core.URL+TokenExchangePath, "", http.NoBody); err != nil ||
		response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", response, err)
	} else {
		_ = response.Body.Close()
	}
}
