package sitewise

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// State is what is kept on disk beside the values of properties, by id.
type State struct {
	Models map[string]*model `json:"models"`
	Assets map[string]*asset `json:"assets"`
}

// NewState returns one without anything.
func NewState() State { return State{Models: map[string]*model{}, Assets: map[string]*asset{}} }

// The states of models and assets.
const (
	stateActive   = "ACTIVE"
	stateCreating = "CREATING"
	stateDeleting = "DELETING"
)

// resource is what models and assets have in common.
type resource struct {
	ID          string            `json:"id"`
	ExternalID  string            `json:"external_id,omitempty"`
	ARN         string            `json:"arn"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`
	Ready       time.Time         `json:"ready"`              // until then it is CREATING
	Gone        time.Time         `json:"gone,omitzero"`      // from then on it is not found, and DELETING before
	Tags        map[string]string `json:"tags,omitempty"`     //
	Token       string            `json:"token,omitempty"`    // clientToken of the request that made it
	Requested   string            `json:"requested,omitzero"` // that request
}

// state is the resource's at a time.
func (r *resource) state(now time.Time) string {
	switch {
	case !r.Gone.IsZero():
		return stateDeleting
	case now.Before(r.Ready):
		return stateCreating
	}
	return stateActive
}

// status renders the state as answers have it.
func (r *resource) status(now time.Time) map[string]string {
	return map[string]string{"state": r.state(now)}
}

// settled refuses a change of a resource that is CREATING or DELETING.
func (r *resource) settled(now time.Time, where string) error {
	if state := r.state(now); state != stateActive {
		return refusedFor(sitewisemodel.Conflict, where, r.ID, r.ARN, "%s is in state %s and not ACTIVE.", r.ARN, state)
	}
	return nil
}

// model is an asset model.
type model struct {
	resource
	Kind        string      `json:"kind"`
	Properties  []property  `json:"properties,omitempty"`
	Hierarchies []hierarchy `json:"hierarchies,omitempty"`
}

// property is one of a model.
type property struct {
	ID         string       `json:"id"`
	ExternalID string       `json:"externalId,omitempty"`
	Name       string       `json:"name"`
	DataType   string       `json:"dataType"`
	Unit       string       `json:"unit,omitempty"`
	Type       propertyType `json:"type"`
}

// propertyType says where values come from; one of its members is not nil.
type propertyType struct {
	Attribute   *attribute   `json:"attribute,omitempty"`
	Measurement *measurement `json:"measurement,omitempty"`
	Transform   *struct{}    `json:"transform,omitempty"`
	Metric      *struct{}    `json:"metric,omitempty"`
}

type attribute struct {
	DefaultValue string `json:"defaultValue,omitempty"`
}

type measurement struct {
	ProcessingConfig *processingConfig `json:"processingConfig,omitempty"`
}

type processingConfig struct {
	ForwardingConfig struct {
		State string `json:"state"`
	} `json:"forwardingConfig"`
}

// hierarchy is what assets of a model may have as children.
type hierarchy struct {
	ID         string `json:"id"`
	ExternalID string `json:"externalId,omitempty"`
	Name       string `json:"name"`
	Child      string `json:"childAssetModelId"`
}

// asset is one of a model.
type asset struct {
	resource
	Model    string              `json:"model"`
	Settings map[string]*setting `json:"settings,omitempty"` // by the id of the property
	Children map[string][]string `json:"children,omitempty"` // assets, by the id of the hierarchy
}

// setting is what UpdateAssetProperty sets of a property of an asset.
type setting struct {
	Alias    string `json:"alias,omitempty"`
	Unit     string `json:"unit,omitempty"`
	Notifies bool   `json:"notifies,omitempty"`
}

