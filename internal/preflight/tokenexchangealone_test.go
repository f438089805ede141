package preflight

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const gateAsset = "5d0f8c8e-8b57-4c66-a2b1-0d6a5e9b7c31"

// connectorRig is a hub that is not a thing: SiteWise has its camera, whose stream does not exist, and the token exchange service provides
// the credentials of a role with exactly what the guide of the component aws.iot.EdgeConnectorForKVS grants. refusals gets what the cloud
// refuses.
func connectorRig(t *testing.T, refusals *testtools.Text) *rig {
	t.Helper()
	testtools.Need(t, "aws")
	camera, err := fakecam.Start(fakecam.Options{})
	must(t, err)
	t.Cleanup(func() { _ = camera.Close() })
	value, err := json.Marshal(map[string]string{"RTSPStreamURL": camera.URL()})
	must(t, err)
	h := newRig(t, func(o *localcloud.Options) {
		o.AsAWS, o.Refusals = true, refusals
		o.Allow = []string{"kinesisvideo:CreateStream"}
		o.Deny = []string{"kinesisvideo:ListStreams", "cloudwatch:*", "iot:*"} // of the guide of the edge agent
		o.Seed = &localcloud.Seed{
			Secrets: []localcloud.SeedSecret{{Name: "gate", Value: value}},
			Hubs: []localcloud.SeedHub{{Name: "hub-1", ID: siteWiseHub, Cameras: []sitewise.SeedCamera{
				{ID: gateAsset, Name: "gate", Stream: "gate", Secret: "arn:aws:secretsmanager:us-west-2:123456789012:secret:gate",
					CaptureStart: "* * * * *"}}}},
		}
	})
	for name := range maps.Clone(h.Env) {
		if strings.HasPrefix(name, "AWS_IOT_") {
			delete(h.Env, name)
		}
	}
	service := httptest.NewServer(h.Cloud.NewTokenExchange(thing, "ticket"))
	t.Cleanup(service.Close)
	token := filepath.Join(h.Dir, "token")
	must(t, os.WriteFile(token, []byte("ticket\n"), 0o600))
	maps.Copy(h.Env, map[string]string{settings.EnvRegion: localcloud.Region, settings.EnvSiteWiseHub: siteWiseHub,
		settings.EnvTokenExchange: service.URL + localcloud.TokenExchangePath, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token})
	return h
}

// owner runs the AWS CLI as the owner of the account, and returns what it prints.
func (h *rig) owner(args ...string) string {
	h.t.Helper()
	command := exec.CommandContext(h.t.Context(), "/bin/sh", append([]string{"-c", testtools.AWSCLI, "aws", "iotsitewise", "--output", "text"},
		args...)...)
	command.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + h.Dir}
	for _, v := range h.Cloud.UserEnv() {
		command.Env = append(command.Env, v.String())
	}
	out, err := command.CombinedOutput()
	if err != nil {
		h.t.Fatalf("aws iotsitewise %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// property is the id of a property of the camera.
func (h *rig) property(name string) string {
	return h.owner("describe-asset", "--asset-id", gateAsset, "--query", "assetProperties[?name=='"+name+"'].id")
}

// TestTheTokenExchangeRoleAlone suffices for a hub of SiteWise: no thing, no certificate, no edge configurations, no MQTT.
func TestTheTokenExchangeRoleAlone(t *testing.T) {
	var refusals testtools.Text
	h := connectorRig(t, &refusals)
	h.Env[settings.EnvCloudWatchEnabled] = "TRUE" // as the recipe has it, and the role has no right for it
	if all, ok := h.check(); !ok {
		t.Errorf("check is not content:\n%s", all.bad())
	} else if said := fmt.Sprint(all); !strings.Contains(said, "The hub is not a thing of AWS IoT (AWS_IOT_CORE_THING_NAME is not set)") {
		t.Errorf("check does not say what is not used:\n%s", said)
	} else if !strings.Contains(said, "allow cloudwatch:PutMetricData in the policy of Greengrass' token exchange role; else set") {
		t.Errorf("check does not say that there are no metrics:\n%s", said)
	}
	h.run(agent.Options{})
	h.awaitRunning()
	testtools.Eventually(t, patience, func() error {
		for _, s := range h.snapshot().Streams {
			if s.Name == "gate" && s.Recorder.FramesRecorded > 200 {
				return nil
			}
		}
		return fmt.Errorf("the agent says %+v", h.snapshot().Agent)
	})
	to := time.Now()
	from := to.Add(-4 * time.Second)
	request := fmt.Sprintf(`[{"entryId":"1","assetId":%q,"propertyId":%q,"propertyValues":[{"value":{"stringValue":"%d-%d"},`+
		`"timestamp":{"timeInSeconds":%d}}]}]`, gateAsset, h.property("VideoUploadRequest"), from.UnixMilli(), to.UnixMilli(), to.Unix())
	if failed := h.owner("batch-put-asset-property-value", "--entries", request, "--query", "length(errorEntries)"); failed != "0" {
		t.Fatal("the request is not written")
	}
	uploaded := h.property("VideoUploadedTimeRange")
	testtools.Eventually(t, patience, func() error { return h.rowOfAll(uploaded, from, to) })
	snapshot := h.snapshot()
	conditions := snapshot.Agent
	for _, s := range snapshot.Streams {
		conditions = slices.Concat(conditions, s.Conditions)
	}
	for _, c := range conditions {
		if c.Severity > health.Info {
			t.Errorf("status alarms: %+v", c)
		}
	}
	if said := fmt.Sprint(snapshot.Agent); !strings.Contains(said, "The hub is not a thing of AWS IoT") {
		t.Errorf("status does not say what is not used: %s", said)
	}
	// What the role may not is asked for only where there is another way, or where a stream does without.
	for line := range strings.Lines(refusals.String()) {
		spared := regexp.MustCompile(`BatchGetAssetPropertyValue|GetAssetPropertyValueHistory|DescribeStreamStorageConfiguration|PutMetricData`)
		if strings.Contains(line, "AccessDenied") && !spared.MatchString(line) {
			t.Errorf("the cloud refused: %s", line)
		}
	}
}

// rowOfAll wants the row of the request to be exactly what the cloud has.
func (h *rig) rowOfAll(property string, from, to time.Time) error {
	list := h.Cloud.Media().Fragments("gate")
	if len(list) == 0 {
		return fmt.Errorf("no fragment is uploaded")
	}
	for _, f := range list {
		if f.Producer.After(to) || f.Producer.Before(from.Add(-3*time.Second)) {
			h.t.Fatalf("a fragment of %s is uploaded, asked for was %s to %s", f.Producer, from, to)
		}
	}
	row := strings.Fields(h.owner("get-asset-property-value", "--asset-id", gateAsset, "--property-id", property,
		"--query", "propertyValue.[timestamp.timeInSeconds, value.doubleValue]"))
	if len(row) != 2 {
		return fmt.Errorf("there is no row: %v", row)
	}
	start, err := strconv.ParseInt(row[0], 10, 64)
	must(h.t, err)
	end, err := strconv.ParseFloat(row[1], 64)
	must(h.t, err)
	if got, want := end, float64(to.UnixMilli())/1000; start != list[0].Producer.Unix() || got < want-2.5 || got > want+2.5 {
		return fmt.Errorf("the row is %v, uploaded is from %s on and asked for until %s", row, list[0].Producer, to)
	}
	return nil
}
