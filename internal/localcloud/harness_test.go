package localcloud

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/secretsmanager"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for an event that must come.
const patience = time.Minute

const hub = "hub-1"

// signedLayout is that of X-Amz-Date.
const signedLayout = "20060102T150405Z"

var hubARN = edgeconfig.HubARN(Region, Account, hub)

func start(t *testing.T, o Options) *Cloud {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func waiting(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func envOf(list []EnvVar) map[string]string {
	env := map[string]string{}
	for _, v := range list {
		env[v.Name] = v.Value
	}
	return env
}

// userConfig is an SDK that acts as the user, set up by the environment lines.
func userConfig(t *testing.T, c *Cloud) aws.Config {
	t.Helper()
	env := envOf(c.UserEnv())
	return sdkConfig(t, c, credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""))
}

// deviceConfig is an SDK that acts as a thing.
func deviceConfig(t *testing.T, c *Cloud, thing string) aws.Config {
	t.Helper()
	key := c.keys.Issue(thing, time.Now())
	return sdkConfig(t, c, credentials.NewStaticCredentialsProvider(key.ID, key.Secret, key.Token))
}

func sdkConfig(t *testing.T, c *Cloud, provider aws.CredentialsProvider) aws.Config {
	t.Helper()
	env := envOf(c.UserEnv())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.pki.Pool()}}}
	t.Cleanup(client.CloseIdleConnections)
	return aws.Config{
		Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]), HTTPClient: client,
		Credentials: provider, RetryMaxAttempts: 1,
	}
}

func userKVS(t *testing.T, c *Cloud) *kinesisvideo.Client {
	t.Helper()
	return kinesisvideo.NewFromConfig(userConfig(t, c))
}

// wantError checks the name and the HTTP status of an API's error.
func wantError(t *testing.T, err error, name string, status int) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != name {
		t.Errorf("got %v, want %s", err, name)
		return
	}
	var response interface{ HTTPStatusCode() int }
	if !errors.As(err, &response) || response.HTTPStatusCode() != status {
		t.Errorf("%s came with another HTTP status than %d: %v", name, status, err)
	}
}

// edgeConfig is a good one for the hub.
func edgeConfig() *types.EdgeConfig {
	return &types.EdgeConfig{
		HubDeviceArn: aws.String(hubARN),
		RecorderConfig: &types.RecorderConfig{MediaSourceConfig: &types.MediaSourceConfig{
			MediaUriSecretArn: aws.String(secretsmanager.ARN("", "camera")), MediaUriType: types.MediaUriTypeRtspUri,
		}},
	}
}

func startUpdate(t *testing.T, kvs *kinesisvideo.Client, stream string) (*kinesisvideo.StartEdgeConfigurationUpdateOutput, error) {
	t.Helper()
	return kvs.StartEdgeConfigurationUpdate(t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: &stream,
		EdgeConfig: edgeConfig()})
}

func deviceTLS(t *testing.T, c *Cloud, thing string) *tls.Config {
	t.Helper()
	env := envOf(c.AgentEnv(thing))
	pair, err := tls.LoadX509KeyPair(env["AWS_IOT_CORE_CERT"], env["AWS_IOT_CORE_PRIVATE_KEY"])
	must(t, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: c.pki.Pool()}
}

// clock is one that only moves when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Mode().Perm()
}
