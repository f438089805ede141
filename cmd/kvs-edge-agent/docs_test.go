package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/connfault"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// brokenLiteral is where a string continues in the next line of the source.
var brokenLiteral = regexp.MustCompile(`"\s*\+\s*"`)

// TestTroubleshootingQuotesSentencesThatTheCodeSays finds the first column of the page's tables in the code.
func TestTroubleshootingQuotesSentencesThatTheCodeSays(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, dir := range []string{".", "../../internal"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			code.Write(brokenLiteral.ReplaceAll(text, nil))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for kind := neterr.Unreachable; kind <= neterr.Refused; kind++ { // these are put together from a table
		why := connfault.Server{Endpoint: "data", Host: "the host", Setting: "the variable"}.Sentence(kind)
		fmt.Fprintf(&code, why.Format+"\n", why.Args...)
	}
	quotes := regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(string(page), -1)
	for _, quote := range quotes {
		if !strings.Contains(code.String(), quote[1]) {
			t.Errorf("nothing says %q", quote[1])
		}
	}
	if len(quotes) < 20 {
		t.Errorf("only %d sentences were found", len(quotes))
	}
}

// TestLinksBetweenPagesLead follows the relative links of all pages, to the heading.
func TestLinksBetweenPagesLead(t *testing.T) {
	t.Parallel()
	pages := append([]string{"CHANGELOG.md", "changelog/README.md"}, frontPages...)
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", ".github/*.md", ".github/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			pages = append(pages, strings.TrimPrefix(path, repository+"/"))
		}
	}
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			to := filepath.Join(repository, page)
			if m[1] != "" {
				to = filepath.Join(repository, filepath.Dir(page), m[1])
			}
			target, err := os.ReadFile(to)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				t.Errorf("%s: %s leads nowhere", page, m[1])
			case m[2] != "" && !slices.Contains(anchors(string(target)), m[2]):
				t.Errorf("%s: %s has no heading #%s", page, to, m[2])
			}
		}
	}
}

// anchors are those that GitHub makes of the headings of a page.
func anchors(page string) (names []string) {
	for line := range strings.Lines(page) {
		marks, title, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || strings.Trim(marks, "#") != "" {
			continue
		}
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title))
	}
	return names
}

// TestTheStatusPageNamesEveryField compares the page with the JSON.
func TestTheStatusPageNamesEveryField(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/status.md")
	if err != nil {
		t.Fatal(err)
	}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || !strings.Contains(typ.PkgPath(), "kvs-edge-agent") {
			return
		}
		for i := range typ.NumField() {
			field := typ.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" && !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "`"+name+"[]`") &&
				!strings.Contains(string(page), "`."+name) {
				t.Errorf("docs/status.md does not name %s.%s (%s)", typ.Name(), field.Name, name)
			}
			visit(field.Type)
		}
	}
	visit(reflect.TypeFor[status.Snapshot]())
}

// TestTheLocalCloudPageNamesEveryFlag compares the page with the command.
func TestTheLocalCloudPageNamesEveryFlag(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/localcloud.md")
	if err != nil {
		t.Fatal(err)
	}
	newLocalCloudCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(string(page), "\n| `--"+f.Name+"` |") {
			t.Errorf("docs/localcloud.md has no row for --%s", f.Name)
		}
	})
}

// TestEveryPageAboutRightsNamesThoseThatAreForgotten are the rights that AWS's guide for its agent does not grant.
func TestEveryPageAboutRightsNamesThoseThatAreForgotten(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"docs/aws-setup.md", "docs/moving-from-aws-agent.md", "docs/security.md", "deploy/aws/hubs.yaml"} {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, right := range []string{
			"iot:RetainPublish", "kms:GenerateDataKey", "kinesisvideo:ListEdgeAgentConfigurations", "kinesisvideo:ListTagsForStream",
		} {
			if !strings.Contains(string(text), right) {
				t.Errorf("%s does not name %s", page, right)
			}
		}
	}
}

// TestNobodyMovesWithoutKnowing: the statuses that AWS shows must be read before a move.
func TestNobodyMovesWithoutKnowing(t *testing.T) {
	t.Parallel()
	for page, words := range map[string][]string{
		"README.md":                     {"SYNC_FAILED", "never run against a real AWS account", "docs/moving-from-aws-agent.md"},
		"docs/moving-from-aws-agent.md": {"SYNC_FAILED", "`DELETING` for ever", "`EdgeAgentStatus`", "15 minutes", "No AWS account was used"},
		"docs/moving-from-kvssink.md":   {"No AWS account was used", "issues/1279"},
		"docs/troubleshooting.md":       {"SYNC_FAILED", "DELETING", "EdgeAgentStatus", "moving-from-aws-agent.md"},
		"docs/aws-setup.md":             {"SYNC_FAILED", "moving-from-aws-agent.md"},
	} {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if !strings.Contains(string(text), word) {
				t.Errorf("%s does not say %q", page, word)
			}
		}
	}
}
