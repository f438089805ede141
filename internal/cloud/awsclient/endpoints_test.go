package awsclient

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
)

// TestTheSDKsFileChoosesEndpointsToo where the environment does not.
func TestTheSDKsFileChoosesEndpointsToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(path, []byte(`[default]
use_fips_endpoint = true
use_dualstack_endpoint = true
endpoint_url = https://all.example
services = mine
[services mine]
kinesis_video =
  endpoint_url = https://kvs.example
`), 0o600))
	t.Setenv("AWS_CONFIG_FILE", path)
	file := endpoint.Addresses{All: "https://all.example", KinesisVideo: "https://kvs.example"}
	both, none := endpoint.Choices{FIPS: true, DualStack: true}, endpoint.Choices{}
	for name, row := range map[string]struct{ environment, want endpoint.Options }{
		"nothing is set": {endpoint.Options{}, endpoint.Options{Choices: both, File: file}},
		"off is set": {endpoint.Options{Set: both, Environment: endpoint.Addresses{STS: "https://sts.example"}},
			endpoint.Options{Choices: none, Set: both, Environment: endpoint.Addresses{STS: "https://sts.example"}, File: file}},
	} {
		if got, err := WithFile(t.Context(), row.environment, "us-west-2"); err != nil || got != row.want {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, row.want)
		}
	}
}
