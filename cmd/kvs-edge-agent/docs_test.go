package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

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
			code.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
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

// TestLinksBetweenPagesLead follows the relative links of all pages.
func TestLinksBetweenPagesLead(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %s leads nowhere", filepath.Base(page), m[1])
			}
		}
	}
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
			if name != "" && !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "`"+name+"[]`") && !strings.Contains(string(page), "`."+name) {
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
