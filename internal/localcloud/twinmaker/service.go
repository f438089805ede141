// Package twinmaker plays what AWS's video player asks of AWS IoT TwinMaker. A workspace is the value of the tag
// EdgeConnectorForKVS of assets in SiteWise, and each camera with that tag is an entity of it, whose id is that of the asset.
package twinmaker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
)

// The component that each entity has. Its type is the one that the player looks for.
const (
	Component     = "EdgeVideo"
	ComponentType = "com.amazon.iotsitewise.connector.edgevideo"
)

// usualPage is the number of values in an answer where a request names none. Source: service model, maximum of MaxResults.
const usualPage = 200

// Assets are what is shown.
type Assets interface {
	HasWorkspace(workspace string) bool
	Camera(workspace, id string) (sitewise.Camera, bool)
	History(asset, property string, start, end time.Time, descending bool, after string, limit int) ([]sitewise.Value, string, error)
}

// API returns the service as the HTTPS endpoint has it.
func API(home account.Home, assets Assets) awsapi.Service {
	s := service{home, assets}
	return awsapi.Service{
		Name:     awsapi.TwinMaker,
		Protocol: func(*http.Request) awsapi.Protocol { return awsapi.ModelREST },
		Operation: func(r *http.Request, _ []byte) string {
			if o, _ := find(r); o != nil {
				return o.name
			}
			return r.Method + " " + r.URL.Path
		},
		Resource: func(r *http.Request, _ []byte) string {
			_, members := find(r)
			return members["workspaceId"]
		},
		AnyMethod: true,
		Call:      s.call,
	}
}

// IsPath reports whether a request is certainly one of TwinMaker.
func IsPath(r *http.Request) bool {
	o, _ := find(r)
	return o != nil
}

type service struct {
	home   account.Home
	assets Assets
}

func refused(name, where, format string, args ...any) error {
	return awsapi.Errorf(statuses[name], name, where, format, args...)
}

func (s service) call(name string, r *http.Request, body []byte) ([]byte, error) {
	o, path := find(r)
	if o == nil {
		return nil, awsapi.UnknownOperation(name)
	}
	known, err := read(o, path, body)
	var malformed *apimodel.Malformed
	var invalid *apimodel.Invalid
	switch {
	case errors.As(err, &malformed):
		return nil, awsapi.Errorf(http.StatusBadRequest, "SerializationException", malformed.Path, "%s", malformed)
	case errors.As(err, &invalid):
		return nil, refused(validation, invalid.Faults[0].Path, "%s", invalid)
	case err != nil:
		return nil, err
	}
	if o.name == "GetEntity" {
		return awsapi.JSONOperation(service.getEntity)(s, known)
	}
	return awsapi.JSONOperation(service.getHistory)(s, known)
}

// read gathers the members of a request from its path and its body, and checks them.
func read(o *operation, path map[string]string, body []byte) ([]byte, error) {
	all := map[string]any{}
	if text := bytes.TrimSpace(body); len(text) > 0 && o.method == http.MethodPost {
		if _, _, err := apimodel.Read(nil, text); err != nil {
			return nil, err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&all); err != nil {
			return nil, fmt.Errorf("cannot read a request that is JSON: %w", err)
		}
	}
	for name, value := range path {
		all[name] = value
	}
	known, _, err := apimodel.Check(o.members, all)
	return known, err
}

// camera finds an entity.
func (s service) camera(workspace, entity string) (sitewise.Camera, error) {
	if !s.assets.HasWorkspace(workspace) {
		return sitewise.Camera{}, refused(notFound, "workspaceId", "Workspace %s does not exist.", workspace)
	}
	c, found := s.assets.Camera(workspace, entity)
	if !found {
		return c, refused(notFound, "entityId", "Entity %s does not exist in workspace %s.", entity, workspace)
	}
	return c, nil
}

type entityInput struct {
	Workspace string `json:"workspaceId"`
	Entity    string `json:"entityId"`
}

func (s service) getEntity(in entityInput) (any, error) {
	c, err := s.camera(in.Workspace, in.Entity)
	if err != nil {
		return nil, err
	}
	active := map[string]string{"state": "ACTIVE"}
	properties := map[string]any{
		"sitewiseAssetId":      map[string]any{"definition": definition("STRING", "", true), "value": map[string]string{"stringValue": c.Asset}},
		"sitewiseAssetModelId": map[string]any{"definition": definition("STRING", "", true), "value": map[string]string{"stringValue": c.Model}},
	}
	for _, p := range c.Properties {
		properties[p.Name] = map[string]any{"definition": definition(p.DataType, p.ID, false)}
	}
	return map[string]any{
		"entityId": c.Asset, "entityName": c.Name, "workspaceId": in.Workspace, "status": active, "parentEntityId": "$ROOT",
		"arn":              s.home.ARN(awsapi.TwinMaker, "workspace/"+in.Workspace+"/entity/"+c.Asset),
		"hasChildEntities": false, "creationDateTime": awsapi.EpochOf(c.Created), "updateDateTime": awsapi.EpochOf(c.Updated),
		"areAllComponentsReturned": true,
		"components": map[string]any{Component: map[string]any{
			"componentName": Component, "componentTypeId": ComponentType, "status": active, "properties": properties,
			"areAllPropertiesReturned": true,
		}},
	}, nil
}

