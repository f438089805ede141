package sitewise

import (
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// maxChildren is the number of child assets of a parent. Source: SiteWise quotas.
const maxChildren = 2000

type associationInput struct {
	ID        string `json:"assetId"`
	Hierarchy string `json:"hierarchyId"`
	Child     string `json:"childAssetId"`
}

// ends finds what an association is about.
func (in associationInput) ends(d State, r request) (parent, child *asset, h *hierarchy, err error) {
	if parent, err = d.asset(in.ID, "assetId"); err != nil {
		return nil, nil, nil, err
	}
	if child, err = d.asset(in.Child, "childAssetId"); err != nil {
		return nil, nil, nil, err
	}
	if h, err = d.Models[parent.Model].hierarchy(in.Hierarchy); err != nil {
		return nil, nil, nil, err
	}
	if err = parent.settled(r.now, "assetId"); err == nil {
		err = child.settled(r.now, "childAssetId")
	}
	return parent, child, h, err
}

func (r request) associateAssets(in associationInput) (any, error) {
	return nil, r.update(func(d State) error {
		parent, child, h, err := in.ends(d, r)
		if err != nil {
			return err
		}
		had, _ := d.parent(child.ID)
		switch {
		case child.Model != h.Child:
			return refused(sitewisemodel.InvalidRequest, "childAssetId", "Hierarchy %s takes assets of asset model %s, and asset %s is of %s.",
				h.ID, h.Child, child.ID, child.Model)
		case slices.Contains(parent.Children[h.ID], child.ID):
			return refusedFor(sitewisemodel.AlreadyExists, "childAssetId", child.ID, child.ARN, "Asset %s is associated already.", child.ID)
		case had != nil:
			return refused(sitewisemodel.InvalidRequest, "childAssetId", "Asset %s has a parent already, asset %s.", child.ID, had.ID)
		case d.above(parent, child.ID):
			return refused(sitewisemodel.InvalidRequest, "childAssetId", "Asset %s would be below itself.", child.ID)
		case len(parent.allChildren()) >= maxChildren:
			return refused(sitewisemodel.LimitExceeded, "childAssetId", "Asset %s has %d children, and no more are allowed.", parent.ID, maxChildren)
		}
		parent.Children[h.ID] = append(parent.Children[h.ID], child.ID)
		parent.Updated = r.now
		return nil
	})
}

// above reports whether an asset is another one, or above it.
func (d State) above(a *asset, id string) bool {
	for ; a != nil; a, _ = d.parent(a.ID) {
		if a.ID == id {
			return true
		}
	}
	return false
}

// allChildren lists the children of all hierarchies.
func (a *asset) allChildren() (list []string) {
	for _, children := range a.Children {
		list = append(list, children...)
	}
	return list
}

func (r request) disassociateAssets(in associationInput) (any, error) {
	return nil, r.update(func(d State) error {
		parent, child, h, err := in.ends(d, r)
		if err != nil {
			return err
		}
		children := parent.Children[h.ID]
		i := slices.Index(children, child.ID)
		if i < 0 {
			return refused(sitewisemodel.ResourceNotFound, "childAssetId", "Asset %s is not associated with asset %s.", child.ID, parent.ID)
		}
		parent.Children[h.ID] = slices.Delete(children, i, i+1)
		parent.Updated = r.now
		return nil
	})
}

type listAssociatedInput struct {
	page
	ID        string `json:"assetId"`
	Hierarchy string `json:"hierarchyId"`
	Direction string `json:"traversalDirection"`
}

func (r request) listAssociatedAssets(in listAssociatedInput) (any, error) {
	var out map[string]any
	err := r.view(func(d State) error {
		a, err := d.asset(in.ID, "assetId")
		if err != nil {
			return err
		}
		ids := a.allChildren()
		switch {
		case in.Direction == "PARENT" && in.Hierarchy != "":
			return refused(sitewisemodel.InvalidRequest, "hierarchyId", "A hierarchyId is for the direction CHILD only.")
		case in.Direction == "PARENT":
			ids = nil
			if parent, _ := d.parent(a.ID); parent != nil {
				ids = []string{parent.ID}
			}
		case in.Hierarchy != "":
			h, err := d.Models[a.Model].hierarchy(in.Hierarchy)
			if err != nil {
				return err
			}
			ids = slices.Clone(a.Children[h.ID])
		}
		slices.Sort(ids)
		var list []*asset
		for _, id := range ids {
			list = append(list, d.Assets[id])
		}
		out, err = r.listAssetsOf(d, list, in.page)
		return err
	})
	return out, err
}
