package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/reference"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func TestTheLogPageIsThatOfTheCode(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), string(logevent.Page())); diff != "" {
		t.Errorf("run make docs:\n%s", diff)
	}
}

// TestOthersReadTheOpenAPIFile has a validator of others read it, where there is one.
func TestOthersReadTheOpenAPIFile(t *testing.T) {
	t.Parallel()
	if exec.CommandContext(t.Context(), "python3", "-c", "import openapi_spec_validator").Run() != nil {
		t.Skip("openapi-spec-validator is not here")
	}
	output, err := exec.CommandContext(t.Context(), "python3", "-m", "openapi_spec_validator", "../../docs/openapi.json").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// TestTheAPIPageNamesEveryMember: those of the snapshot are on a page of their own.
func TestTheAPIPageNamesEveryMember(t *testing.T) {
	t.Parallel()
	var text string
	for _, name := range []string{"api.md", "status.md"} {
		page, err := os.ReadFile(filepath.Join("../../docs", name))
		if err != nil {
			t.Fatal(err)
		}
		text += string(page)
	}
	for schema, members := range reference.Schemas() {
		for _, member := range members {
			if !strings.Contains(text, "`"+member+"`") && !strings.Contains(text, "`"+member+"[]`") && !strings.Contains(text, "`."+member) {
				t.Errorf("neither docs/api.md nor docs/status.md names %s.%s", schema, member)
			}
		}
	}
}

// TestEveryVariableIsDocumented finds the names in the code that reads them.
func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	documented := make(map[string]bool)
	for _, group := range settings.Variables() {
		for _, v := range group.Variables {
			documented[v.Name] = true
		}
	}
	paths, err := filepath.Glob("../../internal/settings/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found, name := 0, regexp.MustCompile(`\bEnv\w+ *= "([A-Z_]+)"`) // of the others, systemd and Greengrass set them
	for _, path := range paths {
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(string(code), -1) {
			found++
			if !documented[m[1]] {
				t.Errorf("%s reads %s, which settings.Variables does not list", path, m[1])
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d names were found in the code", found)
	}
}
