package hub

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// For each failure status and check show one sentence that says what to do, without the SDK's
// wording.
func TestWhyTheHubDoesNotLearnItsConfigurationsIsASentence(t *testing.T) {
	t.Parallel()
	server := func(start func(http.Handler) *httptest.Server, status int, body string) string {
		s := start(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		s.Config.ErrorLog = nil
		t.Cleanup(s.Close)
		return s.URL
	}
	refusal := func(status int, xml, json string) string {
		return server(httptest.NewServer, status, "<ErrorResponse><Error><Code>"+xml+"</Code></Error></ErrorResponse>"+json)
	}
	json := func(status int, name string) string {
		return server(httptest.NewServer, status, `{"__type":"`+name+`","message":"no"}`)
	}
	account := func(url string) error {
		_, err := FindARN(settings.Settings{Region: "us-west-2"}, awsclient.Of(testCloud(url)))(context.Background())
		return err
	}
	list := func(url string) error {
		client := kvs.New(kvs.Options{Config: awsclient.Of(testCloud(url))})
		_, err := ControlPlane{Client: client}.EdgeConfigs(context.Background(), "arn:aws:iot:us-west-2:123456789012:thing/hub-1")
		return err
	}
	// named is asked where a variable or a file says.
	named := func(where endpoint.Options) func(string) error {
		return func(string) error {
			cfg, err := awsclient.Load(t.Context(), awsclient.Options{Region: "us-west-2", Endpoints: where,
				Credentials: credentials.NewStaticCredentialsProvider("key", "secret", "")})
			must(t, err)
			_, err = ControlPlane{Client: kvs.New(kvs.Options{Config: cfg}), Config: cfg}.EdgeConfigs(t.Context(),
				"arn:aws:iot:us-west-2:123456789012:thing/hub-1")
			return err
		}
	}
	const nobody = "https://kvs.invalid"
	for name, row := range map[string]struct {
		ask  func(url string) error
		url  string
		want string
	}{
		"account, firewall": {account, "http://127.0.0.1:1", "STS at 127.0.0.1:1 cannot be reached: check the hub's internet " +
			"connection and firewall (port 443). STS is asked for the hub's AWS account only, which AWS_KVS_EDGE_ACCOUNT_ID may say instead."},
		"account, TLS is opened": {account, server(httptest.NewTLSServer, 200, ""),
			"is not signed by a CA that the hub trusts: check AWS_IOT_CA_CERT and AWS_CA_BUNDLE, and whether a proxy intercepts TLS."},
		"account, old credentials": {account, refusal(403, "ExpiredToken", ""),
			"STS refuses the hub's credentials: check the role alias and the hub's clock."},
		"listing, firewall": {list, "http://127.0.0.1:1", "Kinesis Video Streams at 127.0.0.1:1 cannot be reached: check the hub's " +
			"internet connection"},
		"listing, no such name": {list, "http://kvs.invalid", "The name kvs.invalid of Kinesis Video Streams cannot be resolved: check the " +
			"hub's DNS and AWS_REGION."},
		"listing, the service's variable": {named(endpoint.Options{Environment: endpoint.Addresses{KinesisVideo: nobody}}), "",
			"cannot be resolved: check the hub's DNS and AWS_ENDPOINT_URL_KINESIS_VIDEO."},
		"listing, the variable of all": {named(endpoint.Options{Environment: endpoint.Addresses{All: nobody}}), "",
			"cannot be resolved: check the hub's DNS and AWS_ENDPOINT_URL."},
		"listing, the SDK's file": {named(endpoint.Options{File: endpoint.Addresses{All: nobody}}), "",
			"cannot be resolved: check the hub's DNS and endpoint_url in the AWS configuration file."},
		"listing, not allowed": {list, json(403, "AccessDeniedException"),
			"Kinesis Video Streams does not let the hub ask: allow the hub's role kinesisvideo:ListEdgeAgentConfigurations."},
		"listing, too often": {list, json(400, "ThrottlingException"),
			"Kinesis Video Streams answers with HTTP status 400 ThrottlingException; the agent keeps trying."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := row.ask(row.url)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("it says %v, want %q", err, row.want)
			}
			for _, jargon := range []string{"operation error", "StatusCode", "RequestID"} {
				if err != nil && strings.Contains(err.Error(), jargon) {
					t.Errorf("it says %v", err)
				}
			}
		})
	}
}

// testCloud asks the server at url, once.
func testCloud(url string) aws.Config {
	return aws.Config{
		Region: "us-west-2", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	}
}
