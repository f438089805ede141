package sitewise

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// Camera is the asset of a camera of the component aws.iot.EdgeConnectorForKVS, for services that show assets.
type Camera struct {
	Asset, Model, Name string
	Created, Updated   time.Time
	Properties         []CameraProperty
}

// CameraProperty is one of a Camera.
type CameraProperty struct{ ID, Name, DataType string }

// Value of a property. Text, Integer, Double and Boolean are nil but for one.
type Value struct {
	Time    time.Time
	Text    *string
	Integer *int64
	Double  *float64
	Boolean *bool
}

// isCamera reports whether an asset is of a camera model.
func (d State) isCamera(a *asset) bool { return strings.HasPrefix(d.Models[a.Model].Name, CameraModel) }

// inWorkspace reports whether the tag of a resource names a workspace of TwinMaker; it may name several.
func (r *resource) inWorkspace(workspace string) bool {
	return slices.Contains(strings.FieldsFunc(r.Tags[workspaceTag], func(c rune) bool {
		return c != '-' && c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}), workspace)
}

// HasWorkspace reports whether a hub or a camera is tagged with a workspace.
func (s *Service) HasWorkspace(workspace string) (found bool) {
	_ = request{Service: s, now: s.o.Now()}.view(func(d State) error {
		for _, a := range d.Assets {
			found = found || a.inWorkspace(workspace)
		}
		return nil
	})
	return found
}

// Camera finds the asset of a camera that is tagged with a workspace.
func (s *Service) Camera(workspace, id string) (c Camera, found bool) {
	_ = request{Service: s, now: s.o.Now()}.view(func(d State) error {
		a := d.Assets[id]
		if found = a != nil && d.isCamera(a) && a.inWorkspace(workspace); !found {
			return nil
		}
		c = Camera{Asset: a.ID, Model: a.Model, Name: a.Name, Created: a.Created, Updated: a.Updated}
		for _, p := range d.Models[a.Model].Properties {
			c.Properties = append(c.Properties, CameraProperty{p.ID, p.Name, p.DataType})
		}
		return nil
	})
	return c, found
}

// History returns at most limit values of a property with good quality: those after start, up to and with end, and after an earlier
// page, whose token is "" for the first one. The zero time is not a limit.
func (s *Service) History(asset, property string, start, end time.Time, descending bool, after string, limit int) (
	list []Value, next string, err error,
) {
	r := request{Service: s, now: s.o.Now()}
	wanted := span{Qualities: []string{qualityGood}}
	if !start.IsZero() {
		wanted.Start = &date{instantOf(start)}
	}
	if !end.IsZero() {
		wanted.End = &date{instantOf(end)}
	}
	if descending {
		wanted.Order = "DESCENDING"
	}
	var from *position
	if err := readToken(after, &from); err != nil {
		return nil, "", err
	}
	values, more := r.after(wanted, key{asset, property}, from, limit)
	for _, v := range values {
		list = append(list, Value{v.Time.time(), v.Value.String, v.Value.Integer, v.Value.Double, v.Value.Boolean})
	}
	if more {
		next = token(endOf(0, values))
	}
	return list, next, nil
}
