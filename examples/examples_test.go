// Package examples has no code: its tests read the examples as those do for whom they are.
package examples

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/envfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// each returns the files of a pattern, of which there must be some.
func each(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	return files
}

// TestEveryExampleIsInTheReadme and every file that it links to is there, as a test of the pages finds.
func TestEveryExampleIsInTheReadme(t *testing.T) {
	t.Parallel()
	page := read(t, "README.md")
	for _, file := range each(t, "*/*") {
		if !strings.Contains(page, "]("+filepath.ToSlash(file)+")") {
			t.Errorf("README.md does not name %s", file)
		}
	}
}

// TestStreamFilesAreFollowed reads them as the agent of hub-1 does.
func TestStreamFilesAreFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := each(t, "streams/*")
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(read(t, file)), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	found, err := streamfile.Check(dir, "hub-1", false)
	if err != nil || len(found) != len(files) {
		t.Fatalf("%d files, %v", len(found), err)
	}
	for _, f := range found {
		if f.Wrong != "" || f.Note != "" || f.Stream.Name+".json" != f.File {
			t.Errorf("%s, stream %s: %s %s", f.File, f.Stream.Name, f.Wrong, f.Note)
		}
	}
}

// TestEdgeConfigurationsAreValid checks names, limits and schedules, and that nothing is misspelt.
func TestEdgeConfigurationsAreValid(t *testing.T) {
	t.Parallel()
	for _, file := range each(t, "edge-config/*") {
		config, err := edgeconfig.ParseKnown([]byte(read(t, file)))
		if err == nil {
			err = config.Validate(edgeconfig.WithScheduleCheck(func(expression string) error {
				_, err := scheduler.Parse(expression, time.UTC)
				return err
			}))
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSettingsAreTaken reads them as agent.env; the device's files are those of a test.
func TestSettingsAreTaken(t *testing.T) {
	t.Parallel()
	cert, key := testtools.DeviceFiles(t, t.TempDir(), "hub-1")
	ours := map[string]string{settings.EnvCACert: cert, settings.EnvCoreCert: cert, settings.EnvCorePrivateKey: key}
	hub := assignments(t, "env/hub.env")
	for _, file := range each(t, "env/*") {
		values := assignments(t, file)
		if strings.Contains(read(t, file), "add to hub.env") {
			both := maps.Clone(hub)
			maps.Copy(both, values)
			values = both
		}
		for name, value := range ours {
			if values[name] != "" {
				values[name] = value
			}
		}
		if _, err := settings.FromEnv(func(name string) (string, bool) { v, ok := values[name]; return v, ok }); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func assignments(t *testing.T, file string) map[string]string {
	t.Helper()
	list, faults := envfile.Parse(read(t, file))
	if len(faults) > 0 {
		t.Fatalf("%s: %v", file, faults)
	}
	known := make(map[string]bool)
	for _, group := range settings.Variables() {
		for _, v := range group.Variables {
			known[v.Name] = true
		}
	}
	values := make(map[string]string)
	for _, a := range list {
		if !known[a.Name] {
			t.Errorf("%s: no setting has the name %s", file, a.Name)
		}
		values[a.Name] = a.Value
	}
	return values
}

// TestPoliciesGrantWhatTheTemplateDoes and nothing that the template for all hubs does not.
func TestPoliciesGrantWhatTheTemplateDoes(t *testing.T) {
	t.Parallel()
	template := read(t, "../deploy/aws/hubs.yaml")
	for _, file := range each(t, "iam/*") {
		var policy struct {
			Version   string
			Statement []struct {
				Effect           string
				Action, Resource any
			}
		}
		if err := json.Unmarshal([]byte(read(t, file)), &policy); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if policy.Version != "2012-10-17" || len(policy.Statement) == 0 {
			t.Errorf("%s is not a policy", file)
		}
		for _, s := range policy.Statement {
			actions := list(s.Action)
			if s.Effect != "Allow" || len(actions) == 0 || len(list(s.Resource)) == 0 {
				t.Errorf("%s: %+v", file, s)
			}
			if err := localcloud.CheckAllow(actions); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for _, action := range actions {
				if !strings.Contains(template, action) {
					t.Errorf("%s grants %s, which deploy/aws/hubs.yaml does not", file, action)
				}
			}
		}
	}
}

// list is what a policy has as one text or as several.
func list(value any) (texts []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, element := range v {
			texts = append(texts, fmt.Sprint(element))
		}
	}
	return texts
}

// store has a stream of which nothing is stored yet.
type store struct{}

func (store) Usage(string) segment.Usage                { return segment.Usage{} }
func (store) DiskFree() (free, total uint64, err error) { return 1, 2, nil }

// scrape returns what an agent with one stream and one condition answers Prometheus.
func scrape(t *testing.T) string {
	t.Helper()
	registry := health.NewRegistry(time.Now)
	recorder := registry.Component("door", health.JobRecorder)
	recorder.SetState("recording")
	recorder.Report(health.ScopeRecord, health.Failed, health.SystemFault("camera", nil, "It is off."))
	server := httptest.NewServer(metrics.NewHandler(metrics.PrometheusOptions{
		Version: "v1", Health: registry, Store: store{}, Streams: func() []metrics.Stream { return []metrics.Stream{{Name: "door"}} },
		Jobs: health.StreamJobs,
	}))
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rules is a file of alerts.
type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

// TestAlertsAskForMetricsThatExist compares names and values of labels with the agent's.
func TestAlertsAskForMetricsThatExist(t *testing.T) {
	t.Parallel()
	var file rules
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "prometheus/alerts.yaml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	scraped := scrape(t)
	values := map[string][]string{
		"job": {health.JobRecorder, health.JobUploader, "kvs-edge-agent"}, "activity": {"running", "scheduled", "failed"},
		"severity": {health.Info.String(), health.Degraded.String(), health.Failed.String()},
	}
	for _, d := range health.Declarations {
		values["code"] = append(values["code"], d.Code)
	}
	name, label := regexp.MustCompile(`\bkvs_edge_[a-z_]+`), regexp.MustCompile(`\b([a-z]+)=~?"([^"]*)"`)
	alerts := 0
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			alerts++
			if rule.Alert == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" {
				t.Errorf("the rule %+v is not complete", rule)
			}
			for _, metric := range name.FindAllString(rule.Expr, -1) {
				if !strings.Contains(scraped, "\n"+metric+"{") && !strings.Contains(scraped, "\n"+metric+" ") {
					t.Errorf("%s asks for %s, which does not exist", rule.Alert, metric)
				}
			}
			for _, m := range label.FindAllStringSubmatch(rule.Expr, -1) {
				for _, value := range strings.Split(m[2], "|") {
					if !slices.Contains(values[m[1]], value) {
						t.Errorf("%s asks for %s=%q, which no metric has", rule.Alert, m[1], value)
					}
				}
			}
		}
	}
	if alerts < 5 {
		t.Errorf("only %d alerts were found", alerts)
	}
}

// TestTheScrapeJobKeepsLabels without which the alerts would find nothing: metrics have a label job of their own.
func TestTheScrapeJobKeepsLabels(t *testing.T) {
	t.Parallel()
	var config struct {
		ScrapeConfigs []struct {
			JobName       string                       `yaml:"job_name"`
			Interval      string                       `yaml:"scrape_interval"`
			HonorLabels   bool                         `yaml:"honor_labels"`
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
		RuleFiles []string `yaml:"rule_files"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "prometheus/scrape.yaml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&config); err != nil {
		t.Fatal(err)
	}
	if len(config.ScrapeConfigs) != 1 || !config.ScrapeConfigs[0].HonorLabels || config.ScrapeConfigs[0].JobName != "kvs-edge-agent" {
		t.Errorf("%+v", config)
	}
	for _, file := range config.RuleFiles {
		read(t, filepath.Join("prometheus", file))
	}
}
