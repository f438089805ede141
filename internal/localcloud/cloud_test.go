package localcloud

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

const testSeed = `{
  "streams": [{"name":"cam","retention_hours":24}],
  "secrets": [{"name":"camera","value":{"MediaURI": "rtsp://user:pass@127.0.0.1/x"}}, {"name":"plain","value":"text"}],
  "things": ["hub-1"],
  "edge_configs": [{"stream":"cam","config":{"HubDeviceArn":"arn:aws:iot:us-west-2:123456789012:thing/hub-1",
    "RecorderConfig":{"MediaSourceConfig":{
    "MediaUriSecretArn":"arn:aws:secretsmanager:us-west-2:123456789012:secret:camera","MediaUriType":"RTSP_URI"}}}}]
}`

func seed(t *testing.T) *Seed {
	t.Helper()
	s, err := ParseSeed([]byte(testSeed))
	must(t, err)
	return s
}

func TestARestartGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Start(Options{Dir: dir, Seed: seed(t)})
	must(t, err)
	agent, user := first.AgentEnv(hub), first.UserEnv()
	if _, err := Start(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another local cloud") {
		t.Errorf("a second one on the same directory: %v", err)
	}
	h := connectHub(t, first, hub)
	told := h.await("config/update", "cam")
	h.answer(told, "IN_SYNC", "")
	must(t, first.AwaitSyncStatus(waiting(t), "cam", "IN_SYNC"))
	must(t, first.Faults().RevokeCertificate("hub-2"))
	must(t, first.Close())
	must(t, first.Close())
	if _, err := first.CreateStream("late", 1); !errors.Is(err, state.ErrClosed) {
		t.Errorf("a stopped cloud answers %v", err)
	}

	second := start(t, Options{Dir: dir, Seed: seed(t)})
	for i, v := range second.AgentEnv(hub) {
		if v != agent[i] {
			t.Errorf("%v was %v", v, agent[i])
		}
	}
	for i, v := range second.UserEnv() {
		if v != user[i] {
			t.Errorf("%v was %v", v, user[i])
		}
	}
	if got := second.kvs.DescribeSync("cam"); got != kvs.InSync {
		t.Errorf("after the restart, with the same seed, it is %s", got)
	}
	if !second.isRevoked("hub-2") {
		t.Error("the revocation is forgotten")
	}
	for _, name := range []string{"state/cloud.json", "state/metrics.jsonl", "pki/ca.key", "pki/server.key", "pki/thing-hub-1.key"} {
		if got := mode(t, filepath.Join(dir, name)); got != 0o600 {
			t.Errorf("%s has mode %o", name, got)
		}
	}
}

func TestSeeds(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Seed: seed(t)})
	for id, want := range map[string]string{"camera": `{"MediaURI":"rtsp://user:pass@127.0.0.1/x"}`, "plain": "text"} {
		secret, err := secretsmanager.NewFromConfig(userConfig(t, c)).GetSecretValue(t.Context(),
			&secretsmanager.GetSecretValueInput{SecretId: &id})
		must(t, err)
		if *secret.SecretString != want {
			t.Errorf("secret %s is %s", id, *secret.SecretString)
		}
	}
	if got := c.kvs.DescribeSync("cam"); got != kvs.Syncing {
		t.Errorf("the stream is %s", got)
	}
	for text, says := range map[string]string{
		`{`:               "cannot be read",
		`{"stream":[]}`:   `unknown field "stream"`,
		`{} {}`:           "more text",
		`{"streams":"x"}`: "cannot be read",
	} {
		if _, err := ParseSeed([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, says := range map[string]string{
		`{"streams":[{"name":"a/b"}]}`:                  "cannot create stream a/b",
		`{"secrets":[{"name":"a b","value":"x"}]}`:      "cannot put secret a b",
		`{"things":["../x"]}`:                           "cannot be the name of a thing",
		`{"edge_configs":[{"stream":"x","config":{}}]}`: "edge_configs[0].config.HubDeviceArn",
	} {
		s, err := ParseSeed([]byte(text))
		must(t, err)
		if _, err := Start(Options{Dir: t.TempDir(), Seed: s}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCutOffResetsEverythingUntilRestored(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	lost := make(chan error, 1)
	client := mqtt.NewClient(mqttOptions(t, c, hub).SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	kvs := userKVS(t, c)
	_, err = kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
	must(t, err)

	c.Faults().CutOff()
	select {
	case <-lost:
	case <-waiting(t).Done():
		t.Error("the connection to the broker is not closed")
	}
	_, err = kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
	if err == nil || !(errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)) {
		t.Errorf("the control plane answers %v", err)
	}
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() == nil {
		t.Error("the broker can still be reached")
	}
	if _, _, err := askForCredentials(t, c, deviceTLS(t, c, hub), RoleAlias, hub); err == nil {
		t.Error("there are still credentials")
	}

	c.Faults().Restore()
	_, err = kvs.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("cam")})
	must(t, err)
	connectHub(t, c, hub)
}

func TestOtherMethodsAndOversizedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	client := userConfig(t, c).HTTPClient
	for method, row := range map[string]struct {
		body   []byte
		status int
	}{
		http.MethodGet:  {nil, http.StatusMethodNotAllowed},
		http.MethodPost: {make([]byte, awsapi.MaxBody+1), http.StatusRequestEntityTooLarge},
	} {
		r, err := http.NewRequestWithContext(t.Context(), method, c.Endpoint()+"/listStreams", bytes.NewReader(row.body))
		must(t, err)
		response, err := client.Do(r)
		must(t, err)
		_ = response.Body.Close()
		if response.StatusCode != row.status {
			t.Errorf("%s: status %d, want %d", method, response.StatusCode, row.status)
		}
	}
}
