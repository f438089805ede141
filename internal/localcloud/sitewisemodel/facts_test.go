package sitewisemodel_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// printModel prints the service model that the AWS CLI in the path works with.
const printModel = `
import botocore.loaders, json
print(json.dumps(botocore.loaders.Loader().load_service_model("iotsitewise", "service-2")))`

type awsRef struct{ Shape, Location string }

type awsShape struct {
	Type               string
	Required, Enum     []string
	Min, Max           *int64
	Pattern            string
	Members            map[string]awsRef
	Key, Value, Member awsRef
}

type awsModel struct {
	Operations map[string]struct {
		HTTP struct {
			Method, RequestURI string
			ResponseCode       int
		}
		Endpoint struct{ HostPrefix string }
		Input    awsRef
		Errors   []awsRef
	}
	Shapes map[string]awsShape
}

func awsModelOfCLI(t *testing.T) (m awsModel) {
	t.Helper()
	testtools.Need(t, "python3")
	out, err := exec.CommandContext(t.Context(), "python3", "-c", printModel).Output()
	if err != nil {
		t.Skipf("Python has no botocore that knows SiteWise: %v", err)
	}
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

var kinds = map[apimodel.Kind]string{apimodel.String: "string", apimodel.Integer: "integer", apimodel.Boolean: "boolean",
	apimodel.Structure: "structure", apimodel.List: "list", apimodel.Map: "map", apimodel.Long: "long", apimodel.Double: "double",
	apimodel.Time: "timestamp"}

// plain writes a pattern of AWS's as the table has it: of the whole text, without the ID of zeros.
func plain(pattern string) string {
	pattern = strings.ReplaceAll(pattern, "(?!00000000-0000-0000-0000-000000000000)", "")
	pattern = strings.ReplaceAll(pattern, `\u00`, `\x`)
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(pattern, "^[0", "[0"), "$|^", "|"), "12}$", "12}")
}

func (m awsModel) fact(ref awsRef) string {
	s := m.Shapes[ref.Shape]
	least, most := int64(apimodel.NoMin), int64(apimodel.NoMax)
	if s.Min != nil {
		least = *s.Min
	}
	if s.Max != nil {
		most = *s.Max
	}
	pattern := plain(s.Pattern)
	if !strings.HasPrefix(pattern, "[^") {
		pattern = strings.TrimPrefix(pattern, "^")
	}
	return fmt.Sprintf("%s %s %d %d %q %v", ref.Shape, s.Type, least, most, strings.TrimSuffix(pattern, "$"), s.Enum)
}

func (m awsModel) describe(out map[string]string, path string, ref awsRef) {
	s := m.Shapes[ref.Shape]
	out[path] += m.fact(ref)
	for name, member := range s.Members {
		if member.Location != "header" {
			if slices.Contains(s.Required, name) {
				out[path+"."+name] = "required "
			}
			m.describe(out, path+"."+name, member)
		}
	}
	switch s.Type {
	case "list":
		m.describe(out, path+"[]", s.Member)
	case "map":
		m.describe(out, path+".key", s.Key)
		m.describe(out, path+".value", s.Value)
	}
}

func describe(out map[string]string, path string, s *apimodel.Shape) {
	out[path] += fmt.Sprintf("%s %s %d %d %q %v", s.Name, kinds[s.Kind], s.Min, s.Max, s.Pattern, s.Enum)
	describeMembers(out, path, s.Members)
	switch s.Kind {
	case apimodel.List:
		describe(out, path+"[]", s.Element)
	case apimodel.Map:
		describe(out, path+".key", s.Key)
		describe(out, path+".value", s.Element)
	}
}

func describeMembers(out map[string]string, path string, members []apimodel.Member) {
	for _, m := range members {
		if m.Required {
			out[path+"."+m.Name] = "required "
		}
		describe(out, path+"."+m.Name, m.Shape)
	}
}

func TestTheTableSaysWhatTheModelOfAWSSays(t *testing.T) {
	t.Parallel()
	model := awsModelOfCLI(t)
	for _, o := range sitewisemodel.Operations {
		theirs := model.Operations[o.Name]
		got := fmt.Sprint(o.Method, " ", o.Path, " ", o.Success, " ", o.Prefix)
		if want := fmt.Sprint(theirs.HTTP.Method, " ", theirs.HTTP.RequestURI, " ", max(theirs.HTTP.ResponseCode, 200), " ",
			theirs.Endpoint.HostPrefix); got != want {
			t.Errorf("%s is %s, want %s", o.Name, got, want)
		}
		var errors, query []string
		for _, e := range theirs.Errors {
			errors = append(errors, e.Shape)
		}
		for name, member := range model.Shapes[theirs.Input.Shape].Members {
			if member.Location == "querystring" {
				query = append(query, name)
			}
		}
		for _, lists := range [][2][]string{{o.Errors, errors}, {o.Query, query}} {
			slices.Sort(lists[1])
			if ours := slices.Sorted(slices.Values(lists[0])); !slices.Equal(ours, lists[1]) {
				t.Errorf("%s has %v, want %v", o.Name, ours, lists[1])
			}
		}
		have, want := map[string]string{}, map[string]string{}
		describeMembers(have, o.Name, o.Members)
		model.describe(want, o.Name, theirs.Input)
		delete(want, o.Name)
		for path, fact := range want {
			if have[path] != fact {
				t.Errorf("%s is %s, want %s", path, have[path], fact)
			}
		}
		if len(have) != len(want) {
			t.Errorf("%s has %d members, want %d", o.Name, len(have), len(want))
		}
	}
}

func TestOperationsOfRequests(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]string{
		"GET /assets": "ListAssets", "POST /assets": "CreateAsset", "GET /assets/a": "DescribeAsset", "PUT /assets/a": "UpdateAsset",
		"PUT /assets/a/properties/b": "UpdateAssetProperty", "GET /assets/a/properties": "ListAssetProperties",
		"GET /properties/latest": "GetAssetPropertyValue", "POST /properties/batch/history": "BatchGetAssetPropertyValueHistory",
		"PATCH /assets": "", "GET /assets/": "", "GET /": "", "GET /assets/a/b": "",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ""
		if o, _ := sitewisemodel.ByRequest(method, path); o != nil {
			got = o.Name
		}
		if got != want {
			t.Errorf("%s is %q, want %q", request, got, want)
		}
	}
}
