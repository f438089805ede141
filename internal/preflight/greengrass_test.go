package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// TestAComponentWithoutThePrivateKeyRecordsAndUploads is not parallel: the SDK reads its endpoints
// from the process's environment. The component runs as a user who may read none of Greengrass's files.
func TestAComponentWithoutThePrivateKeyRecordsAndUploads(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	h := newHouse(t)
	core := h.Cloud.NewTokenExchange(thing, "ticket")
	service := httptest.NewServer(core)
	defer service.Close()
	for _, v := range h.Cloud.AgentEnv(thing) {
		if strings.HasPrefix(v.Name, "AWS_IOT_") {
			delete(h.Env, v.Name)
		}
	}
	maps.Copy(h.Env, map[string]string{ // what Greengrass sets for a component
		settings.EnvGreengrassRoot: "/nowhere", "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": "/nowhere/ipc.socket",
		"AWS_IOT_THING_NAME": thing, settings.EnvRegion: localcloud.Region, "GG_ROOT_CA_PATH": "/nowhere/rootCA.pem",
		settings.EnvTokenExchange: service.URL + localcloud.TokenExchangePath, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "ticket",
	})
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()), site.Always)

	var findings []Finding
	if ok := Check(ctx, Options{Getenv: h.Lookup, Report: func(f Finding) { findings = append(findings, f) }, diskFree: hundredGB}); !ok {
		t.Errorf("check is not content: %+v", findings)
	}
	logs, lines := observer.New(zapcore.DebugLevel)
	stop := h.run(agent.Options{Log: zap.New(logs)})
	if err := h.Cloud.Media().AwaitFragments(ctx, "door", 1); err != nil {
		t.Fatalf("nothing was uploaded: %v; the agent says %+v", err, h.snapshot().Agent)
	}
	snapshot := h.snapshot()
	said, _ := json.Marshal(snapshot)
	if !strings.Contains(string(said), "There is no MQTT connection to AWS IoT (cannot read /nowhere/config/effectiveConfig.yaml: no such "+
		"file or directory)") {
		t.Errorf("status does not say why there is no MQTT:\n%s", said)
	}
	stop()
	table, _ := json.Marshal(h.Settings().Table(h.Lookup))
	for _, line := range lines.All() {
		said = fmt.Appendf(said, "\n%s %v", line.Message, line.ContextMap())
	}
	for _, planted := range append(h.Cloud.IssuedSecrets(), "ticket") {
		if strings.Contains(string(said)+string(table), planted) {
			t.Errorf("a secret is shown: %s", planted)
		}
	}
}
