package connector_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/connector"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// rig is an account in a local cloud.
type rig struct {
	t     *testing.T
	cloud *localcloud.Cloud
	cfg   aws.Config
}

func newRig(t *testing.T, o localcloud.Options) *rig {
	t.Helper()
	o.Dir, o.StreamDelay = filepath.Join(t.TempDir(), "cloud"), -1
	c, err := localcloud.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	cfg, err := integrator.Config(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RetryMaxAttempts = 1
	return &rig{t, c, cfg}
}

// set runs a setup of a plan in JSON, and returns what it told.
func (r *rig) set(plan string, dry bool) (steps []string, hub string, err error) {
	r.t.Helper()
	p, err := connector.ReadPlan(strings.NewReader(plan))
	if err != nil {
		r.t.Fatal(err)
	}
	s := connector.New(r.cfg, connector.Options{DryRun: dry, Tell: func(s connector.Step) {
		steps = append(steps, fmt.Sprintf("%s %s: %s", s.Kind, s.Name, s.Done))
	}})
	hub, err = s.Run(r.t.Context(), p)
	return steps, hub, err
}

// cli asks with the AWS CLI, and returns the answer in one line of JSON.
func (r *rig) cli(args ...string) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), "aws")
	testtools.WriteProgram(r.t, path, []byte(testtools.AWSCLI), 0o755)
	cmd := exec.CommandContext(r.t.Context(), path, append(args, "--output", "json")...)
	cmd.Env = append(os.Environ(), "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true")
	for _, v := range r.cloud.UserEnv() {
		cmd.Env = append(cmd.Env, v.String())
	}
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("aws %s: %v %s", strings.Join(args, " "), err, errorOf(err))
	}
	var value any
	if err := json.Unmarshal(out, &value); err != nil {
		r.t.Fatalf("aws %s: %s: %v", strings.Join(args, " "), out, err)
	}
	line, _ := json.Marshal(value)
	return string(line)
}

func errorOf(err error) []byte {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.Stderr
	}
	return nil
}

const yard = `{
	"hub": "Yard", "workspace": "yard", "cameras": [
		{"name": "Front door", "stream": "front-door", "url": "rtsp://user:hunter2@10.0.0.5/stream1", "retentionMinutes": 1440,
		 "captureStart": "* * * * *"},
		{"name": "Gate", "stream": "gate", "secretArn": "arn:aws:secretsmanager:us-west-2:123456789012:secret:gate-a1B2c3",
		 "liveStart": "0 8 ? * MON-FRI", "liveMinutes": 60}
	]
}`

var digits = regexp.MustCompile(`-[0-9a-f]{4}\b`)

// TestAPlanIsMade as a dry run says, and is there then for the AWS CLI: models, assets, values, notifications, tags, secrets, streams. A
// second run changes nothing.
func TestAPlanIsMade(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "/usr/bin/aws")
	r := newRig(t, localcloud.Options{})
	would, hub, err := r.set(yard, true)
	if err != nil || hub != "" || slices.ContainsFunc(would, func(s string) bool { return !strings.Contains(s, "would be ") }) {
		t.Fatalf("%q %q %v", would, hub, err)
	}
	if again, _, err := r.set(yard, true); err != nil || digits.ReplaceAllString(strings.Join(again, "\n"), "-xxxx") !=
		digits.ReplaceAllString(strings.Join(would, "\n"), "-xxxx") {
		t.Fatalf("a dry run made something: %q, %v", again, err)
	}
	steps, hub, err := r.set(yard, false)
	if err != nil {
		t.Fatal(err)
	}
	plain := func(list []string) string { return digits.ReplaceAllString(strings.Join(list, "\n"), "-xxxx") }
	// Of the secret that is not made yet only the name is known.
	arn := regexp.MustCompile(`RTSPStreamSecretARN=arn:aws:secretsmanager:us-west-2:123456789012:secret:(CameraSecret-[0-9a-f]{12})\S*`)
	got, want := arn.ReplaceAllString(plain(steps), "RTSPStreamSecretARN=$1"), strings.ReplaceAll(plain(would), "would be ", "")
	if got != want {
		t.Errorf("it did\n%s\nand said before\n%s", got, want)
	}
	again, sameHub, err := r.set(yard, false)
	if err != nil || sameHub != hub || slices.ContainsFunc(again, func(s string) bool { return !strings.Contains(s, ": exists") }) {
		t.Errorf("again: %q, %q, want %q, %v", again, sameHub, hub, err)
	}
	r.checkWithCLI(hub)
}

