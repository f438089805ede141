package localcloud

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/secretsmanager"
)

// localCloudPage returns the names in code type of docs/localcloud.md: those of the section "What is not
// implemented", and all others.
func localCloudPage(t *testing.T) (there, notHere map[string]bool) {
	t.Helper()
	text, err := os.ReadFile("../../docs/localcloud.md")
	must(t, err)
	before, rest, found := strings.Cut(string(text), "\n## What is not implemented\n")
	missing, after, ended := strings.Cut(rest, "\n## ")
	if !found || !ended {
		t.Fatal("docs/localcloud.md has no section \"What is not implemented\" between others")
	}
	names := func(text string) map[string]bool {
		set := map[string]bool{}
		for _, m := range regexp.MustCompile("`(?:iot:)?([A-Z][A-Za-z]+)`").FindAllStringSubmatch(text, -1) {
			set[m[1]] = true
		}
		return set
	}
	return names(before + after), names(missing)
}

// TestThePageNamesEveryOperation holds docs/localcloud.md and the tables of operations together: rights has
// those of all services.
func TestThePageNamesEveryOperation(t *testing.T) {
	t.Parallel()
	there, notHere := localCloudPage(t)
	have := map[string]bool{"PutMedia": true, "GetMedia": true} // which are in no table
	for _, o := range kvsmodel.Archived {
		have[o.Name] = true
	}
	for _, o := range kvsmodel.Operations {
		have[o.Name] = true
	}
	want := map[string]bool{} // by name: whether it is there
	for _, name := range kvsmodel.NotHere {
		want[name] = false
	}
	for _, action := range iam.Actions() {
		prefix, name, _ := strings.Cut(action, ":")
		want[name] = prefix != awsapi.KVS || have[name]
	}
	for name := range have {
		want[name] = true
	}
	for _, name := range secretsmanager.Operations() {
		want[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch {
		case want[name] && (!there[name] || notHere[name]):
			t.Errorf("localcloud has %s: docs/localcloud.md must name it, outside of \"What is not implemented\" only", name)
		case !want[name] && (!notHere[name] || there[name]):
			t.Errorf("localcloud does not have %s: docs/localcloud.md must name it in \"What is not implemented\" only", name)
		}
	}
	if len(want) < 50 {
		t.Errorf("only %d operations were found in the tables", len(want))
	}
}

// TestThePageNamesWhatASeedMayHave compares the page with the members of a seed.
func TestThePageNamesWhatASeedMayHave(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/localcloud.md")
	must(t, err)
	var source []byte
	for _, path := range []string{"seed.go", "kvs/seed.go", "sitewise/seed.go"} {
		part, err := os.ReadFile(path)
		must(t, err)
		source = append(source, part...)
	}
	members := regexp.MustCompile("`json:\"([a-z_]+)\"`").FindAllStringSubmatch(string(source), -1)
	for _, m := range members {
		if !strings.Contains(string(page), "`"+m[1]+"`") {
			t.Errorf("docs/localcloud.md does not name %s of a seed", m[1])
		}
	}
	if len(members) < 12 {
		t.Errorf("only %d members were found", len(members))
	}
}

// TestThePageNamesTheErrorsOfEachOperation finds the errors that an operation declares in its row.
func TestThePageNamesTheErrorsOfEachOperation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/localcloud.md")
	must(t, err)
	for _, o := range kvsmodel.Operations {
		row := regexp.MustCompile("(?m)^\\| [^|]*`" + o.Name + "`[^|]*\\|[^|]*\\|([^|]*)\\|$").FindSubmatch(page)
		if row == nil {
			t.Errorf("docs/localcloud.md has no row for %s", o.Name)
			continue
		}
		for _, name := range o.Errors {
			common := name == kvsmodel.InvalidArgument || name == kvsmodel.ClientLimitExceeded
			if !common && !strings.Contains(string(row[1]), "`"+name+"`") {
				t.Errorf("the row of %s does not name %s", o.Name, name)
			}
		}
	}
}
