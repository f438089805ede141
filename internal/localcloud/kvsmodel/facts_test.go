package kvsmodel_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// debianModel is the service's model as AWS ships it with its command line, in Debian's package awscli.
const debianModel = "/usr/lib/python3/dist-packages/awscli/botocore/data/kinesisvideo/2017-09-30/service-2.json"

// archivedModel is that of archived media.
const archivedModel = "/usr/lib/python3/dist-packages/awscli/botocore/data/kinesis-video-archived-media/2017-09-30/service-2.json"

// newer are the parts of the table that AWS added or changed after that model: since then tokens may
// have 1024 characters instead of 512, and the interval of images has no bounds in the model.
var newer = []string{
	"CreateStream.StreamStorageConfiguration", "UpdateStreamStorageConfiguration", "DescribeStreamStorageConfiguration",
	"DeleteEdgeConfiguration", "ListEdgeAgentConfigurations", "ListStreams.NextToken", "ListTagsForStream.NextToken",
	"ListTagsForResource.NextToken", "UpdateImageGenerationConfiguration.ImageGenerationConfiguration.SamplingInterval",
}

// awsShape is a shape in AWS's form.
type awsShape struct {
	Type               string
	Required, Enum     []string
	Min, Max           *int64
	Pattern            string
	Sensitive          bool
	Members            map[string]awsRef
	Key, Value, Member awsRef
}

type awsRef struct{ Shape string }

type awsModel struct {
	Operations map[string]struct {
		HTTP   struct{ RequestURI string }
		Input  awsRef
		Errors []awsRef
	}
	Shapes map[string]awsShape
}

// describe writes a member's facts down in one form for both sides.
func (m awsModel) describe(out map[string]string, path string, ref awsRef) {
	s := m.Shapes[ref.Shape]
	least, most := int64(apimodel.NoMin), int64(apimodel.NoMax)
	if s.Min != nil {
		least = *s.Min
	}
	if s.Max != nil {
		most = *s.Max
	}
	pattern := strings.TrimSuffix(strings.TrimPrefix(s.Pattern, "^"), "$")
	kind := s.Type
	if kind == "long" {
		kind = "integer"
	}
	out[path] = fact(ref.Shape, kind, least, most, pattern, s.Enum, s.Sensitive)
	for name, member := range s.Members {
		at := path + "." + name
		m.describe(out, at, member)
		if slices.Contains(s.Required, name) {
			out[at] += " required"
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
	kinds := []string{"string", "integer", "boolean", "structure", "list", "map", "integer", "double", "timestamp"}
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

func describeMembers(out map[string]string, path string, members []apimodel.Member) {
	for _, member := range members {
		at := path + "." + member.Name
		describe(out, at, member.Shape)
		if member.Required {
			out[at] += " required"
		}
	}
}

func fact(name, kind string, least, most int64, pattern string, enum []string, secret bool) string {
	return fmt.Sprintf("%s %s %d %d %q %v %v", name, kind, least, most, pattern, enum, secret)
}

func TestTheTableSaysWhatTheModelOfAWSSays(t *testing.T) {
	t.Parallel()
	compared := compareOperations(t, debianModel, kvsmodel.Operations)
	for _, o := range kvsmodel.Archived {
		compared += compareOperations(t, archivedModel, []kvsmodel.Operation{*o})
	}
	t.Logf("%d members compared", compared)
}

func compareOperations(t *testing.T, path string, list []kvsmodel.Operation) (compared int) {
	t.Helper()
	testtools.Need(t, "/usr/bin/aws")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var model awsModel
	if err := json.Unmarshal(data, &model); err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		theirs, known := model.Operations[o.Name]
		if !known {
			if !slices.Contains(newer, o.Name) {
				t.Errorf("AWS has no %s", o.Name)
			}
			continue
		}
		if theirs.HTTP.RequestURI != o.Path {
			t.Errorf("the path of %s is %s, want %s", o.Name, o.Path, theirs.HTTP.RequestURI)
		}
		var errors []string
		for _, e := range theirs.Errors {
			errors = append(errors, e.Shape)
		}
		slices.Sort(errors)
		if ours := slices.Sorted(slices.Values(o.Errors)); !slices.Equal(ours, errors) {
			t.Errorf("%s declares %v, want %v", o.Name, ours, errors)
		}
		want, got := map[string]string{}, map[string]string{}
		for name, member := range model.Shapes[theirs.Input.Shape].Members {
			model.describe(want, o.Name+"."+name, member)
			if slices.Contains(model.Shapes[theirs.Input.Shape].Required, name) {
				want[o.Name+"."+name] += " required"
			}
		}
		describeMembers(got, o.Name, o.Members)
		compared += compare(t, got, want)
	}
	return compared
}

func compare(t *testing.T, got, want map[string]string) (compared int) {
	t.Helper()
	for path, fact := range got {
		isNewer := slices.ContainsFunc(newer, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
		if compared++; want[path] != fact && !isNewer {
			t.Errorf("%s is %s, want %s", path, fact, want[path])
		}
	}
	for path := range want {
		if got[path] == "" {
			t.Errorf("the table lacks %s", path)
		}
	}
	return compared
}

// The Go SDK knows what is newer, but not the constraints.
func TestTheNewerOperationsHaveTheMembersThatTheSDKHas(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]any{
		"CreateStream":                       kinesisvideo.CreateStreamInput{},
		"UpdateStreamStorageConfiguration":   kinesisvideo.UpdateStreamStorageConfigurationInput{},
		"DescribeStreamStorageConfiguration": kinesisvideo.DescribeStreamStorageConfigurationInput{},
		"DeleteEdgeConfiguration":            kinesisvideo.DeleteEdgeConfigurationInput{},
		"ListEdgeAgentConfigurations":        kinesisvideo.ListEdgeAgentConfigurationsInput{},
	} {
		var got, want []string
		for _, member := range kvsmodel.ByName(name).Members {
			got = append(got, member.Name)
		}
		for _, field := range reflect.VisibleFields(reflect.TypeOf(input)) {
			if field.IsExported() && field.Name != "ResultMetadata" {
				want = append(want, field.Name)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
	}
}