// checkWithCLI reads with the AWS CLI what was made.
func (r *rig) checkWithCLI(hub string) {
	r.t.Helper()
	models := r.cli("iotsitewise", "list-asset-models", "--query", "sort(assetModelSummaries[].name)")
	want := regexp.MustCompile(`^\["EdgeConnectorForKVSCameraModel-[0-9a-f]{4}","EdgeConnectorForKVSHubModel-[0-9a-f]{4}"\]$`)
	if !want.MatchString(models) {
		r.t.Errorf("the models are %s", models)
	}
	tags := r.cli("iotsitewise", "list-tags-for-resource", "--resource-arn", "arn:aws:iotsitewise:us-west-2:123456789012:asset/"+hub)
	if tags != `{"tags":{"EdgeConnectorForKVS":"yard"}}` {
		r.t.Errorf("the hub has the tags %s", tags)
	}
	var hierarchy string
	r.read(&hierarchy, "iotsitewise", "describe-asset", "--asset-id", hub, "--query", "assetHierarchies[0].id")
	var cameras []struct{ ID, Name string }
	r.read(&cameras, "iotsitewise", "list-associated-assets", "--asset-id", hub, "--hierarchy-id", hierarchy, "--query",
		"assetSummaries[].{ID: id, Name: name}")
	if len(cameras) != 2 {
		r.t.Fatalf("the cameras are %v", cameras)
	}
	for _, c := range cameras {
		r.checkCamera(c.ID, c.Name)
	}
	stream := r.cli("kinesisvideo", "describe-stream", "--stream-name", "front-door", "--query",
		"StreamInfo.{h: DataRetentionInHours, s: Status}")
	if stream != `{"h":168,"s":"ACTIVE"}` {
		r.t.Errorf("the stream is %s", stream)
	}
	tags = r.cli("kinesisvideo", "list-tags-for-stream", "--stream-name", "gate", "--query", "Tags")
	if tags != `{"EdgeConnectorForKVS":"yard"}` {
		r.t.Errorf("the stream gate has the tags %s", tags)
	}
}

func (r *rig) read(into any, args ...string) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.cli(args...)), into); err != nil {
		r.t.Fatal(err)
	}
}

// checkCamera reads a camera's asset with the AWS CLI.
func (r *rig) checkCamera(id, name string) {
	r.t.Helper()
	want := map[string]map[string]string{
		"Front door": {"KinesisVideoStreamName": "front-door", "LocalDataRetentionPeriodInMinutes": "1440", "CaptureStartTime": "* * * * *",
			"LiveStreamingStartTime": "-"},
		"Gate": {"RTSPStreamSecretARN": "arn:aws:secretsmanager:us-west-2:123456789012:secret:gate-a1B2c3",
			"LiveStreamingStartTime": "0 8 ? * MON-FRI", "LiveStreamingDurationInMinutes": "60", "LocalDataRetentionPeriodInMinutes": "60"},
	}[name]
	var properties []struct{ ID, Name, State string }
	r.read(&properties, "iotsitewise", "describe-asset", "--asset-id", id, "--query",
		"assetProperties[].{ID: id, Name: name, State: notification.state}")
	entries := "["
	for _, p := range properties {
		if enabled := p.State == "ENABLED"; enabled != (p.Name == "VideoUploadRequest") {
			r.t.Errorf("%s: notifications of %s are %s", name, p.Name, p.State)
		}
		entries += fmt.Sprintf(`{"entryId": %q, "assetId": %q, "propertyId": %q},`, p.Name, id, p.ID)
	}
	var values []struct {
		Name  string
		Value struct {
			StringValue  *string
			IntegerValue *int
		}
	}
	r.read(&values, "iotsitewise", "batch-get-asset-property-value", "--entries", strings.TrimSuffix(entries, ",")+"]", "--query",
		"successEntries[].{Name: entryId, Value: assetPropertyValue.value}")
	got := map[string]string{}
	for _, v := range values {
		if v.Value.StringValue != nil {
			got[v.Name] = *v.Value.StringValue
		} else if v.Value.IntegerValue != nil {
			got[v.Name] = fmt.Sprint(*v.Value.IntegerValue)
		}
	}
	for property, value := range want {
		if got[property] != value {
			r.t.Errorf("%s: %s is %q, want %q", name, property, got[property], value)
		}
	}
	if name == "Front door" {
		secret := r.cli("secretsmanager", "get-secret-value", "--secret-id", got["RTSPStreamSecretARN"], "--query", "SecretString")
		if secret != `"{\"RTSPStreamURL\":\"rtsp://user:hunter2@10.0.0.5/stream1\"}"` {
			r.t.Errorf("the secret is %s", secret)
		}
	}
}

