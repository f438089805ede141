// Package logs has no code: its test compares the configurations of log collectors with the agent's log.
package logs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/logfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func parse(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// writeLog has the agent's own logger write more than a file takes, and returns the names of the files
// and the first line.
func writeLog(t *testing.T) (names []string, line string) {
	t.Helper()
	dir := t.TempDir()
	file, err := logfile.Open(settings.Log{Directory: dir, MaxFileSizeMB: 1, RolloverCount: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	log := logfile.NewLogger(file, logfile.NewLevel("INFO"))
	log.Info("a line")
	text, err := os.ReadFile(filepath.Join(dir, "kvs-edge-agent.log"))
	if err != nil {
		t.Fatal(err)
	}
	big := []byte(strings.Repeat("x", 600_000) + "\n")
	for range 3 {
		if _, err := file.Write(big); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if len(names) < 2 {
		t.Fatalf("no file was rotated: %q", names)
	}
	return names, string(text)
}

func TestCollectorsAreConfiguredForTheAgentsLog(t *testing.T) {
	names, line := writeLog(t)
	var cloudWatch struct {
		Logs struct {
			Collected struct {
				Files struct {
					List []struct {
						Path   string `json:"file_path"`
						Format string `json:"timestamp_format"`
					} `json:"collect_list"`
				} `json:"files"`
			} `json:"logs_collected"`
		} `json:"logs"`
	}
	parse(t, "cloudwatch-agent.json", &cloudWatch)
	list := cloudWatch.Logs.Collected.Files.List
	if len(list) != 1 || list[0].Path != "/var/log/kvs-edge-agent/kvs-edge-agent.log" || list[0].Format != "%Y-%m-%dT%H:%M:%S.%f" {
		t.Errorf("the CloudWatch agent reads %+v", list)
	}
	stamp := regexp.MustCompile(`"ts":"(.{23})`).FindStringSubmatch(line)
	if stamp == nil {
		t.Fatalf("the line %q has no time", line)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000", stamp[1]); err != nil {
		t.Errorf("the time is not as the configuration says: %v", err)
	}

	type component struct{ LogFileDirectoryPath, LogFileRegex string }
	var greengrass struct {
		LogsUploaderConfiguration struct {
			ComponentLogsConfigurationMap map[string]component
		}
	}
	parse(t, "greengrass-log-manager.json", &greengrass)
	recipe, err := os.ReadFile("../greengrass/recipe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range greengrass.LogsUploaderConfiguration.ComponentLogsConfigurationMap {
		if !strings.Contains(string(recipe), "\nComponentName: "+name+"\n") || c.LogFileDirectoryPath != "/greengrass/v2/work/"+name+"/log" {
			t.Errorf("the recipe does not write %s of %s", c.LogFileDirectoryPath, name)
		}
		for _, file := range names {
			if !regexp.MustCompile("^(?:" + c.LogFileRegex + ")$").MatchString(file) {
				t.Errorf("%s does not match %s", file, c.LogFileRegex)
			}
		}
	}
	if len(greengrass.LogsUploaderConfiguration.ComponentLogsConfigurationMap) != 1 {
		t.Error("the log manager has no component")
	}
}
