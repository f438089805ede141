package sitewisemodel_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/awsmodel"
)

// newer are the members that AWS added or changed after Debian's model.
var newer = slices.Concat(
	// Names that customers give, models of components, versions of models, values that are none, and entries that are stored singly.
	added(".externalId", ".assetModelExternalId", ".assetExternalId", ".assetModelType", ".assetModelTypes", ".assetModelVersion",
		".nullValue", ".enablePartialEntryProcessing", ".variables[].value.propertyPath"),
	// IDs that clients choose.
	added("CreateAssetModel.assetModelId", "CreateAsset.assetId", "Properties[].id", ".properties[].id", "Models[].id", "Hierarchies[].id"),
	// Where an ID was, externalId:NAME may be.
	changed(`ID string 36 36 "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}" []`,
		".childAssetModelId", ".assetModelId", ".assetId", ".hierarchyId", ".childAssetId", ".propertyId"),
	// Bounds that are wider, or in no model any more, and members that are no longer required.
	changed(`DefaultValue string 1 1024 "[^\\x00-\\x1F\\x7F]+" []`, ".defaultValue"),
	changed(`Expression string 1 1024 "" []`, ".expression"),
	changed(`ExpressionVariables list -9223372036854775808 9223372036854775807 "" []`, ".metric.variables"),
	changed(`Macro string 1 256 "[^\\x00-\\x1F\\x7F]+" []`, ".value.propertyId"),
	changed(`MaxResults integer 1 250 "" []`, "GetAssetPropertyValueHistory.maxResults"),
)

// newerErrors are those that AWS declares since, by operation.
var newerErrors = map[string]string{"DeleteAssetModel": "PreconditionFailedException"}

func added(ends ...string) []awsmodel.Difference { return changed("", ends...) }

func changed(was string, ends ...string) (list []awsmodel.Difference) {
	for _, end := range ends {
		list = append(list, awsmodel.Difference{End: end, Was: was})
	}
	return list
}

func TestTheTableSaysWhatTheModelOfAWSSays(t *testing.T) {
	t.Parallel()
	model := awsmodel.Load(t, "iotsitewise", "2019-12-02")
	var met []string
	compared := 0
	for _, o := range sitewisemodel.Operations {
		theirs := model.Operations[o.Name]
		got := fmt.Sprint(o.Method, " ", o.Path, " ", o.Success, " ", o.Prefix)
		if want := fmt.Sprint(theirs.HTTP.Method, " ", theirs.HTTP.RequestURI, " ", max(theirs.HTTP.ResponseCode, 200), " ",
			theirs.Endpoint.HostPrefix); got != want {
			t.Errorf("%s is %s, want %s", o.Name, got, want)
		}
		errors := theirs.ErrorNames()
		if more := newerErrors[o.Name]; more != "" {
			errors = append(errors, more)
			slices.Sort(errors)
		}
		if ours := slices.Sorted(slices.Values(o.Errors)); !slices.Equal(ours, errors) {
			t.Errorf("%s declares %v, want %v", o.Name, ours, errors)
		}
		facts, want := awsmodel.Table(o.Name, o.Members), model.Facts(o.Name)
		// What is newer than Debian's model is compared with it as a member, and cannot be as one of the query.
		query := slices.DeleteFunc(slices.Sorted(slices.Values(o.Query)), func(name string) bool { return want[o.Name+"."+name] == "" })
		if theirs := model.Query(o.Name); !slices.Equal(query, theirs) {
			t.Errorf("%s has %v in its query, want %v", o.Name, query, theirs)
		}
		met = append(met, awsmodel.Compare(t, facts, want, newer)...)
		compared += len(facts)
	}
	awsmodel.AllMet(t, newer, met)
	t.Logf("%d members compared", compared)
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
