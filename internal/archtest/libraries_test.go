package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// libraryRule keeps a library in few packages. A package whose name ends in /... stands for a tree.
type libraryRule struct {
	library string   // what import paths begin with
	code    []string // the packages that may import it
	tests   []string // packages whose tests may beside them
	why     string
	planted string // an import path of it, for the test of this rule
}

var libraryRules = []libraryRule{
	{
		library: "github.com/bluenviron/gortsplib",
		code:    []string{"internal/camera", "internal/camera/srtpkey", "internal/fakecam"},
		tests:   []string{"internal/camera/answer"}, // what it says has to be read by this library
		why:     "RTSP libraries change often, and this one calls from goroutines of its own: docs/decisions/0004",
		planted: "github.com/bluenviron/gortsplib/v4/pkg/base",
	},
	{
		library: "github.com/eclipse/paho",
		code:    []string{"internal/iotconfig"},
		// The stand-in is tested with a client that people use, and so are the requests of the command's documentation.
		tests:   []string{"internal/localcloud/...", "cmd/kvs-edge-agent"},
		why:     "one package holds the session with the message broker",
		planted: "github.com/eclipse/paho.mqtt.golang",
	},
	{
		library: "github.com/aws/aws-sdk-go-v2",
		code:    []string{"internal/cloud/...", "internal/localcloud/...", "internal/testtools/site"},
		// Tests ask the stand-in as the owner of the account does.
		tests: []string{"internal/agent", "internal/preflight", "internal/iotconfig", "internal/metrics", "internal/uploader",
			"internal/simulate", "internal/sitewise", "internal/sitewise/writeback", "cmd/kvs-edge-agent"},
		why:     "the clients of AWS's services are in internal/cloud",
		planted: "github.com/aws/aws-sdk-go-v2/service/kinesisvideo",
	},
	{
		library: "github.com/aws/smithy-go",
		code:    []string{"internal/cloud/...", "internal/localcloud/..."},
		tests:   []string{"internal/sitewise", "internal/iotconfig"}, // the owner's client needs an option of it
		why:     "AWS's errors are classified once, in internal/cloud/awserr",
		planted: "github.com/aws/smithy-go",
	},
	{
		library: "github.com/at-wat/ebml-go",
		code:    []string{"internal/mkv/element"},
		why:     "it allocates what a file declares, and one package holds the limit: docs/decisions/0015",
		planted: "github.com/at-wat/ebml-go",
	},
	{
		library: "github.com/go-jose/go-jose",
		code:    []string{"internal/evidence"},
		why:     "which signatures count is decided in one package: docs/decisions/0025",
		planted: "github.com/go-jose/go-jose/v4",
	},
	{
		library: "github.com/mochi-mqtt/server",
		code:    []string{"internal/localcloud/iot"},
		tests:   []string{"internal/iotconfig"}, // which need a broker that misbehaves
		why:     "a hub has no message broker",
		planted: "github.com/mochi-mqtt/server/v2",
	},
}

// covers reports whether an import path is one of the library.
func (r libraryRule) covers(path string) bool {
	rest, ok := strings.CutPrefix(path, r.library)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '.')
}

// allowed lists the packages that may import the library, in code or in tests.
func (r libraryRule) allowed(isTest bool) []string {
	if isTest {
		return slices.Concat(r.code, r.tests)
	}
	return r.code
}

// strayImports lists the imports of a file that a rule keeps from its package.
func strayImports(file *ast.File, pkg string, isTest bool) (stray []string) {
	for _, path := range importsOf(file) {
		for _, rule := range libraryRules {
			if rule.covers(path) && !slices.ContainsFunc(rule.allowed(isTest), func(name string) bool { return within(name, pkg) }) {
				stray = append(stray, path+": "+rule.why)
			}
		}
	}
	return stray
}

func importsOf(file *ast.File) (paths []string) {
	for _, spec := range file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	used := map[string]bool{} // library and package
	eachFile(t, func(path, pkg string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		for _, stray := range strayImports(file, pkg, isTest(path)) {
			t.Errorf("%s: %s must not import %s", path, pkg, stray)
		}
		for _, rule := range libraryRules {
			for _, name := range rule.allowed(isTest(path)) {
				if within(name, pkg) && slices.ContainsFunc(importsOf(file), rule.covers) {
					used[rule.library+" in "+name] = true
				}
			}
		}
	})
	for _, rule := range libraryRules {
		for _, name := range rule.allowed(true) {
			if !used[rule.library+" in "+name] {
				t.Errorf("%s does not use %s: take it from the table", name, rule.library)
			}
		}
	}
}

// TestEachLibraryIsFoundWhereItDoesNotBelong plants each library in a package that may not have it.
func TestEachLibraryIsFoundWhereItDoesNotBelong(t *testing.T) {
	t.Parallel()
	for _, rule := range libraryRules {
		file, err := parser.ParseFile(token.NewFileSet(), "planted.go", "package p\n\nimport _ "+strconv.Quote(rule.planted), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, isTest := range []bool{false, true} {
			got := strayImports(file, "internal/retention", isTest)
			if len(got) != 1 || got[0] != rule.planted+": "+rule.why {
				t.Errorf("%s in internal/retention (in a test: %t) is reported as %q", rule.planted, isTest, got)
			}
			for _, name := range rule.allowed(isTest) {
				if got := strayImports(file, strings.TrimSuffix(name, "/..."), isTest); got != nil {
					t.Errorf("%s in %s (in a test: %t) is reported as %q", rule.planted, name, isTest, got)
				}
			}
		}
		for _, name := range rule.tests {
			if got := strayImports(file, strings.TrimSuffix(name, "/..."), false); len(got) != 1 {
				t.Errorf("%s in %s, which only tests may, is reported as %q", rule.planted, name, got)
			}
		}
	}
}