// TestOnlyWhatDiffersIsChanged, of a hub and models that others made.
func TestOnlyWhatDiffersIsChanged(t *testing.T) {
	t.Parallel()
	const id = "11111111-2222-4333-8444-555555555555"
	r := newRig(t, localcloud.Options{Seed: &localcloud.Seed{Hubs: []localcloud.SeedHub{{Name: "Yard", ID: id, Workspace: "other",
		Cameras: []sitewise.SeedCamera{{Name: "Front door", Stream: "front-door", CaptureStart: "* * * * *", RetentionMinutes: 60}}}}}})
	steps, hub, err := r.set(yard, false)
	if err != nil || hub != id {
		t.Fatalf("%q %v", hub, err)
	}
	for _, want := range []string{
		"asset model EdgeConnectorForKVSHubModel-0000: exists: taken, as its name has EdgeConnectorForKVSHubModel in it",
		"hub Yard: exists as asset " + id, "hub Yard: given the tag EdgeConnectorForKVS=other yard", "camera Front door: exists",
		"camera Front door: given the tag EdgeConnectorForKVS=other yard",
		"camera Front door: given LocalDataRetentionPeriodInMinutes=1440", "camera Gate: made, with the tag EdgeConnectorForKVS=yard",
		"camera Gate: put below the hub Yard",
	} {
		if !slices.Contains(steps, want) {
			t.Errorf("it did not say %q:\n%s", want, strings.Join(steps, "\n"))
		}
	}
	for _, kept := range []string{"Front door: given KinesisVideoStreamName", "Front door: given CaptureStartTime", "Front door: put below",
		"hunter2"} {
		if all := strings.Join(steps, "\n"); strings.Contains(all, kept) {
			t.Errorf("it says %q:\n%s", kept, all)
		}
	}
	steps, _, err = r.set(strings.Replace(yard, "hunter2", "hunter3", 1), false)
	changed := slices.DeleteFunc(steps, func(s string) bool { return strings.Contains(s, ": exists") })
	if err != nil || len(changed) != 1 || !strings.HasSuffix(changed[0], ": given the URL of camera Front door") {
		t.Errorf("another password: %q %v", changed, err)
	}
}

// TestAnInterruptedSetupGoesOn: whatever call fails, the next run makes the rest and nothing twice, and each failure is a sentence.
func TestAnInterruptedSetupGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, localcloud.Options{})
	for _, operation := range []string{"CreateAssetModel", "CreateAsset", "CreateSecret", "CreateStream", "BatchPutAssetPropertyValue",
		"UpdateAssetProperty", "AssociateAssets"} {
		r.cloud.Faults().RefuseOperation(operation, 403, "AccessDeniedException")
		_, _, err := r.set(yard, false)
		if err == nil || !strings.Contains(err.Error(), "these credentials may not call ") || !strings.Contains(err.Error(), ":"+operation) ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", operation, err)
		}
		r.cloud.Faults().RefuseOperation(operation, 0, "")
	}
	if _, _, err := r.set(yard, false); err != nil {
		t.Fatal(err)
	}
	steps, _, err := r.set(yard, false)
	if err != nil || slices.ContainsFunc(steps, func(s string) bool {
		return !strings.Contains(s, ": exists") || strings.Contains(s, "others")
	}) {
		t.Errorf("%q %v", steps, err)
	}
}
