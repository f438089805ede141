// Package archtest tests the project's rules that a compiler does not check: which package may
// import which.
package archtest

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/kvs-edge/kvs-edge-agent/"
	root   = "../.."
)

// layers lists the packages from the bottom to the top: a package may import those of lower
// layers only, never its neighbours. A name ending in /... stands for a tree, whose members may
// import each other.
var layers = [][]string{
	{"internal/hubclock", "internal/pulse", "internal/signal", "internal/arn", "internal/fipsmode"},
	{"internal/health", "internal/backoff", "internal/secret", "internal/edgeconfig", "internal/envfile", "internal/atomicfile",
		"internal/crcline", "internal/jsonfault", "internal/neterr",
		"internal/freeze", "internal/humanize", "internal/kvslimit", "internal/ratelimit", "internal/trimrss",
		"internal/mkv/crc", "internal/mkv/element",
		"internal/testtools", "internal/testtools/lossy", "internal/testtools/webtunnel", "internal/testtools/simcam",
		"internal/testtools/thinline",
		"bench/keep", "bench/proc"},
	{"internal/logevent"},
	{"internal/testtools/faultdisk", "internal/testtools/awsplayer", "internal/testtools/chromium",
		"internal/camera/address", "internal/cloud/endpoint", "internal/fragment", "internal/hold",
		"internal/localapi/param", "internal/localapi/patience", "internal/localapi/socket", "internal/mkv", "internal/statefile",
		"internal/flush", "internal/pressure", "internal/supervise", "internal/timeline",
		"internal/segment/layout", "internal/segment/room", "internal/accessunit/payload", "internal/accessunit/sequence"},
	{"internal/audio"},
	{"internal/cost", "internal/tally", "internal/receipt", "internal/meter"},
	{"internal/mpegts"},
	{"internal/accessunit", "internal/mediafile", "internal/mkv/seek", "internal/mp4/...", "internal/scheduler"},
	{"internal/desired/..."},
	{"internal/segment/catalog", "internal/segment/gaps", "internal/segment/progress", "internal/segment/repair", "internal/segment/syncqueue",
		"internal/segment/volume"},
	{"internal/segment/streams"},
	{"internal/segment/holding"},
	{"internal/segment"},
	{"internal/hls/...", "internal/lost", "internal/overview", "internal/segment/export", "internal/usage"},
	{"internal/evidence/...", "internal/localapi/query"},
	{"internal/cloud/awsclient", "internal/cloud/awserr", "internal/cloud/connfault"},
	{"internal/cloud/kvs/...", "internal/cloud/iotcreds", "internal/cloud/secrets", "internal/cloud/cloudwatch", "internal/cloud/connector",
		"internal/cloud/sitewise"},
	{"internal/camera/...", "internal/clip"},
	{"internal/recorder", "internal/uploader/...", "internal/audit", "internal/retention", "internal/iotconfig", "internal/kvsconfig",
		"internal/camerasecret", "internal/uploadrequest", "internal/event", "internal/eventrequest", "internal/holdrequest",
		"internal/streamfile", "internal/status", "internal/metrics",
		"internal/tier", "internal/streamtags", "internal/sitewise/..."},
	{"internal/changes", "internal/history"},
	{"internal/localapi"},
	{"internal/settings", "internal/web/..."},
	{"internal/auditjob", "internal/deleteafter", "internal/cloud/hub", "internal/holds", "internal/jobspec", "internal/localapi/reference",
		"internal/logfile",
		"internal/ondemand", "internal/precedence"},
	{"internal/eventjob"},
	{"internal/sitewisehub"},
	{"internal/agent", "internal/preflight/...", "internal/testtools/conditiontest", "internal/testtools/filmed",
		"internal/testtools/configtest"},
	{"cmd/...", "bench/...", "deploy/...", "examples/...", "internal/simulate", "internal/testtools/site/...", "internal/testtools/awsmodel"},
}

// standIns play the outside world. Only the command line (for demo and localcloud) and tests may
// use them, and they may use only what is listed: a stand-in that shared the agent's code could
// share its mistakes.
var standIns = map[string][]string{
	"internal/localcloud/...": {"internal/arn", "internal/edgeconfig", "internal/signal"},
	"internal/fakecam/...":    {},
}

func TestImportsOnlyPointDown(t *testing.T) {
	t.Parallel()
	files := 0
	eachSource(t, func(path, pkg string) {
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Error(err)
			}
			if target, ours := strings.CutPrefix(imported, module); ours {
				checkImport(t, path, pkg, target)
			}
		}
	})
	if files == 0 {
		t.Fatal("no Go file found: is the test run from its own directory?")
	}
}

// TestTheTableOfLayersIsWhole compares layers with the table that people read.
func TestTheTableOfLayersIsWhole(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "\n| layer | packages | knows |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/architecture.md has no table of layers")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	slices.Reverse(rows) // the page goes from the top to the bottom
	if len(rows) != len(layers) {
		t.Fatalf("the table has %d layers, want %d", len(rows), len(layers))
	}
	for i, row := range rows[:len(rows)-1] { // the topmost is named by what it makes
		var told, want []string
		for _, name := range strings.Split(strings.Split(row, "|")[2], ",") {
			told = append(told, strings.Trim(name, " `"))
		}
		for _, pkg := range layers[i] {
			if name, ours := strings.CutPrefix(pkg, "internal/"); ours && !strings.HasPrefix(name, "testtools") {
				want = append(want, name)
			}
		}
		slices.Sort(told)
		slices.Sort(want)
		if !slices.Equal(told, want) {
			t.Errorf("the table has the layer %v, want %v", told, want)
		}
	}
}

func checkImport(t *testing.T, path, pkg, target string) {
	t.Helper()
	if tree, allowed, ok := standIn(pkg); ok {
		if within(tree, target) || slices.Contains(allowed, target) {
			return
		}
		t.Errorf("%s: the stand-in %s must not import %s", path, pkg, target)
		return
	}
	if _, _, ok := standIn(target); ok {
		if layer(pkg) != len(layers)-1 {
			t.Errorf("%s: %s must not know the stand-in %s", path, pkg, target)
		}
		return
	}
	from, to := layer(pkg), layer(target)
	switch {
	case from < 0 && pkg != ".":
		t.Errorf("%s: package %s has no layer: add it to the list", path, pkg)
	case to < 0:
		t.Errorf("%s: package %s has no layer: add it to the list", path, target)
	case to == from && sameTree(layers[from], pkg, target): // the compiler forbids circles
	case to >= from && pkg != ".":
		t.Errorf("%s: %s must not import %s: imports only point down", path, pkg, target)
	}
}

func layer(pkg string) int {
	for i, names := range layers {
		for _, name := range names {
			if within(name, pkg) {
				return i
			}
		}
	}
	return -1
}

func standIn(pkg string) (tree string, allowed []string, ok bool) {
	for tree, allowed := range standIns {
		if within(tree, pkg) {
			return tree, allowed, true
		}
	}
	return "", nil, false
}

// sameTree reports whether both packages are in one of the layer's trees.
func sameTree(layer []string, pkg, target string) bool {
	return slices.ContainsFunc(layer, func(name string) bool {
		return strings.HasSuffix(name, "/...") && within(name, pkg) && within(name, target)
	})
}

// within reports whether pkg is name, or lies in the tree that name stands for.
func within(name, pkg string) bool {
	if tree, ok := strings.CutSuffix(name, "/..."); ok {
		return pkg == tree || strings.HasPrefix(pkg, tree+"/")
	}
	return pkg == name
}
