package played

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// without are the tests with a cloud that nothing is uploaded to, or that nobody has to play.
var without = map[string]string{
	"cmd/kvs-edge-agent/hostsasked_test.go":          "has the agent ask for names, and ends",
	"internal/cloud/connector/connector_test.go":     "is about SiteWise and streams, without media",
	"internal/cloud/sitewise/client_test.go":         "is about SiteWise, without media",
	"internal/iotconfig/localcloud_test.go":          "is about MQTT, without media",
	"internal/metrics/reporter_test.go":              "is about CloudWatch, without media",
	"internal/simulate/cloud_test.go":                "lives through months with access units of some bytes, not pictures",
	"internal/sitewise/rig_test.go":                  "is about SiteWise, without media",
	"internal/sitewise/writeback/localcloud_test.go": "is about SiteWise; its media is made up",
	"internal/uploader/rig_test.go":                  "uploads segments whose frames are bytes at random, not pictures",
	"internal/uploader/cloud_test.go":                "uploads segments whose frames are bytes at random, not pictures",
}

// TestNoTestWithACloudForgetsTheCheck reads which tests start one.
func TestNoTestWithACloudForgetsTheCheck(t *testing.T) {
	t.Parallel()
	starts := regexp.MustCompile(`\b(localcloud\.Start|media\.New)\(`)
	const root = "../../../.."
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "internal/localcloud" || name == "internal/testtools/site/played" ||
			strings.HasPrefix(entry.Name(), ".") && name != "."):
			return filepath.SkipDir
		case !strings.HasSuffix(name, "_test.go") && !(strings.HasPrefix(name, "internal/testtools/") && strings.HasSuffix(name, ".go")):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !starts.Match(text) {
			return err
		}
		found[name] = true
		checks := strings.Contains(string(text), "played.Check(")
		if _, excused := without[name]; checks == excused {
			t.Errorf("%s starts a cloud: it has to check what is uploaded by played.Check, or to be listed here with a reason", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range without {
		if !found[name] {
			t.Errorf("%s is listed and starts no cloud", name)
		}
	}
}
