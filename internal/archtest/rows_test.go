package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rows lists what cameras, networks, clocks and disks do wrong. Each has a test of its name in a
// function TestRows, the recorder's in this order.
var rows = []string{
	"cam-off", "cam-stall", "cam-hourly-drop", "auth-digest", "auth-basic", "auth-wrong", "describe-redirect",
	"keepalive-odd", "udp-loss", "tcp-garbage", "no-sps-in-sdp", "sps-change", "pps-per-frame", "b-frames",
	"open-gop", "recovery-point", "long-gop", "tiny-gop", "rtp-wrap", "rtp-jump", "rtp-drift", "rtp-constant",
	"burst", "mjpeg-only", "h265", "audio-only", "audio-pause", "extra-tracks", "huge-frame", "nal-lies",
	"cert-self-signed", "clock-1970", "clock-back", "clock-forward", "dst", "disk-full", "disk-ro", "disk-slow",
	"disk-gone", "volume-unmounted", "power-cut", "cloud-gone", "creds-expire", "proxy", "stale-session",
	"fps-lie", "cosmetic-params", "reset-storm",
}

// elsewhere are the rows that no camera shows, with the packages that test them.
var elsewhere = map[string][]string{
	"dst":          {"internal/scheduler"},
	"cloud-gone":   {"cmd/kvs-edge-agent"},
	"creds-expire": {"internal/uploader", "internal/cloud/iotcreds"},
	"proxy":        {"internal/iotconfig", "internal/cloud/kvs"},
}

const recorder = "internal/recorder"

func TestEachRowHasATestOfItsName(t *testing.T) {
	t.Parallel()
	tested := testRows(t)
	var withCamera []string
	for _, name := range rows {
		packages, ok := elsewhere[name]
		if !ok {
			packages = []string{recorder}
			withCamera = append(withCamera, name)
		}
		for _, pkg := range packages {
			if !slices.Contains(tested[pkg], name) {
				t.Errorf("the row %s has no test: go test -run 'TestRows/%s$' ./%s finds none", name, name, pkg)
			}
		}
	}
	if got := tested[recorder]; !slices.Equal(got, withCamera) {
		t.Errorf("the recorder's rows are\n%q, want\n%q", got, withCamera)
	}
	for pkg, names := range tested {
		for _, name := range names {
			if pkg != recorder && !slices.Contains(elsewhere[name], pkg) {
				t.Errorf("%s tests the row %q, which is not in the list", pkg, name)
			}
		}
	}
}

// testRows finds the functions TestRows and returns the names of their tests, in order, by package.
func testRows(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "TestRows" {
				pkg := filepath.ToSlash(rel)
				found[pkg] = append(found[pkg], names(f.Body)...)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// names lists what TestRows runs: the first values of its table, and what is given to t.Run.
func names(body *ast.BlockStmt) (list []string) {
	first := func(of []ast.Expr) {
		if len(of) == 0 {
			return
		}
		if literal, ok := of[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if name, err := strconv.Unquote(literal.Value); err == nil {
				list = append(list, name)
			}
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			first(n.Elts)
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Run" {
				first(n.Args)
				return false // what it runs has names of its own
			}
		}
		return true
	})
	return list
}
