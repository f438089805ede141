package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// proof is a line of .ci/proofs.
type proof struct {
	name, about string
	packages    []string
	tests       *regexp.Regexp
}

// withoutSize are the proofs that have no call of testtools.Proof, with what sets their size.
var withoutSize = map[string]string{
	"as-aws": "KVS_EDGE_TEST_WORLDS",
	"epochs": "testtools.RapidChecks in TestMain",
}

func readProofs(t *testing.T) (all []proof) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".ci", "proofs"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, "; ")
		if len(fields) != 4 {
			t.Errorf("%q has %d fields, want name; packages; tests; what is proved", line, len(fields))
			continue
		}
		tests, err := regexp.Compile(fields[2])
		if err != nil {
			t.Error(err)
			continue
		}
		all = append(all, proof{name: fields[0], packages: strings.Fields(fields[1]), tests: tests, about: fields[3]})
	}
	return all
}

// TestTheLongProofsAreThoseOfTheCode compares the lines of .ci/proofs with the calls of testtools.Proof: a proof without a
// line is never done whole, and a line without tests does nothing.
func TestTheLongProofsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	proofs := readProofs(t)
	named := map[string][]string{} // packages that have a call, by the name of the proof
	tests := map[string][]string{} // by package
	eachTestFile(t, func(dir string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if strings.HasPrefix(n.Name.Name, "Test") {
					tests[dir] = append(tests[dir], n.Name.Name)
				}
			case *ast.CallExpr:
				if name, ok := proofOf(n); ok && !slices.Contains(named[name], dir) {
					named[name] = append(named[name], dir)
				}
			}
			return true
		})
	})
	for _, p := range proofs {
		for _, dir := range p.packages {
			if !slices.ContainsFunc(tests[dir], p.tests.MatchString) {
				t.Errorf(".ci/proofs: %s has no test of %s", p.name, dir)
			}
			if withoutSize[p.name] == "" && !slices.Contains(named[p.name], dir) {
				t.Errorf(".ci/proofs: no test of %s asks for the size of %s", dir, p.name)
			}
		}
	}
	for name, dirs := range named {
		i := slices.IndexFunc(proofs, func(p proof) bool { return p.name == name })
		if i < 0 {
			t.Errorf(".ci/proofs has no line %s, for which %s ask for a size", name, dirs)
			continue
		}
		for _, dir := range dirs {
			if !slices.Contains(proofs[i].packages, dir) {
				t.Errorf(".ci/proofs: %s is also of %s", name, dir)
			}
		}
	}
}

// proofOf returns the name in a call of testtools.Proof.
func proofOf(call *ast.CallExpr) (name string, ok bool) {
	selector, isSelector := call.Fun.(*ast.SelectorExpr)
	if !isSelector || selector.Sel.Name != "Proof" || len(call.Args) != 3 {
		return "", false
	}
	literal, isLiteral := call.Args[1].(*ast.BasicLit)
	if !isLiteral {
		return "", false
	}
	name, err := strconv.Unquote(literal.Value)
	return name, err == nil
}

// eachTestFile parses the test files of the module; dir is as in the go command, such as ./internal/mkv.
func eachTestFile(t *testing.T, visit func(dir string, file *ast.File)) {
	t.Helper()
	eachFile(t, func(path, pkg string) {
		if !isTest(path) {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		visit("./"+pkg, file)
	})
}
