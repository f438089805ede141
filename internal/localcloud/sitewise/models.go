package sitewise

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// plainModel is the one type of asset models that is here.
const plainModel = "ASSET_MODEL"

type createModelInput struct {
	Name            string            `json:"assetModelName"`
	Kind            string            `json:"assetModelType"`
	ID              string            `json:"assetModelId"`
	ExternalID      string            `json:"assetModelExternalId"`
	Description     string            `json:"assetModelDescription"`
	Properties      []property        `json:"assetModelProperties"`
	Hierarchies     []hierarchy       `json:"assetModelHierarchies"`
	CompositeModels []json.RawMessage `json:"assetModelCompositeModels"`
	Token           string            `json:"clientToken"`
	Tags            map[string]string `json:"tags"`
}

func (r request) createAssetModel(in createModelInput) (any, error) {
	requested, _ := json.Marshal(in) // what was unmarshalled marshals
	made, err := r.newResource("asset-model", in.ID, in.ExternalID, in.Name, in.Description, in.Tags)
	if err != nil {
		return nil, err
	}
	made.Token, made.Requested = in.Token, digest(requested)
	m := &model{resource: made, Kind: cmp.Or(in.Kind, plainModel), Properties: in.Properties, Hierarchies: in.Hierarchies}
	if err := m.check(len(in.CompositeModels)); err != nil {
		return nil, err
	}
	err = r.update(func(d State) error {
		if earlier := madeWith(d.Models, in.Token, func(m *model) *resource { return &m.resource }); earlier != nil {
			if earlier.Requested != made.Requested {
				return otherRequest()
			}
			m = earlier
			return nil
		}
		for _, other := range d.Models {
			if other.Name == m.Name || other.ID == m.ID || m.ExternalID != "" && other.ExternalID == m.ExternalID {
				return refusedFor(sitewisemodel.AlreadyExists, "assetModelName", other.ID, other.ARN,
					"Asset model %s has this name or id already.", other.ID)
			}
		}
		if err := d.resolveChildren(m, r); err != nil {
			return err
		}
		d.Models[m.ID] = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"assetModelId": m.ID, "assetModelArn": m.ARN, "assetModelStatus": m.status(r.now)}, nil
}

// madeWith finds what an earlier request with the same clientToken made, or nil.
func madeWith[T any](all map[string]*T, clientToken string, of func(*T) *resource) *T {
	for _, one := range all {
		if clientToken != "" && of(one).Token == clientToken {
			return one
		}
	}
	return nil
}

func otherRequest() error {
	return refused(sitewisemodel.InvalidRequest, "clientToken", "The clientToken was used in a request with other members.")
}

// resolveChildren replaces external ids of the models of children.
func (d State) resolveChildren(m *model, r request) error {
	for i := range m.Hierarchies {
		child, err := d.model(m.Hierarchies[i].Child, "assetModelHierarchies.childAssetModelId")
		if err != nil {
			return err
		}
		if err := child.settled(r.now, "assetModelHierarchies.childAssetModelId"); err != nil {
			return err
		}
		m.Hierarchies[i].Child = child.ID
	}
	return nil
}

// check completes the definitions of a new model with ids, and refuses what cannot be, or is not here.
func (m *model) check(composites int) error {
	if m.Kind != plainModel || composites > 0 {
		return refused(sitewisemodel.InvalidRequest, "assetModelType", "localcloud has models of type %s only, without composite models.",
			plainModel)
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for i := range m.Properties {
		p := &m.Properties[i]
		if p.ID = cmp.Or(p.ID, awsapi.RequestID()); ids[p.ID] || names[p.Name] {
			return refused(sitewisemodel.InvalidRequest, "assetModelProperties", "Property %s is not the only one of its name or id.", p.Name)
		}
		ids[p.ID], names[p.Name] = true, true
		if err := p.check(); err != nil {
			return err
		}
	}
	names = map[string]bool{}
	for i := range m.Hierarchies {
		h := &m.Hierarchies[i]
		if h.ID = cmp.Or(h.ID, awsapi.RequestID()); ids[h.ID] || names[h.Name] {
			return refused(sitewisemodel.InvalidRequest, "assetModelHierarchies", "Hierarchy %s is not the only one of its name or id.", h.Name)
		}
		ids[h.ID], names[h.Name] = true, true
	}
	return nil
}

func (p *property) check() error {
	const where = "assetModelProperties.type"
	given := 0
	for _, has := range []bool{p.Type.Attribute != nil, p.Type.Measurement != nil, p.Type.Transform != nil, p.Type.Metric != nil} {
		if has {
			given++
		}
	}
	switch {
	case given != 1:
		return refused(sitewisemodel.InvalidRequest, where, "Property %s must have exactly one type.", p.Name)
	case p.Type.Transform != nil || p.Type.Metric != nil || p.DataType == "STRUCT":
		return refused(sitewisemodel.InvalidRequest, where, "Property %s: localcloud has attributes and measurements of simple types only.",
			p.Name)
	case p.Type.Attribute == nil || p.Type.Attribute.DefaultValue == "":
		return nil
	}
	if _, ok := valueOf(p.DataType, p.Type.Attribute.DefaultValue); !ok {
		return refused(sitewisemodel.InvalidRequest, where, "The default value of property %s is not of type %s.", p.Name, p.DataType)
	}
	return nil
}

// valueOf reads a value from a text, as default values are written.
func valueOf(dataType, text string) (v variant, ok bool) {
	switch dataType {
	case "STRING":
		return variant{String: &text}, true
	case "INTEGER":
		n, err := strconv.ParseInt(text, 10, 32)
		return variant{Integer: &n}, err == nil
	case "DOUBLE":
		x, err := strconv.ParseFloat(text, 64)
		return variant{Double: &x}, err == nil
	default:
		b := strings.EqualFold(text, "true")
		return variant{Boolean: &b}, b || strings.EqualFold(text, "false")
	}
}

type modelID struct {
	ID      string `json:"assetModelId"`
	Exclude bool   `json:"excludeProperties"`
}

func (r request) describeAssetModel(in modelID) (any, error) {
	var out map[string]any
	err := r.view(func(d State) error {
		m, err := d.model(in.ID, "assetModelId")
		if err != nil {
			return err
		}
		properties := slices.Clone(m.Properties)
		if in.Exclude {
			properties = nil
		}
		out = map[string]any{
			"assetModelId": m.ID, "assetModelArn": m.ARN, "assetModelName": m.Name, "assetModelType": m.Kind,
			"assetModelDescription": m.Description, "assetModelProperties": orEmpty(properties),
			"assetModelHierarchies": orEmpty(slices.Clone(m.Hierarchies)), "assetModelCompositeModels": []any{},
			"assetModelCreationDate": awsapi.EpochOf(m.Created), "assetModelLastUpdateDate": awsapi.EpochOf(m.Updated),
			"assetModelStatus": m.status(r.now), "assetModelVersion": "1",
		}
		if m.ExternalID != "" {
			out["assetModelExternalId"] = m.ExternalID
		}
		return nil
	})
	return out, err
}

// orEmpty is for lists that answers always have.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (r request) deleteAssetModel(in modelID) (any, error) {
	var out any
	err := r.update(func(d State) error {
		m, err := d.model(in.ID, "assetModelId")
		if err == nil {
			err = m.settled(r.now, "assetModelId")
		}
		if err != nil {
			return err
		}
		for _, a := range d.Assets {
			if a.Model == m.ID {
				return refusedFor(sitewisemodel.Conflict, "assetModelId", a.ID, a.ARN, "Asset model %s has assets.", m.ID)
			}
		}
		for _, other := range d.Models {
			if other != m && slices.ContainsFunc(other.Hierarchies, func(h hierarchy) bool { return h.Child == m.ID }) {
				return refusedFor(sitewisemodel.Conflict, "assetModelId", other.ID, other.ARN, "Asset model %s is used in a hierarchy.", m.ID)
			}
		}
		r.remove(&m.resource)
		out = map[string]any{"assetModelStatus": m.status(r.now)}
		return nil
	})
	return out, err
}

type listModelsInput struct {
	page
	Kinds []string `json:"assetModelTypes"`
}

func (r request) listAssetModels(in listModelsInput) (any, error) {
	var out map[string]any
	err := r.view(func(d State) error {
		part, next, err := cut(sorted(d.Models), in.page, func(m *model) string { return m.ID })
		if err != nil {
			return err
		}
		summaries := []map[string]any{}
		for _, m := range part {
			if len(in.Kinds) > 0 && !slices.Contains(in.Kinds, m.Kind) {
				continue
			}
			summary := m.summary(r.now)
			summary["assetModelType"], summary["description"], summary["version"] = m.Kind, m.Description, "1"
			summaries = append(summaries, summary)
		}
		out = listed("assetModelSummaries", summaries, next)
		return nil
	})
	return out, err
}

type listModelPropertiesInput struct {
	page
	ID string `json:"assetModelId"`
}

func (r request) listAssetModelProperties(in listModelPropertiesInput) (any, error) {
	var out map[string]any
	err := r.view(func(d State) error {
		m, err := d.model(in.ID, "assetModelId")
		if err != nil {
			return err
		}
		list := byID(m.Properties)
		part, next, err := cut(list, in.page, func(p property) string { return p.ID })
		out = listed("assetModelPropertySummaries", orEmpty(slices.Clone(part)), next)
		return err
	})
	return out, err
}

// listed is the answer of a list.
func listed[T any](name string, list []T, next string) map[string]any {
	out := map[string]any{name: list}
	if next != "" {
		out["nextToken"] = next
	}
	return out
}
