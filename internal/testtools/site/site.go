// Package site is what tests of the agent and of its check need: cameras, a hub with its variables, and the cloud.
package site

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site/played"
)

const (
	// Patience bounds every wait for an event that must come.
	Patience = time.Minute
	// Hub is the name of the hub's thing.
	Hub = "test-hub"
)

// Site is cameras, a hub, and the cloud that it belongs to. The SDK takes its endpoints from the
// process's environment, so tests with a site are not parallel.
type Site struct {
	Dir   string
	Cloud *localcloud.Cloud
	User  *kinesisvideo.Client // as the owner of the account
	HTTP  *http.Client         // trusts the cloud's certificates
	Env   map[string]string    // of the hub

	t       *testing.T
	excused played.Excuses
	cameras []*fakecam.Camera
	closed  sync.Once
}

// New starts the cloud, and sets the hub's variables for this process too.
func New(t *testing.T, change ...func(*localcloud.Options)) *Site {
	t.Helper()
	dir, err := os.MkdirTemp("", "kvs") // a socket's path must be short
	must(t, err)
	s := &Site{t: t, Dir: dir}
	o := localcloud.Options{Dir: filepath.Join(dir, "cloud")}
	for _, f := range change {
		f(&o)
	}
	s.Cloud, err = localcloud.Start(o)
	must(t, err)
	t.Cleanup(s.Close)
	s.Env = map[string]string{
		settings.EnvRecordingDirectory: filepath.Join(dir, "recordings"),
		settings.EnvStateDirectory:     filepath.Join(dir, "state"),
		settings.EnvLogOutputDirectory: filepath.Join(dir, "log"),
		settings.EnvSocket:             filepath.Join(dir, "agent.sock"),
		settings.EnvFragmentDuration:   "1s", // so that nobody waits for more than a GOP
		"AWS_EC2_METADATA_DISABLED":    "true",
	}
	for _, v := range s.Cloud.AgentEnv(Hub) {
		s.Env[v.Name] = v.Value
	}
	for name, value := range s.Env {
		t.Setenv(name, value)
	}
	owner := make(map[string]string)
	for _, v := range s.Cloud.UserEnv() {
		owner[v.Name] = v.Value
	}
	pem, err := os.ReadFile(owner["AWS_CA_BUNDLE"])
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	s.User = kinesisvideo.NewFromConfig(aws.Config{
		Region: localcloud.Region, BaseEndpoint: aws.String(s.Cloud.Endpoint()), HTTPClient: s.HTTP, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(owner["AWS_ACCESS_KEY_ID"], owner["AWS_SECRET_ACCESS_KEY"], ""),
	})
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Unplayable lets the test upload what breaks a rule of playcheck, for a reason.
func (s *Site) Unplayable(rule, reason string) {
	if s.excused == nil {
		s.excused = played.Excuses{}
	}
	s.excused[rule] = reason
}

// Close ends everything outside the hub. What was uploaded must be playable.
func (s *Site) Close() {
	s.closed.Do(func() {
		for _, c := range s.cameras {
			_ = c.Close()
		}
		if err := s.Cloud.Close(); err != nil {
			s.t.Error(err)
		}
		s.HTTP.CloseIdleConnections()
		played.Check(s.t, s.Cloud.Dir(), s.excused)
		_ = os.RemoveAll(s.Dir)
	})
}

// Camera starts a camera.
func (s *Site) Camera(o fakecam.Options) *fakecam.Camera {
	s.t.Helper()
	c, err := fakecam.Start(o)
	must(s.t, err)
	s.cameras = append(s.cameras, c)
	return c
}

// Secret puts a camera's URL into the account's secrets.
func (s *Site) Secret(name, url string) (arn string) {
	s.t.Helper()
	arn, err := s.Cloud.PutSecret(name, fmt.Sprintf(`{"MediaURI":%q}`, url))
	must(s.t, err)
	return arn
}

// Always uploads around the clock.
func Always(c *types.EdgeConfig) {
	c.UploaderConfig = &types.UploaderConfig{ScheduleConfig: &types.ScheduleConfig{
		ScheduleExpression: aws.String("0 * * * * ? *"), DurationInSeconds: aws.Int32(60),
	}}
}

// Configure makes a stream and sends its edge configuration.
func (s *Site) Configure(stream, secretARN string, change ...func(*types.EdgeConfig)) {
	s.t.Helper()
	_, err := s.Cloud.CreateStream(stream, 24)
	must(s.t, err)
	s.Update(stream, secretARN, change...)
}

// Update sends the edge configuration of an existing stream.
func (s *Site) Update(stream, secretARN string, change ...func(*types.EdgeConfig)) {
	s.t.Helper()
	c := &types.EdgeConfig{
		HubDeviceArn: aws.String(s.Cloud.HubARN(Hub)),
		RecorderConfig: &types.RecorderConfig{MediaSourceConfig: &types.MediaSourceConfig{
			MediaUriSecretArn: &secretARN, MediaUriType: types.MediaUriTypeRtspUri,
		}},
	}
	for _, f := range change {
		f(c)
	}
	_, err := s.User.StartEdgeConfigurationUpdate(s.t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: &stream,
		EdgeConfig: c})
	must(s.t, err)
}

// Lookup returns a variable of the hub.
func (s *Site) Lookup(name string) (string, bool) {
	value, ok := s.Env[name]
	return value, ok
}

// Settings are those of the hub's variables.
func (s *Site) Settings() settings.Settings {
	s.t.Helper()
	found, err := settings.FromEnv(s.Lookup)
	must(s.t, err)
	return found
}
