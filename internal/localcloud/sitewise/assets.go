package sitewise

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// sorted lists resources by their id.
func sorted[T any](all map[string]*T) []*T {
	list := make([]*T, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[id])
	}
	return list
}

// summary is what lists have of models and assets.
func (r *resource) summary(now time.Time) map[string]any {
	out := map[string]any{"id": r.ID, "arn": r.ARN, "name": r.Name, "creationDate": awsapi.EpochOf(r.Created),
		"lastUpdateDate": awsapi.EpochOf(r.Updated), "status": r.status(now)}
	if r.ExternalID != "" {
		out["externalId"] = r.ExternalID
	}
	if r.Description != "" {
		out["description"] = r.Description
	}
	return out
}

type createAssetInput struct {
	Name        string            `json:"assetName"`
	Model       string            `json:"assetModelId"`
	ID          string            `json:"assetId"`
	ExternalID  string            `json:"assetExternalId"`
	Description string            `json:"assetDescription"`
	Token       string            `json:"clientToken"`
	Tags        map[string]string `json:"tags"`
}

func (r request) createAsset(in createAssetInput) (any, error) {
	requested, _ := json.Marshal(in) // what was unmarshalled marshals
	made, err := r.newResource("asset", in.ID, in.ExternalID, in.Name, in.Description, in.Tags)
	if err != nil {
		return nil, err
	}
	made.Token, made.Requested = in.Token, digest(requested)
	a := &asset{resource: made, Settings: map[string]*setting{}, Children: map[string][]string{}}
	err = r.update(func(d State) error {
		if earlier := madeWith(d.Assets, in.Token, func(a *asset) *resource { return &a.resource }); earlier != nil {
			if earlier.Requested != made.Requested {
				return otherRequest()
			}
			a = earlier
			return nil
		}
		m, err := d.model(in.Model, "assetModelId")
		if err == nil {
			err = m.settled(r.now, "assetModelId")
		}
		if err != nil {
			return err
		}
		for _, other := range d.Assets {
			if other.ID == a.ID || a.ExternalID != "" && other.ExternalID == a.ExternalID {
				return refusedFor(sitewisemodel.AlreadyExists, "assetId", other.ID, other.ARN, "Asset %s has this id already.", other.ID)
			}
		}
		a.Model = m.ID
		if err := r.setDefaults(a, m); err != nil {
			return err
		}
		d.Assets[a.ID] = a
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"assetId": a.ID, "assetArn": a.ARN, "assetStatus": a.status(r.now)}, nil
}

// setDefaults puts the default values of the attributes of a new asset, with the time of its creation. Values of an earlier
// asset of the same id are dropped.
func (r request) setDefaults(a *asset, m *model) error {
	if err := r.values.drop(a.ID); err != nil {
		return err
	}
	for i := range m.Properties {
		p := &m.Properties[i]
		if p.Type.Attribute == nil || p.Type.Attribute.DefaultValue == "" {
			continue
		}
		v, _ := valueOf(p.DataType, p.Type.Attribute.DefaultValue) // the model was checked
		first := tqv{Value: v, Time: instantOf(r.now), Quality: qualityGood}
		if err := r.values.put(key{a.ID, p.ID}, []tqv{first}); err != nil {
			return err
		}
	}
	return nil
}

type assetID struct {
	ID      string `json:"assetId"`
	Exclude bool   `json:"excludeProperties"`
}

func (r request) describeAsset(in assetID) (any, error) {
	var out map[string]any
	err := r.view(func(d State) error {
		a, err := d.asset(in.ID, "assetId")
		if err != nil {
			return err
		}
		m, properties := d.Models[a.Model], []map[string]any{}
		for i := range m.Properties {
			if p := &m.Properties[i]; !in.Exclude {
				properties = append(properties, a.describe(p))
			}
		}
		out = map[string]any{
			"assetId": a.ID, "assetArn": a.ARN, "assetName": a.Name, "assetModelId": a.Model, "assetProperties": properties,
			"assetHierarchies": m.childKinds(), "assetCompositeModels": []any{}, "assetCompositeModelSummaries": []any{},
			"assetCreationDate": awsapi.EpochOf(a.Created), "assetLastUpdateDate": awsapi.EpochOf(a.Updated), "assetStatus": a.status(r.now),
		}
		if a.Description != "" {
			out["assetDescription"] = a.Description
		}
		if a.ExternalID != "" {
			out["assetExternalId"] = a.ExternalID
		}
		return nil
	})
	return out, err
}

// childKinds lists the hierarchies as assets have them.
func (m *model) childKinds() []map[string]string {
	list := []map[string]string{}
	for _, h := range m.Hierarchies {
		one := map[string]string{"id": h.ID, "name": h.Name}
		if h.ExternalID != "" {
			one["externalId"] = h.ExternalID
		}
		list = append(list, one)
	}
	return list
}

// topic is what notifications of a property are published to.
func (a *asset) topic(p *property) string {
	return TopicPrefix + a.Model + "/assets/" + a.ID + "/properties/" + p.ID
}

// describe renders a property as DescribeAsset and lists have it.
func (a *asset) describe(p *property) map[string]any {
	s := cmp.Or(a.Settings[p.ID], &setting{})
	notifies := map[bool]string{true: "ENABLED", false: "DISABLED"}[s.Notifies]
	out := map[string]any{"id": p.ID, "name": p.Name, "dataType": p.DataType,
		"notification": map[string]string{"topic": a.topic(p), "state": notifies},
		"path":         []map[string]string{{"id": a.ID, "name": a.Name}, {"id": p.ID, "name": p.Name}}}
	for name, text := range map[string]string{"alias": s.Alias, "unit": cmp.Or(s.Unit, p.Unit), "externalId": p.ExternalID} {
		if text != "" {
			out[name] = text
		}
	}
	return out
}

type updateAssetInput struct {
	ID          string `json:"assetId"`
	ExternalID  string `json:"assetExternalId"`
	Name        string `json:"assetName"`
	Description string `json:"assetDescription"`
}

func (r request) updateAsset(in updateAssetInput) (any, error) {
	var out any
	err := r.update(func(d State) error {
		a, err := d.asset(in.ID, "assetId")
		if err == nil {
			err = a.settled(r.now, "assetId")
		}
		if err != nil {
			return err
		}
		if in.ExternalID != "" && in.ExternalID != a.ExternalID {
			if a.ExternalID != "" {
				return refused(sitewisemodel.InvalidRequest, "assetExternalId", "The external id of an asset cannot be changed.")
			}
			if other, err := d.asset(external+in.ExternalID, ""); err == nil {
				return refusedFor(sitewisemodel.AlreadyExists, "assetExternalId", other.ID, other.ARN, "Asset %s has this external id.", other.ID)
			}
			a.ExternalID = in.ExternalID
		}
		a.Name, a.Description, a.Updated = in.Name, in.Description, r.now
		out = map[string]any{"assetStatus": a.status(r.now)}
		return nil
	})
	return out, err
}

func (r request) deleteAsset(in assetID) (any, error) {
	var out any
	err := r.update(func(d State) error {
		a, err := d.asset(in.ID, "assetId")
		if err == nil {
			err = a.settled(r.now, "assetId")
		}
		if err != nil {
			return err
		}
		parent, _ := d.parent(a.ID)
		if parent != nil || len(a.allChildren()) > 0 {
			return refused(sitewisemodel.InvalidRequest, "assetId", "Asset %s is associated with another one.", a.ID)
		}
		r.remove(&a.resource)
		out = map[string]any{"assetStatus": a.status(r.now)}
		return nil
	})
	return out, err
}

type listAssetsInput struct {
	page
	Model  string `json:"assetModelId"`
	Filter string `json:"filter"`
}

func (r request) listAssets(in listAssetsInput) (any, error) {
	top := in.Filter == "TOP_LEVEL"
	if in.Model == "" && !top {
		return nil, refused(sitewisemodel.InvalidRequest, "assetModelId", "The assetModelId is required with the filter ALL.")
	}
	var out map[string]any
	err := r.view(func(d State) error {
		if in.Model != "" {
			m, err := d.model(in.Model, "assetModelId")
			if err != nil {
				return err
			}
			in.Model = m.ID
		}
		list := slices.DeleteFunc(sorted(d.Assets), func(a *asset) bool {
			parent, _ := d.parent(a.ID)
			return in.Model != "" && a.Model != in.Model || top && parent != nil
		})
		var err error
		out, err = r.listAssetsOf(d, list, in.page)
		return err
	})
	return out, err
}

// listAssetsOf is a page of a list of assets, which is sorted by id.
func (r request) listAssetsOf(d State, list []*asset, p page) (map[string]any, error) {
	part, next, err := cut(list, p, func(a *asset) string { return a.ID })
	if err != nil {
		return nil, err
	}
	summaries := []map[string]any{}
	for _, a := range part {
		summary := a.summary(r.now)
		summary["assetModelId"], summary["hierarchies"] = a.Model, d.Models[a.Model].childKinds()
		summaries = append(summaries, summary)
	}
	return listed("assetSummaries", summaries, next), nil
}
