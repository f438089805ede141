package iotconfig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/secrets"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// account is the local cloud with a link in front of each service of the agent's.
type account struct {
	*localcloud.Cloud
	t    *testing.T
	user *kinesisvideo.Client // as the owner of the account
	env  map[string]string    // of the hub

	broker, controlPlane, secretsManager, credentials *testtools.Link
}

func newAccount(t *testing.T, change ...func(*localcloud.Options)) *account {
	t.Helper()
	o := localcloud.Options{Dir: t.TempDir()}
	for _, f := range change {
		f(&o)
	}
	cloud, err := localcloud.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	a := &account{Cloud: cloud, t: t, env: make(map[string]string)}
	for _, v := range cloud.AgentEnv(testThing) {
		a.env[v.Name] = v.Value
	}
	api := cloud.Endpoint()[len("https://"):]
	a.broker, a.credentials = testtools.NewLink(t, cloud.MQTTEndpoint()), testtools.NewLink(t, cloud.CredentialEndpoint())
	a.controlPlane, a.secretsManager = testtools.NewLink(t, api), testtools.NewLink(t, api)

	owner := make(map[string]string)
	for _, v := range cloud.UserEnv() {
		owner[v.Name] = v.Value
	}
	keys := credentials.NewStaticCredentialsProvider(owner["AWS_ACCESS_KEY_ID"], owner["AWS_SECRET_ACCESS_KEY"], "")
	a.user = kinesisvideo.NewFromConfig(a.sdk(keys, api))
	return a
}

// services are those that can be cut, by bit.
func (a *account) services() []*testtools.Link {
	return []*testtools.Link{a.broker, a.controlPlane, a.secretsManager, a.credentials}
}

func (a *account) roots() *x509.CertPool {
	pem, err := os.ReadFile(a.env["AWS_IOT_CA_CERT"])
	if err != nil {
		a.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

func (a *account) sdk(provider aws.CredentialsProvider, address string) aws.Config {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.roots()}}}
	a.t.Cleanup(client.CloseIdleConnections)
	return aws.Config{
		Region: localcloud.Region, BaseEndpoint: aws.String("https://" + address), HTTPClient: client,
		Credentials: provider, RetryMaxAttempts: 1,
	}
}

// hub is one that speaks to the account with the agent's own clients. dir is its state directory.
func (a *account) hub(dir string) *testHubSource {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.env["AWS_IOT_CORE_CERT"], a.env["AWS_IOT_CORE_PRIVATE_KEY"])
	if err != nil {
		a.t.Fatal(err)
	}
	device := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: a.roots(), MinVersion: tls.VersionTLS12}
	provider, err := iotcreds.New(iotcreds.Options{
		Endpoint: a.credentials.Address(), RoleAlias: localcloud.RoleAlias, ThingName: testThing, TLS: device,
		Retry: backoff.Policy{Min: 10 * time.Millisecond, Max: 50 * time.Millisecond},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	cache := aws.NewCredentialsCache(provider)
	return newTestHub(a.t, a.broker.Address(), dir, device, func(o *hubOptions) {
		o.hubARN = edgeconfig.HubARN(localcloud.Region, localcloud.Account, testThing)
		o.controlPlane = sdkControlPlane{kinesisvideo.NewFromConfig(a.sdk(cache, a.controlPlane.Address()))}
		o.secrets = secrets.New(awsclient.Of(a.sdk(cache, a.secretsManager.Address())))
	})
}

// sdkControlPlane is ListEdgeAgentConfigurations over the AWS SDK.
type sdkControlPlane struct{ api *kinesisvideo.Client }

// EdgeConfigs implements ControlPlane.
func (c sdkControlPlane) EdgeConfigs(ctx context.Context, hub string) ([]kvsconfig.ListedConfig, error) {
	var list []kvsconfig.ListedConfig
	pages := kinesisvideo.NewListEdgeAgentConfigurationsPaginator(c.api, &kinesisvideo.ListEdgeAgentConfigurationsInput{HubDeviceArn: &hub})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, health.FaultOf(err, "list")
		}
		for _, e := range page.EdgeConfigs {
			document, err := json.Marshal(e.EdgeConfig) // its fields have the API's names
			if err != nil {
				return nil, err
			}
			config, err := edgeconfig.Parse(document)
			if err != nil {
				return nil, err
			}
			list = append(list, kvsconfig.ListedConfig{SyncStatus: string(e.SyncStatus), StreamConfig: edgeconfig.StreamConfig{
				StreamName: aws.ToString(e.StreamName), StreamARN: aws.ToString(e.StreamARN), Config: config,
				LastUpdated: aws.ToTime(e.LastUpdatedTime),
			}})
		}
	}
	return list, nil
}

// camera makes a stream and a secret of that name, and returns the secret's ARN.
func (a *account) camera(name string) (secretARN string) {
	a.t.Helper()
	if _, err := a.CreateStream(name, 24); err != nil {
		a.t.Fatal(err)
	}
	arn, err := a.PutSecret(name, `{"MediaURI":"`+cameraURL+`"}`)
	if err != nil {
		a.t.Fatal(err)
	}
	return arn
}

func (a *account) awaitSync(stream, status string) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	if err := a.AwaitSyncStatus(ctx, stream, status); err != nil {
		a.t.Fatal(err)
	}
}

// describe asks until the description fits.
func (a *account) describe(stream, what string, fits func(*kinesisvideo.DescribeEdgeConfigurationOutput) bool) {
	a.t.Helper()
	testtools.Eventually(a.t, patience, func() error { // the API has no event for this
		out, err := a.user.DescribeEdgeConfiguration(a.t.Context(), &kinesisvideo.DescribeEdgeConfigurationInput{StreamName: &stream})
		if err != nil {
			a.t.Fatal(err)
		}
		if fits(out) {
			return nil
		}
		shown, _ := json.Marshal(out)
		return fmt.Errorf("Describe never shows %s, but %s", what, shown)
	})
}
