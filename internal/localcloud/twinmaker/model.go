package twinmaker

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
)

// The errors that are answered, with their status in the service model.
const (
	validation = "ValidationException"
	notFound   = "ResourceNotFoundException"
)

var statuses = map[string]int{validation: http.StatusBadRequest, notFound: http.StatusNotFound}

// The shapes that requests are made of. Source: the service model of AWS IoT TwinMaker, API version 2021-11-29.
var (
	workspaceID = apimodel.Text("Id", 1, 128, `[a-zA-Z_0-9][a-zA-Z_\-0-9]*[a-zA-Z0-9]+`)
	entityID    = apimodel.Text("EntityId", 1, 128, `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|`+
		`[a-zA-Z0-9][a-zA-Z_\-0-9.:]*[a-zA-Z0-9]+`)
	shortText = apimodel.Text("String", 1, 256, `.*`)
	name      = apimodel.Text("Name", 1, 256, `[^\x00-\x1F\x7F]+`)
	isoTime   = apimodel.Text("Time", 20, 35, ``)
	timestamp = apimodel.Of("Timestamp", apimodel.Time)
)

// operation is one that is here. Members that are not in its path are in the body.
type operation struct {
	name, method, path string
	members            []apimodel.Member
}

// operations are those that the video player of AWS's IoT App Kit asks for (@iot-app-kit/source-iottwinmaker 10.13.1).
var operations = []operation{
	{"GetEntity", http.MethodGet, "/workspaces/{workspaceId}/entities/{entityId}", []apimodel.Member{
		apimodel.Must("workspaceId", workspaceID), apimodel.Must("entityId", entityID),
	}},
	{"GetPropertyValueHistory", http.MethodPost, "/workspaces/{workspaceId}/entity-properties/history", []apimodel.Member{
		apimodel.Must("workspaceId", workspaceID), apimodel.May("entityId", entityID), apimodel.May("componentName", name),
		apimodel.May("componentPath", apimodel.Text("ComponentPath", 1, 2048, `[a-zA-Z_\-0-9/]+`)),
		apimodel.May("componentTypeId", apimodel.Text("ComponentTypeId", 1, 256, `[a-zA-Z_\.\-0-9:]+`)),
		apimodel.Must("selectedProperties", apimodel.ListOf("SelectedPropertyList", 1, 10, shortText)),
		apimodel.May("propertyFilters", apimodel.ListOf("PropertyFilters", 1, 10, apimodel.StructureOf("PropertyFilter"))),
		apimodel.May("startDateTime", timestamp), apimodel.May("endDateTime", timestamp),
		apimodel.May("interpolation", apimodel.StructureOf("InterpolationParameters")),
		apimodel.May("nextToken", apimodel.Text("NextToken", 0, 17880, `.*`)), apimodel.May("maxResults", apimodel.Whole("MaxResults", 0, 200)),
		apimodel.May("orderByTime", apimodel.OneOf("OrderByTime", "ASCENDING", "DESCENDING")),
		apimodel.May("startTime", isoTime), apimodel.May("endTime", isoTime),
	}},
}

// find returns the operation of a request and the members in its path; nil = there is none.
func find(r *http.Request) (o *operation, members map[string]string) {
	got := strings.Split(r.URL.EscapedPath(), "/")
	for i := range operations {
		want := strings.Split(operations[i].path, "/")
		if operations[i].method != r.Method || len(want) != len(got) {
			continue
		}
		members, same := map[string]string{}, true
		for j, part := range want {
			text, err := url.PathUnescape(got[j])
			if member, ok := strings.CutPrefix(part, "{"); ok && err == nil && text != "" {
				members[strings.TrimSuffix(member, "}")] = text
			} else if part != got[j] {
				same = false
			}
		}
		if same {
			return &operations[i], members
		}
	}
	return nil, nil
}
