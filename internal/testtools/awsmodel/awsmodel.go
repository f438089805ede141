// Package awsmodel reads the service models that AWS ships with its command line, in Debian's package awscli, for tests that compare the
// tables of the stand-ins with them. It must not know any service.
package awsmodel

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// directory has the models. It is that of Debian and no other, so that each machine compares with the same model: a Python in the path
// may have one of any age, or none.
const directory = "/usr/lib/python3/dist-packages/awscli/botocore/data"

type ref struct{ Shape, Location string }

// shape is a shape in AWS's form.
type shape struct {
	Type               string
	Required, Enum     []string
	Min, Max           *int64
	Pattern            string
	Sensitive          bool
	Members            map[string]ref
	Key, Value, Member ref
}

// Model is the model of a service.
type Model struct {
	Operations map[string]Operation
	Shapes     map[string]shape
}

// Operation is one of a service, as AWS describes it.
type Operation struct {
	HTTP struct {
		Method, RequestURI string
		ResponseCode       int
	}
	Endpoint struct{ HostPrefix string }
	Input    ref
	Errors   []ref
}

// Load reads the model of a version of a service. Without Debian's awscli the test is skipped, or fails where all programs are required.
func Load(tb testing.TB, service, version string) *Model {
	tb.Helper()
	testtools.Need(tb, "/usr/bin/aws")
	data, err := os.ReadFile(filepath.Join(directory, service, version, "service-2.json"))
	if err != nil {
		tb.Fatalf("/usr/bin/aws is not that of Debian's package awscli: %v", err)
	}
	m := new(Model)
	if err := json.Unmarshal(data, m); err != nil {
		tb.Fatal(err)
	}
	return m
}

// ErrorNames returns the names of the errors that the operation declares, sorted.
func (o Operation) ErrorNames() (names []string) {
	for _, e := range o.Errors {
		names = append(names, e.Shape)
	}
	slices.Sort(names)
	return names
}

// Query returns the names of the members of an operation that travel in the query, sorted.
func (m *Model) Query(operation string) (names []string) {
	for name, member := range m.Shapes[m.Operations[operation].Input.Shape].Members {
		if member.Location == "querystring" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Facts are what is said of the members of requests, each in one form for both sides, by their path from the operation on.
type Facts map[string]string

const required = " required"

func fact(name, kind string, least, most int64, pattern string, enum []string, sensitive bool) string {
	if kind == "long" && most <= math.MaxInt32 {
		kind = "integer" // it makes no difference
	}
	text := fmt.Sprintf("%s %s %d %d %q %v", name, kind, least, most, pattern, enum)
	if sensitive {
		text += " sensitive"
	}
	return text
}

// Facts returns those of the members of an operation, without those that travel in headers.
func (m *Model) Facts(operation string) Facts {
	out := Facts{}
	m.members(out, operation, m.Shapes[m.Operations[operation].Input.Shape])
	return out
}

func (m *Model) members(out Facts, path string, s shape) {
	for name, member := range s.Members {
		if member.Location == "header" {
			continue
		}
		at := path + "." + name
		m.describe(out, at, member)
		if slices.Contains(s.Required, name) {
			out[at] += required
		}
	}
}

func (m *Model) describe(out Facts, path string, r ref) {
	s := m.Shapes[r.Shape]
	least, most := int64(apimodel.NoMin), int64(apimodel.NoMax)
	if s.Min != nil {
		least = *s.Min
	}
	if s.Max != nil {
		most = *s.Max
	}
	out[path] = fact(r.Shape, s.Type, least, most, plain(s.Pattern), s.Enum, s.Sensitive)
	m.members(out, path, s)
	switch s.Type {
	case "list":
		m.describe(out, path+"[]", s.Member)
	case "map":
		m.describe(out, path+".key", s.Key)
		m.describe(out, path+".value", s.Value)
	}
}

// plain writes a pattern of AWS's as the tables have it: of the whole text, and without the exclusion of the ID of zeros, which Go's
// patterns cannot say.
func plain(pattern string) string {
	pattern = strings.ReplaceAll(pattern, "(?!00000000-0000-0000-0000-000000000000)", "")
	pattern = strings.ReplaceAll(pattern, `\u00`, `\x`)
	pattern = strings.ReplaceAll(pattern, "$|^", "|")
	return strings.TrimSuffix(strings.TrimPrefix(pattern, "^"), "$")
}

var kinds = map[apimodel.Kind]string{apimodel.String: "string", apimodel.Integer: "integer", apimodel.Boolean: "boolean",
	apimodel.Structure: "structure", apimodel.List: "list", apimodel.Map: "map", apimodel.Long: "long", apimodel.Double: "double",
	apimodel.Time: "timestamp"}

// Table returns the facts of the members of an operation as a stand-in's table has them.
func Table(operation string, members []apimodel.Member) Facts {
	out := Facts{}
	describeMembers(out, operation, members)
	return out
}

func describeMembers(out Facts, path string, members []apimodel.Member) {
	for _, member := range members {
		at := path + "." + member.Name
		describe(out, at, member.Shape)
		if member.Required {
			out[at] += required
		}
	}
}

func describe(out Facts, path string, s *apimodel.Shape) {
	out[path] = fact(s.Name, kinds[s.Kind], s.Min, s.Max, s.Pattern, s.Enum, s.Sensitive)
	describeMembers(out, path, s.Members)
	switch s.Kind {
	case apimodel.List:
		describe(out, path+"[]", s.Element)
	case apimodel.Map:
		describe(out, path+".key", s.Key)
		describe(out, path+".value", s.Element)
	}
}

// Difference is one between a table and Debian's model, which is older: what AWS changed since.
type Difference struct {
	End string // of the paths that it is about
	Was string // what the model says there; "" where it has no such member, and then the difference is about all within it, too
}

// Compare reports what differs between the facts of a stand-in's table and those of the model, apart from what is newer. It returns the
// ends of those differences that it met.
func Compare(tb testing.TB, table, model Facts, newer []Difference) (met []string) {
	tb.Helper()
	for _, path := range slices.Sorted(maps.Keys(table)) {
		if model[path] == table[path] {
			continue
		}
		i := slices.IndexFunc(newer, func(d Difference) bool { return d.explains(path, model[path]) })
		if i < 0 {
			tb.Errorf("%s is %s, want %s", path, table[path], model[path])
			continue
		}
		met = append(met, newer[i].End)
	}
	for path := range model {
		if table[path] == "" {
			tb.Errorf("the table lacks %s", path)
		}
	}
	return met
}

func (d Difference) explains(path, was string) bool {
	if strings.TrimSuffix(was, required) != d.Was {
		return false
	}
	return strings.HasSuffix(path, d.End) || d.Was == "" && (strings.Contains(path, d.End+".") || strings.Contains(path, d.End+"["))
}

// AllMet reports differences that nothing met: Debian's model has caught up with them.
func AllMet(tb testing.TB, newer []Difference, met []string) {
	tb.Helper()
	for _, d := range newer {
		if !slices.Contains(met, d.End) {
			tb.Errorf("%s is as in Debian's model by now: take it out of the list", d.End)
		}
	}
}
