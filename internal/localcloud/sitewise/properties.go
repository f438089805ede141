package sitewise

import (
	"slices"
	"sort"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

type updatePropertyInput struct {
	ID       string `json:"assetId"`
	Property string `json:"propertyId"`
	Alias    string `json:"propertyAlias"`
	State    string `json:"propertyNotificationState"`
	Unit     string `json:"propertyUnit"`
}

// updateAssetProperty replaces alias and notification state: what a request leaves out is removed.
func (r request) updateAssetProperty(in updatePropertyInput) (any, error) {
	return nil, r.update(func(d State) error {
		a, err := d.asset(in.ID, "assetId")
		if err == nil {
			err = a.settled(r.now, "assetId")
		}
		if err != nil {
			return err
		}
		p, _, err := d.property(a, in.Property)
		if err != nil {
			return err
		}
		if owner, owned := d.byAlias(in.Alias); in.Alias != "" && owner != nil && (owner != a || owned.ID != p.ID) {
			return refusedFor(sitewisemodel.Conflict, "propertyAlias", owner.ID, owner.ARN, "Property %s of asset %s has this alias.",
				owned.ID, owner.ID)
		}
		a.Settings[p.ID] = &setting{Alias: in.Alias, Unit: in.Unit, Notifies: in.State == "ENABLED"}
		a.Updated = r.now
		return nil
	})
}

type propertyID struct {
	ID       string `json:"assetId"`
	Property string `json:"propertyId"`
}

func (r request) describeAssetProperty(in propertyID) (any, error) {
	var out map[string]any
	err := r.view(func(d State) error {
		a, err := d.asset(in.ID, "assetId")
		if err != nil {
			return err
		}
		p, _, err := d.property(a, in.Property)
		if err != nil {
			return err
		}
		described := a.describe(p)
		described["type"] = p.Type
		out = map[string]any{"assetId": a.ID, "assetName": a.Name, "assetModelId": a.Model, "assetProperty": described}
		if a.ExternalID != "" {
			out["assetExternalId"] = a.ExternalID
		}
		return nil
	})
	return out, err
}

// byID returns a copy of a list of properties in the order of their ids.
func byID(of []property) []property {
	list := slices.Clone(of)
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

type listPropertiesInput struct {
	page
	ID string `json:"assetId"`
}

func (r request) listAssetProperties(in listPropertiesInput) (any, error) {
	var out map[string]any
	err := r.view(func(d State) error {
		a, err := d.asset(in.ID, "assetId")
		if err != nil {
			return err
		}
		list := byID(d.Models[a.Model].Properties)
		part, next, err := cut(list, in.page, func(p property) string { return p.ID })
		if err != nil {
			return err
		}
		summaries := []map[string]any{}
		for i := range part {
			summary := a.describe(&part[i])
			delete(summary, "name") // which summaries do not have
			delete(summary, "dataType")
			summaries = append(summaries, summary)
		}
		out = listed("assetPropertySummaries", summaries, next)
		return nil
	})
	return out, err
}
