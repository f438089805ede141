package agent

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

const (
	// patience bounds every wait for an event that must come.
	patience = 20 * time.Second
	hub      = "test-hub"
)

// house is a site with cameras and a hub, and the cloud that it belongs to. The SDK takes its
// endpoints from the process's environment, so tests with a house are not parallel.
type house struct {
	t     *testing.T
	dir   string
	cloud *localcloud.Cloud
	user  *kinesisvideo.Client // as the owner of the account
	http  *http.Client
	env   map[string]string // of the hub

	cameras []*fakecam.Camera
	closed  sync.Once
}

func newHouse(t *testing.T, change ...func(*localcloud.Options)) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "kvs") // a socket's path must be short
	must(t, err)
	h := &house{t: t, dir: dir}
	o := localcloud.Options{Dir: filepath.Join(dir, "cloud")}
	for _, f := range change {
		f(&o)
	}
	h.cloud, err = localcloud.Start(o)
	must(t, err)
	t.Cleanup(h.close)
	h.env = map[string]string{
		EnvRecordingDirectory:       filepath.Join(dir, "recordings"),
		EnvStateDirectory:           filepath.Join(dir, "state"),
		EnvLogOutputDirectory:       filepath.Join(dir, "log"),
		EnvSocket:                   filepath.Join(dir, "agent.sock"),
		"AWS_EC2_METADATA_DISABLED": "true",
	}
	for _, v := range h.cloud.AgentEnv(hub) {
		h.env[v.Name] = v.Value
	}
	for name, value := range h.env {
		t.Setenv(name, value)
	}
	owner := make(map[string]string)
	for _, v := range h.cloud.UserEnv() {
		owner[v.Name] = v.Value
	}
	pem, err := os.ReadFile(owner["AWS_CA_BUNDLE"])
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	h.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	h.user = kinesisvideo.NewFromConfig(aws.Config{
		Region: localcloud.Region, BaseEndpoint: aws.String(h.cloud.Endpoint()), HTTPClient: h.http, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(owner["AWS_ACCESS_KEY_ID"], owner["AWS_SECRET_ACCESS_KEY"], ""),
	})
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// close ends everything outside the hub.
func (h *house) close() {
	h.closed.Do(func() {
		for _, c := range h.cameras {
			_ = c.Close()
		}
		if err := h.cloud.Close(); err != nil {
			h.t.Error(err)
		}
		h.http.CloseIdleConnections()
		_ = os.RemoveAll(h.dir)
	})
}

func (h *house) camera(o fakecam.Options) *fakecam.Camera {
	h.t.Helper()
	c, err := fakecam.Start(o)
	must(h.t, err)
	h.cameras = append(h.cameras, c)
	return c
}

// secret puts a camera's URL into the account's secrets.
func (h *house) secret(name, url string) (arn string) {
	h.t.Helper()
	arn, err := h.cloud.PutSecret(name, fmt.Sprintf(`{"MediaURI":%q}`, url))
	must(h.t, err)
	return arn
}

// always uploads around the clock.
func always(c *types.EdgeConfig) {
	c.UploaderConfig = &types.UploaderConfig{ScheduleConfig: &types.ScheduleConfig{
		ScheduleExpression: aws.String("0 * * * * ? *"), DurationInSeconds: aws.Int32(60),
	}}
}

// configure makes a stream and sends its edge configuration.
func (h *house) configure(stream, secretARN string, change ...func(*types.EdgeConfig)) {
	h.t.Helper()
	_, err := h.cloud.CreateStream(stream, 24)
	must(h.t, err)
	h.update(stream, secretARN, change...)
}

// update sends the edge configuration of a stream that there is.
func (h *house) update(stream, secretARN string, change ...func(*types.EdgeConfig)) {
	h.t.Helper()
	c := &types.EdgeConfig{
		HubDeviceArn: aws.String(edgeconfig.HubARN(localcloud.Region, localcloud.Account, hub)),
		RecorderConfig: &types.RecorderConfig{MediaSourceConfig: &types.MediaSourceConfig{
			MediaUriSecretArn: &secretARN, MediaUriType: types.MediaUriTypeRtspUri,
		}},
	}
	for _, f := range change {
		f(c)
	}
	_, err := h.user.StartEdgeConfigurationUpdate(h.t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: &stream, EdgeConfig: c})
	must(h.t, err)
}

func (h *house) lookup(name string) (string, bool) {
	value, ok := h.env[name]
	return value, ok
}

func (h *house) settings() Settings {
	h.t.Helper()
	s, err := SettingsFromEnv(h.lookup)
	must(h.t, err)
	return s
}

// agent is the hub's, not yet running.
func (h *house) agent() *Agent {
	h.t.Helper()
	a, err := New(h.settings(), Options{Version: "test"})
	must(h.t, err)
	return a
}

// recordings lists the files of all streams on the hub.
func (h *house) recordings() []string {
	h.t.Helper()
	var list []string
	root := h.env[EnvRecordingDirectory]
	must(h.t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && path != root && filepath.Dir(path) != root || err == nil && path != root && entry.IsDir() {
			list = append(list, path)
		}
		return err
	}))
	return list
}

// streamGoroutines shows the goroutines that work for a stream: its jobs and their connections.
func streamGoroutines() string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var found []string
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		for _, part := range []string{"internal/recorder.", "internal/camera.", "internal/clip.", "internal/uploader.", "internal/cloud/kvs.", "internal/agent.startJob", "gortsplib/v4.(*Client)"} {
			if strings.Contains(stack, part) {
				found = append(found, stack)
				break
			}
		}
	}
	return strings.Join(found, "\n\n")
}