// sweep forgets what is gone.
func (d State) sweep(now time.Time) {
	maps.DeleteFunc(d.Assets, func(_ string, a *asset) bool { return !a.Gone.IsZero() && !now.Before(a.Gone) })
	maps.DeleteFunc(d.Models, func(_ string, m *model) bool { return !m.Gone.IsZero() && !now.Before(m.Gone) })
}

// external is what an id begins with that is an external one.
const external = "externalId:"

// is reports whether an id, which may be an external one, names the resource.
func (r *resource) is(id string) bool { return same(id, r.ID, r.ExternalID) }

func same(id, uuid, externalID string) bool {
	if theirs, ok := strings.CutPrefix(id, external); ok {
		return theirs == externalID
	}
	return id == uuid
}

func (d State) model(id, where string) (*model, error) {
	for _, m := range d.Models {
		if m.is(id) {
			return m, nil
		}
	}
	return nil, refused(sitewisemodel.ResourceNotFound, where, "Asset model with id %s not found.", id)
}

func (d State) asset(id, where string) (*asset, error) {
	for _, a := range d.Assets {
		if a.is(id) {
			return a, nil
		}
	}
	return nil, refused(sitewisemodel.ResourceNotFound, where, "Asset with id %s not found.", id)
}

// property finds a property of an asset; the setting is never nil, and must not be changed.
func (d State) property(a *asset, id string) (*property, *setting, error) {
	m := d.Models[a.Model]
	for i := range m.Properties {
		if p := &m.Properties[i]; same(id, p.ID, p.ExternalID) {
			return p, cmp.Or(a.Settings[p.ID], &setting{}), nil
		}
	}
	return nil, nil, refused(sitewisemodel.ResourceNotFound, "propertyId", "Property with id %s not found in asset %s.", id, a.ID)
}

// byAlias finds the property of an asset that has an alias.
func (d State) byAlias(alias string) (*asset, *property) {
	for _, a := range d.Assets {
		for id, s := range a.Settings {
			if s.Alias != alias {
				continue
			}
			if p, _, err := d.property(a, id); err == nil {
				return a, p
			}
		}
	}
	return nil, nil
}

// parent finds the asset and the hierarchy that an asset is a child in.
func (d State) parent(child string) (parent *asset, hierarchy string) {
	for _, a := range d.Assets {
		for id, children := range a.Children {
			if slices.Contains(children, child) {
				return a, id
			}
		}
	}
	return nil, ""
}

func (m *model) hierarchy(id string) (*hierarchy, error) {
	for i := range m.Hierarchies {
		if h := &m.Hierarchies[i]; same(id, h.ID, h.ExternalID) {
			return h, nil
		}
	}
	return nil, refused(sitewisemodel.ResourceNotFound, "hierarchyId", "Hierarchy with id %s not found in asset model %s.", id, m.ID)
}

// view reads the state without what is gone.
func (r request) view(read func(State) error) error {
	return r.o.State.View(func(d State) error {
		d.sweep(r.now)
		return read(d)
	})
}

// update changes the state, from which what is gone has been removed.
func (r request) update(change func(State) error) error {
	return r.o.State.Update(func(d State) error {
		d.sweep(r.now)
		return change(d)
	})
}

// newResource returns a resource that is CREATING.
func (r request) newResource(kind, id, externalID, name, description string, tags map[string]string) (resource, error) {
	if id == sitewisemodel.NoID {
		return resource{}, refused(sitewisemodel.InvalidRequest, "id", "The id of zeros cannot be used.")
	}
	id = cmp.Or(id, awsapi.RequestID())
	return resource{ID: id, ExternalID: externalID, ARN: r.o.Home.ARN(awsapi.SiteWise, kind+"/"+id), Name: name, Description: description,
		Created: r.now, Updated: r.now, Ready: r.now.Add(max(r.o.Delay, 0)), Tags: tags}, checkTags(tags)
}

// remove marks a resource for deletion, after which it is DELETING for a while.
func (r request) remove(of *resource) { of.Gone = r.now.Add(max(r.o.Delay, 0)) }
