package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// decodeYAML reads a document into a value, which must have a field for each member.
func decodeYAML(t *testing.T, text string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatal(err)
	}
}

func readText(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheWorkflowDoesWhatCIDoes and nothing else: what is tested is decided in .ci/run alone.
func TestTheWorkflowDoesWhatCIDoes(t *testing.T) {
	t.Parallel()
	var workflow struct {
		Name string
		On   struct {
			Push        struct{ Branches []string }
			PullRequest any `yaml:"pull_request"`
		}
		Permissions, Concurrency map[string]any
		Jobs                     map[string]struct {
			RunsOn    string `yaml:"runs-on"`
			Container string
			Timeout   int `yaml:"timeout-minutes"`
			Steps     []struct {
				Name, Uses, Run string
				With            map[string]any
			}
		}
	}
	decodeYAML(t, readText(t, ".github", "workflows", "ci.yml"), &workflow)
	for name, job := range workflow.Jobs {
		if last := job.Steps[len(job.Steps)-1]; last.Run != ".ci/run" {
			t.Errorf("the last step of %s is %q, not .ci/run", name, last.Run)
		}
		if !strings.HasPrefix(job.Container, "debian:") {
			t.Errorf("%s runs in %q: .ci/tools installs from Debian", name, job.Container)
		}
	}
	if len(workflow.Jobs) == 0 {
		t.Error("the workflow has no job")
	}
	info, err := os.Stat(filepath.Join(root, ".ci", "run"))
	if err != nil || info.Mode()&0o111 == 0 {
		t.Errorf(".ci/run cannot be run: %v", err)
	}
}

// TestTemplatesHaveTheirForm reads the heads that GitHub reads.
func TestTemplatesHaveTheirForm(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, ".github", "ISSUE_TEMPLATE", "*.md"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%d templates of issues, %v", len(files), err)
	}
	for _, file := range files {
		text := readText(t, ".github", "ISSUE_TEMPLATE", filepath.Base(file))
		_, rest, found := strings.Cut(text, "---\n")
		front, body, closed := strings.Cut(rest, "---\n")
		var head struct{ Name, About, Labels string }
		if found && closed {
			decodeYAML(t, front, &head)
		}
		if head.Name == "" || head.About == "" || strings.TrimSpace(body) == "" {
			t.Errorf("%s lacks name, about or text", filepath.Base(file))
		}
	}
	var config struct {
		Blank bool                                `yaml:"blank_issues_enabled"`
		Links []struct{ Name, URL, About string } `yaml:"contact_links"`
	}
	decodeYAML(t, readText(t, ".github", "ISSUE_TEMPLATE", "config.yml"), &config)
	if len(config.Links) == 0 || !strings.HasPrefix(config.Links[0].URL, "https://"+strings.TrimSuffix(module, "/")+"/security/") {
		t.Errorf("config.yml has no link for security holes: %+v", config.Links)
	}
}
