package sitewise

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Cloud is SiteWise as the source reads it; see cloud/sitewise.Client.
type Cloud interface {
	Asset(ctx context.Context, id string) (cloud.Asset, error)
	ModelName(ctx context.Context, id string) (string, error)
	Children(ctx context.Context, asset, hierarchy string) ([]string, error)
	Values(ctx context.Context, refs []cloud.Ref) (map[cloud.Ref]cloud.Value, error)
}

// hubModel is how the name of a hub asset's model begins. The edge connector compares it in the same way.
const hubModel = "EdgeConnectorForKVSHubModel"

// maxCameras bounds the cameras of a hub. Source: SiteWise quotas, children of an asset: 2,000.
const maxCameras = 2000

// Read is what was read of a camera asset.
type Read struct {
	Asset
	Changed time.Time // when the newest of its attributes was written
	Err     error     // why it could not be read; then only the ID is known
	// Missing are properties that its model lacks.
	Missing []string
	// Topic is where requests are published; empty where the notification of VideoUploadRequest is off.
	Topic string
}

// HubRead is what was read of the hub.
type HubRead struct {
	Name    string
	Cameras []Read // sorted by name
}

// ReadHub reads the hub's asset and the assets of its cameras. The error says that it is not known which cameras there are; a
// camera that cannot be read has an error of its own.
func ReadHub(ctx context.Context, c Cloud, hub string) (HubRead, error) {
	asset, err := c.Asset(ctx, hub)
	if err != nil {
		return HubRead{}, err
	}
	model, err := c.ModelName(ctx, asset.ModelID)
	if err != nil {
		return HubRead{}, err
	}
	if !strings.HasPrefix(model, hubModel) {
		return HubRead{}, health.UserFault(codeHub, nil, "The asset %s (%s) is of the model %q, but the model of a hub begins with %s: "+
			"correct %s.", hub, asset.Name, model, hubModel, Setting)
	}
	read := HubRead{Name: asset.Name}
	seen := make(map[string]bool)
	for _, hierarchy := range asset.Hierarchies {
		children, err := c.Children(ctx, hub, hierarchy)
		if err != nil {
			return HubRead{}, err
		}
		for _, id := range children {
			if seen[id] || len(seen) >= maxCameras {
				continue
			}
			seen[id] = true
			if one := readCamera(ctx, c, id); !cloud.IsNotFound(one.Err) { // else it was deleted meanwhile
				read.Cameras = append(read.Cameras, one)
			}
			if ctx.Err() != nil {
				return HubRead{}, ctx.Err()
			}
		}
	}
	readValues(ctx, c, read.Cameras)
	sort.Slice(read.Cameras, func(i, j int) bool {
		a, b := &read.Cameras[i], &read.Cameras[j]
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) < 0
	})
	return read, ctx.Err()
}

// readCamera reads an asset without its values.
func readCamera(ctx context.Context, c Cloud, id string) Read {
	r := Read{Asset: Asset{ID: id, Properties: make(map[string]string), Values: make(map[string]string)}}
	asset, err := c.Asset(ctx, id)
	if err != nil {
		r.Err = err
		return r
	}
	r.Name = asset.Name
	for _, name := range Names() {
		i := slices.IndexFunc(asset.Properties, func(p cloud.Property) bool { return p.Name == name })
		if i < 0 {
			i = slices.IndexFunc(asset.Properties, func(p cloud.Property) bool { return strings.EqualFold(p.Name, name) })
		}
		if i < 0 {
			r.Missing = append(r.Missing, name)
			continue
		}
		r.Properties[name] = asset.Properties[i].ID
		if name == UploadRequest {
			r.Topic = asset.Properties[i].Topic
		}
	}
	return r
}

// readValues reads the attributes of all cameras together; where that fails, camera by camera.
func readValues(ctx context.Context, c Cloud, cameras []Read) {
	var refs []cloud.Ref
	for i := range cameras {
		refs = append(refs, cameras[i].refs()...)
	}
	values, err := c.Values(ctx, refs)
	for i := range cameras {
		one := &cameras[i]
		if one.Err != nil {
			continue
		}
		own := values
		if err != nil {
			if own, one.Err = c.Values(ctx, one.refs()); one.Err != nil {
				continue
			}
		}
		one.take(own)
	}
}

// refs are the attributes of a camera.
func (r *Read) refs() (refs []cloud.Ref) {
	if r.Err != nil {
		return nil
	}
	for _, a := range attributes {
		if id := r.Properties[a.name]; id != "" {
			refs = append(refs, cloud.Ref{Asset: r.ID, Property: id})
		}
	}
	return refs
}

// take takes the values of a camera over.
func (r *Read) take(values map[cloud.Ref]cloud.Value) {
	for _, a := range attributes {
		v := values[cloud.Ref{Asset: r.ID, Property: r.Properties[a.name]}]
		if text, known := textOf(v); known {
			r.Values[a.name] = text
			if v.Time.After(r.Changed) {
				r.Changed = v.Time
			}
		}
	}
}
