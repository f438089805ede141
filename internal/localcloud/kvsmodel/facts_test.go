package kvsmodel_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/awsmodel"
)

// version is that of the API.
const version = "2017-09-30"

// newerOperations are those that AWS added after Debian's model.
var newerOperations = []string{
	"UpdateStreamStorageConfiguration", "DescribeStreamStorageConfiguration", "DeleteEdgeConfiguration", "ListEdgeAgentConfigurations",
}

// newerErrors are those that operations declare since, by operation.
var newerErrors = map[string]string{"GetImages": kvsmodel.NoDataRetention}

// newer are the members that AWS added or changed after Debian's model: since then tokens may have 1024 characters instead of 512, and the
// interval of images has no bounds in the model.
var newer = []awsmodel.Difference{
	{End: "CreateStream.StreamStorageConfiguration"},
	{End: "GetImages.SamplingInterval", Was: `SamplingInterval integer 3000 20000 "" []`},
	{End: "ListStreams.NextToken", Was: oldToken},
	{End: "ListTagsForStream.NextToken", Was: oldToken},
	{End: "ListTagsForResource.NextToken", Was: oldToken},
	{
		End: "UpdateImageGenerationConfiguration.ImageGenerationConfiguration.SamplingInterval",
		Was: `SamplingInterval integer 3000 20000 "" []`,
	},
}

const oldToken = `NextToken string 0 512 "[a-zA-Z0-9+/=]*" []`

func TestTheTableSaysWhatTheModelOfAWSSays(t *testing.T) {
	t.Parallel()
	met := compareOperations(t, "kinesisvideo", kvsmodel.Operations)
	for _, o := range kvsmodel.Archived {
		met = append(met, compareOperations(t, "kinesis-video-archived-media", []kvsmodel.Operation{*o})...)
	}
	awsmodel.AllMet(t, newer, met)
}

func compareOperations(t *testing.T, service string, list []kvsmodel.Operation) (met []string) {
	t.Helper()
	model := awsmodel.Load(t, service, version)
	compared := 0
	for _, o := range list {
		theirs, known := model.Operations[o.Name]
		if known == slices.Contains(newerOperations, o.Name) {
			t.Errorf("AWS has %s: %v", o.Name, known)
		}
		if !known {
			continue
		}
		if theirs.HTTP.RequestURI != o.Path {
			t.Errorf("the path of %s is %s, want %s", o.Name, o.Path, theirs.HTTP.RequestURI)
		}
		ours := slices.DeleteFunc(slices.Sorted(slices.Values(o.Errors)), func(name string) bool { return newerErrors[o.Name] == name })
		if !slices.Equal(ours, theirs.ErrorNames()) {
			t.Errorf("%s declares %v, want %v", o.Name, ours, theirs.ErrorNames())
		}
		facts := awsmodel.Table(o.Name, o.Members)
		met = append(met, awsmodel.Compare(t, facts, model.Facts(o.Name), newer)...)
		compared += len(facts)
	}
	t.Logf("%d members of %s compared", compared, service)
	return met
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