// definition describes a property; those with an id of SiteWise have their values there.
func definition(dataType, id string, required bool) map[string]any {
	d := map[string]any{"dataType": map[string]string{"type": dataType}, "isTimeSeries": id != "", "isRequiredInEntity": required,
		"isExternalId": false, "isStoredExternally": id != "", "isImported": false, "isFinal": false, "isInherited": required}
	if id != "" {
		d["configuration"] = map[string]string{"sitewisePropertyId": id}
	}
	return d
}

type historyInput struct {
	entityInput
	Component     string          `json:"componentName"`
	Selected      []string        `json:"selectedProperties"`
	Filters       json.RawMessage `json:"propertyFilters"`
	Interpolation json.RawMessage `json:"interpolation"`
	ComponentType string          `json:"componentTypeId"`
	ComponentPath string          `json:"componentPath"`
	Start         string          `json:"startTime"`
	End           string          `json:"endTime"`
	StartEpoch    json.Number     `json:"startDateTime"`
	EndEpoch      json.Number     `json:"endDateTime"`
	Order         string          `json:"orderByTime"`
	NextToken     string          `json:"nextToken"`
	MaxResults    int             `json:"maxResults"`
}

// span reads the range. Source: API reference, GetPropertyValueHistory: times are strings in ISO 8601; the older members are numbers.
func (in historyInput) span() (start, end time.Time, err error) {
	for _, one := range []struct {
		to    *time.Time
		name  string
		text  string
		epoch json.Number
	}{{&start, "startTime", in.Start, in.StartEpoch}, {&end, "endTime", in.End, in.EndEpoch}} {
		switch {
		case one.text != "":
			if *one.to, err = time.Parse(time.RFC3339Nano, one.text); err != nil {
				return start, end, refused(validation, one.name, "The %s is not a time in ISO 8601.", one.name)
			}
		case one.epoch != "":
			seconds, _ := one.epoch.Float64() // the shape was checked
			*one.to = time.UnixMilli(int64(seconds * 1000))
		default:
			return start, end, refused(validation, one.name, "The %s is required.", one.name)
		}
	}
	if end.Before(start) {
		return start, end, refused(validation, "endTime", "The endTime is before the startTime.")
	}
	return start, end, nil
}

func (in historyInput) check() error {
	switch {
	case len(in.Filters) > 0 || len(in.Interpolation) > 0 || in.ComponentType != "" || in.ComponentPath != "":
		return refused(validation, "propertyFilters", "localcloud has the history of properties of one entity and component only, without "+
			"filters and interpolation.")
	case in.Entity == "" || in.Component == "":
		return refused(validation, "entityId", "The entityId and the componentName are required.")
	}
	return nil
}

// getHistory has the values of one property after the other; start is exclusive, as SiteWise has it.
func (s service) getHistory(in historyInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	start, end, err := in.span()
	if err != nil {
		return nil, err
	}
	c, err := s.camera(in.Workspace, in.Entity)
	if err != nil {
		return nil, err
	}
	if in.Component != Component {
		return nil, refused(notFound, "componentName", "Entity %s has no component %s.", in.Entity, in.Component)
	}
	first, after, err := in.position()
	if err != nil {
		return nil, err
	}
	left := in.MaxResults
	if left == 0 {
		left = usualPage
	}
	out, answers := map[string]any{}, []map[string]any{}
	for i, name := range in.Selected {
		at := slices.IndexFunc(c.Properties, func(p sitewise.CameraProperty) bool { return p.Name == name })
		switch {
		case at < 0:
			return nil, refused(validation, "selectedProperties", "Component %s has no property %s.", in.Component, name)
		case i < first:
			continue
		case left == 0:
			out["nextToken"] = fmt.Sprint(i, " ")
		default:
			values, next, err := s.assets.History(c.Asset, c.Properties[at].ID, start, end, in.Order == "DESCENDING", after, left)
			if err != nil {
				return nil, refused(validation, "nextToken", "The nextToken is not one that an earlier answer had.")
			}
			left, after = left-len(values), ""
			answers = append(answers, historyOf(in, name, values))
			if next != "" {
				out["nextToken"] = fmt.Sprint(i, " ", next)
			}
		}
		if out["nextToken"] != nil {
			break
		}
	}
	out["propertyValues"] = answers
	return out, nil
}

// position reads a token: the number of a property, and the token of its history.
func (in historyInput) position() (property int, after string, err error) {
	if in.NextToken == "" {
		return 0, "", nil
	}
	number, after, found := strings.Cut(in.NextToken, " ")
	property, err = strconv.Atoi(number)
	if err != nil || !found || property < 0 || property >= len(in.Selected) {
		return 0, "", refused(validation, "nextToken", "The nextToken is not one that an earlier answer had.")
	}
	return property, after, nil
}

func historyOf(in historyInput, property string, values []sitewise.Value) map[string]any {
	list := []map[string]any{}
	for _, v := range values {
		value := map[string]any{}
		switch {
		case v.Text != nil:
			value["stringValue"] = *v.Text
		case v.Integer != nil:
			value["integerValue"] = *v.Integer
		case v.Double != nil:
			value["doubleValue"] = *v.Double
		case v.Boolean != nil:
			value["booleanValue"] = *v.Boolean
		}
		list = append(list, map[string]any{"time": v.Time.Format(time.RFC3339Nano), "timestamp": awsapi.EpochOf(v.Time), "value": value})
	}
	return map[string]any{"values": list, "entityPropertyReference": map[string]string{"entityId": in.Entity, "componentName": in.Component,
		"propertyName": property}}
}
