package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

// TestTheDemoRunsInEachPartition from the settings and the hub's ARN over listing, message and secret to the upload.
func TestTheDemoRunsInEachPartition(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for region, partition := range map[string]string{
		"eu-central-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "us-isob-east-1": "aws-iso-b",
	} {
		t.Run(region, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "kvs") // a socket's path must be short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			output, err := exec.CommandContext(t.Context(), path, "demo", "--region", region, "--duration", "3s", "--dir", dir).CombinedOutput()
			if err != nil || !strings.Contains(string(output), "is in the cloud once") {
				t.Fatalf("the demo ended with %v:\n%s\nthe agent:\n%s", err, output, tail(filepath.Join(dir, "agent.out"), 30))
			}
			text, err := os.ReadFile(filepath.Join(dir, "state", "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			var kept struct{ State json.RawMessage }
			if err := json.Unmarshal(text, &kept); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				":iot:" + region + ":" + localcloud.Account + ":thing/demo-hub", ":secretsmanager:" + region + ":" + localcloud.Account + ":secret:",
				":kinesisvideo:" + region + ":" + localcloud.Account + ":stream/demo-camera/",
			} {
				if !strings.Contains(string(kept.State), `"arn:`+partition+want) {
					t.Errorf("the configuration lacks arn:%s%s:\n%s", partition, want, kept.State)
				}
			}
			if strings.Contains(string(kept.State), "arn:aws:") != (partition == "aws") {
				t.Errorf("the configuration has ARNs of another partition:\n%s", kept.State)
			}
		})
	}
}
