// Package aws tests what deploy/aws makes in an account.
package aws

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// fakeBoto is the SDK as far as the function goes: streams with a name or an ARN of "door" belong to
// hub-1, and what is published is printed.
const fakeBoto = `
class NotFound(Exception): pass
class Client:
    class exceptions:
        StreamEdgeConfigurationNotFoundException = NotFound
        ResourceNotFoundException = NotFound
    def describe_edge_configuration(self, **key):
        if len(key) != 1 or not list(key.values())[0]:
            raise Exception("ParamValidationError: %s" % key)
        if "door" not in list(key.values())[0]:
            raise NotFound()
        return {"EdgeConfig": {"HubDeviceArn": "arn:aws:iot:us-west-2:123456789012:thing/hub-1"}}
    def describe_endpoint(self, endpointType):
        return {"endpointAddress": "x-ats.iot.us-west-2.amazonaws.com"}
    def publish(self, topic, qos, payload):
        print("PUBLISH", topic, qos, payload.decode())
def client(name, **options):
    return Client()
`

// function is the Python in hubs.yaml.
func function(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("hubs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "        ZipFile: |\n")
	if !found {
		t.Fatal("hubs.yaml has no ZipFile")
	}
	var code strings.Builder
	for line := range strings.Lines(rest) {
		inner, ok := strings.CutPrefix(line, "          ")
		if !ok && strings.TrimSpace(line) != "" {
			break
		}
		code.WriteString(inner)
	}
	return code.String()
}

// TestTheRefreshReachesTheHub for each call that the rule takes, and breaks at none.
func TestTheRefreshReachesTheHub(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "python3")
	dir := t.TempDir()
	for name, text := range map[string]string{"boto3.py": fakeBoto, "index.py": function(t)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const (
		refresh = "PUBLISH kvs-edge/hub-1/config/refresh 1 {}"
		none    = "no edge configuration"
	)
	for name, row := range map[string]struct{ parameters, want string }{
		"Start": {`{"streamName": "door", "edgeConfig": {"hubDeviceArn": "arn:aws:iot:us-west-2:123456789012:thing/hub-1"}}`,
			refresh},
		"Delete, by name":              {`{"streamName": "door"}`, refresh},
		"Delete, by ARN":               {`{"streamARN": "arn:aws:kinesisvideo:us-west-2:1:stream/door/1"}`, refresh},
		"Delete, by both":              {`{"streamName": "door", "StreamARN": "arn:aws:kinesisvideo:us-west-2:1:stream/door/1"}`, refresh},
		"DeleteStream, gone":           {`{"streamARN": "arn:aws:kinesisvideo:us-west-2:1:stream/yard/1", "currentVersion": "x"}`, none},
		"TagStream":                    {`{"streamName": "door", "tags": {"kvs-edge:upload": "live"}}`, refresh},
		"without a name":               {`{"streamName": None}`, none},
		"without request parameters":   {`None`, none},
		"without a hub in EdgeConfig":  {`{"streamName": "door", "edgeConfig": {}}`, refresh},
		"without anything, as a probe": {"", none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := `{"detail": {"requestParameters": ` + row.parameters + `}}`
			if row.parameters == "" {
				event = "{}"
			}
			command := exec.Command("python3", "-c", "import index; index.handler("+event+", None)")
			command.Dir = dir
			command.Env = []string{"PATH=" + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1"}
			out, err := command.CombinedOutput()
			if err != nil || !strings.Contains(string(out), row.want) {
				t.Errorf("%v: %s\nwant %q", err, out, row.want)
			}
		})
	}
}

// TestTheTemplateGrantsWhatHubsNeed names each right that a sentence of the agent may ask for.
func TestTheTemplateGrantsWhatHubsNeed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("hubs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/aws-setup.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, right := range []string{
		"kinesisvideo:ListEdgeAgentConfigurations", "kinesisvideo:GetDataEndpoint", "kinesisvideo:PutMedia", "kinesisvideo:DescribeStream",
		"kinesisvideo:DescribeStreamStorageConfiguration", "kinesisvideo:ListFragments", "kinesisvideo:ListTagsForStream",
		"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey", "cloudwatch:PutMetricData",
		"iot:Connect", "iot:Publish", "iot:RetainPublish", "iot:Subscribe", "iot:Receive", "iot:AssumeRoleWithCertificate",
	} {
		if !strings.Contains(string(text), right) {
			t.Errorf("hubs.yaml does not grant %s", right)
		}
	}
	for _, right := range []string{
		"ListEdgeAgentConfigurations", "ListTagsForStream", "DescribeStreamStorageConfiguration", "ListFragments", "iot:RetainPublish",
		"kms:GenerateDataKey",
	} {
		if !strings.Contains(string(page), right) {
			t.Errorf("docs/aws-setup.md does not name %s", right)
		}
	}
}
