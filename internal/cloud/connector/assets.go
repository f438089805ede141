package connector

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
)

// workspaceTag names the workspaces of TwinMaker whose player may write to an asset.
// Source: AWS IoT TwinMaker guide, policy of the video player: BatchPutAssetPropertyValue with aws:ResourceTag/EdgeConnectorForKVS.
const workspaceTag = "EdgeConnectorForKVS"

// maxTag bounds the value of a tag, in characters.
const maxTag = 256

// asset is one of the hub or of a camera. One that a dry run would make has no id.
type asset struct {
	id, name string
	child    bool // it is below the hub
}

// assetsOf lists the assets of a model with that name.
func (s *Setup) assetsOf(ctx context.Context, m model, name string) (list []asset, err error) {
	pages := iotsitewise.NewListAssetsPaginator(s.sitewise, &iotsitewise.ListAssetsInput{AssetModelId: &m.id})
	for pages.HasMorePages() {
		page, err := nextPage(ctx, "iotsitewise:ListAssets", "the asset model "+m.name, pages.NextPage)
		if err != nil {
			return nil, err
		}
		for _, a := range page.AssetSummaries {
			if name == "" || aws.ToString(a.Name) == name {
				list = append(list, asset{id: aws.ToString(a.Id), name: aws.ToString(a.Name)})
			}
		}
	}
	return list, nil
}

// related lists the assets above or below an asset.
func (s *Setup) related(ctx context.Context, in iotsitewise.ListAssociatedAssetsInput, about string) (list []asset, err error) {
	pages := iotsitewise.NewListAssociatedAssetsPaginator(s.sitewise, &in)
	for pages.HasMorePages() {
		page, err := nextPage(ctx, "iotsitewise:ListAssociatedAssets", about, pages.NextPage)
		if err != nil {
			return nil, err
		}
		for _, a := range page.AssetSummaries {
			list = append(list, asset{id: aws.ToString(a.Id), name: aws.ToString(a.Name), child: true})
		}
	}
	return list, nil
}

// hub finds the asset of the hub or makes it.
func (s *Setup) hub(ctx context.Context, p Plan, m model) (a asset, err error) {
	var found []asset
	if m.id != "" {
		if found, err = s.assetsOf(ctx, m, p.Hub); err != nil {
			return a, err
		}
	}
	switch len(found) {
	case 0:
		a, err = s.makeAsset(ctx, "hub", p.Hub, p.Workspace, m)
	case 1:
		a = found[0]
		s.note("hub", p.Hub, "exists as asset "+a.id)
		err = s.tagAsset(ctx, "hub", a, p.Workspace)
	default:
		return a, fmt.Errorf("%d assets of the model %s have the name %s: give all but one another name", len(found), shown(m.name), shown(p.Hub))
	}
	if err != nil {
		return a, err
	}
	return a, s.values(ctx, "hub", a, []value{{propertyHubName, p.Hub, nil}})
}

// cameraAssets are those below the hub by their names, and those of the cameras' model that are below none: an earlier run may have ended
// before it put them there.
func (s *Setup) cameraAssets(ctx context.Context, hub asset, m models) (map[string]asset, error) {
	known := map[string]asset{}
	if hub.id == "" {
		return known, nil
	}
	below, err := s.related(ctx, iotsitewise.ListAssociatedAssetsInput{AssetId: &hub.id, HierarchyId: &m.hierarchy}, "the hub "+hub.name)
	if err != nil {
		return nil, err
	}
	for _, a := range below {
		if known[a.name].id != "" {
			return nil, fmt.Errorf("the hub %s has two cameras with the name %s: give one of them another name", shown(hub.name), shown(a.name))
		}
		known[a.name] = a
	}
	return known, nil
}

// orphan finds an asset of that name that is below none. Its id is empty where there is none.
func (s *Setup) orphan(ctx context.Context, m model, name string) (asset, error) {
	found, err := s.assetsOf(ctx, m, name)
	if err != nil {
		return asset{}, err
	}
	for _, a := range found {
		above, err := s.related(ctx, iotsitewise.ListAssociatedAssetsInput{AssetId: &a.id,
			TraversalDirection: types.TraversalDirectionParent}, "the asset "+a.name)
		if err != nil {
			return asset{}, err
		}
		if len(above) == 0 {
			return a, nil
		}
	}
	return asset{}, nil
}

// makeAsset makes an asset, or takes one of that name that is below none: an earlier run may have ended before it put it there.
func (s *Setup) makeAsset(ctx context.Context, kind, name, workspace string, m model) (a asset, err error) {
	if kind == "camera" && m.id != "" {
		if a, err = s.orphan(ctx, m, name); err != nil {
			return a, err
		}
		if a.id != "" {
			s.note(kind, name, "exists as asset "+a.id+", below none")
			return a, s.tagAsset(ctx, kind, a, workspace)
		}
	}
	a = asset{name: name}
	in := iotsitewise.CreateAssetInput{AssetName: &name, AssetModelId: &m.id}
	done := "made"
	if workspace != "" {
		in.Tags = map[string]string{workspaceTag: workspace}
		done += ", with the tag " + workspaceTag + "=" + workspace
	}
	err = s.do(kind, name, done, func() error {
		made, err := call(ctx, "iotsitewise:CreateAsset", "the "+kind, s.sitewise.CreateAsset, &in)
		if err != nil {
			return err
		}
		a.id = aws.ToString(made.AssetId)
		return s.await(ctx, "the asset "+name, func() (state string, done bool, err error) {
			d, err := s.describe(ctx, a)
			if err != nil || d.AssetStatus == nil {
				return "", err == nil, err
			}
			return string(d.AssetStatus.State), d.AssetStatus.State == types.AssetStateActive, nil
		}, string(types.AssetStateFailed), string(types.AssetStateDeleting))
	})
	return a, err
}

func (s *Setup) describe(ctx context.Context, a asset) (*iotsitewise.DescribeAssetOutput, error) {
	return call(ctx, "iotsitewise:DescribeAsset", "the asset "+a.name, s.sitewise.DescribeAsset,
		&iotsitewise.DescribeAssetInput{AssetId: &a.id})
}

// tagAsset adds the workspace to the tag of an asset that exists; other workspaces stay in it.
func (s *Setup) tagAsset(ctx context.Context, kind string, a asset, workspace string) error {
	if workspace == "" || a.id == "" {
		return nil
	}
	described, err := s.describe(ctx, a)
	if err != nil {
		return err
	}
	tags, err := call(ctx, "iotsitewise:ListTagsForResource", "the asset "+a.name, s.sitewise.ListTagsForResource,
		&iotsitewise.ListTagsForResourceInput{ResourceArn: described.AssetArn})
	if err != nil {
		return err
	}
	with, err := withWorkspace(tags.Tags[workspaceTag], workspace)
	if err != nil || with == tags.Tags[workspaceTag] {
		return err
	}
	return s.do(kind, a.name, "given the tag "+workspaceTag+"="+with, func() error {
		_, err := call(ctx, "iotsitewise:TagResource", "the asset "+a.name, s.sitewise.TagResource,
			&iotsitewise.TagResourceInput{ResourceArn: described.AssetArn,
				Tags: map[string]string{workspaceTag: with}})
		return err
	})
}

// withWorkspace adds a workspace to those of a tag. The policy of the player looks for the workspace anywhere in the tag.
func withWorkspace(tag, workspace string) (string, error) {
	for _, one := range strings.Fields(tag) {
		if one == workspace {
			return tag, nil
		}
	}
	with := strings.TrimSpace(tag + " " + workspace)
	if len(with) > maxTag {
		return "", fmt.Errorf("the tag %s has no room for the workspace %s: remove workspaces that are no longer used from it",
			workspaceTag, workspace)
	}
	return with, nil
}

// value is what a property is to have: a text, or a number.
type value struct {
	property, text string
	number         *int
}

func (v value) shown() string {
	if v.number != nil {
		return strconv.Itoa(*v.number)
	}
	return v.text
}

func (v value) variant() *types.Variant {
	if v.number != nil {
		return &types.Variant{IntegerValue: aws.Int32(int32(*v.number))}
	}
	return &types.Variant{StringValue: &v.text}
}

// wanted are the values of a camera's properties.
func (c Camera) wanted(secretARN string) (list []value) {
	list = append(list, value{property: propertyStream, text: c.Stream}, value{property: propertySecret, text: secretARN})
	for _, start := range []struct {
		property string
		text     *string
	}{{propertyCaptureStart, c.CaptureStart}, {propertyLiveStart, c.LiveStart}} {
		if start.text != nil {
			list = append(list, value{property: start.property, text: *start.text})
		}
	}
	for _, v := range []value{{property: propertyRetention, number: c.RetentionMinutes},
		{property: propertyCaptureMinutes, number: c.CaptureMinutes}, {property: propertyLiveMinutes, number: c.LiveMinutes}} {
		if v.number != nil {
			list = append(list, v)
		}
	}
	return list
}

// values writes those values of an asset's properties that it does not have.
func (s *Setup) values(ctx context.Context, kind string, a asset, wanted []value) error {
	var properties []types.AssetProperty
	if a.id != "" {
		described, err := s.describe(ctx, a)
		if err != nil {
			return err
		}
		properties = described.AssetProperties
	}
	for _, v := range wanted {
		p := propertyOf(properties, v.property)
		if a.id != "" && p == nil && kind == "hub" {
			continue // a model of somebody else's may name its hubs in another way
		}
		if a.id != "" && p == nil {
			return fmt.Errorf("its asset has no property %s", v.property)
		}
		at := s.o.Now()
		if p != nil {
			has, latest, err := s.has(ctx, a, p, v)
			if err != nil {
				return err
			}
			if has {
				continue
			}
			if !latest.Before(at) { // the clock of this machine is behind
				at = latest.Add(time.Millisecond)
			}
		}
		if err := s.do(kind, a.name, "given "+v.property+"="+shown(v.shown()), func() error { return s.put(ctx, a, p, v, at) }); err != nil {
			return err
		}
	}
	return nil
}

// propertyOf finds a property, whatever the case of its name, as the component does.
func propertyOf(list []types.AssetProperty, name string) *types.AssetProperty {
	for i := range list {
		if strings.EqualFold(aws.ToString(list[i].Name), name) {
			return &list[i]
		}
	}
	return nil
}

// has reports whether a property has a value already, and the time of the value that it has.
func (s *Setup) has(ctx context.Context, a asset, p *types.AssetProperty, v value) (has bool, at time.Time, err error) {
	out, err := call(ctx, "iotsitewise:GetAssetPropertyValue", "the asset "+a.name, s.sitewise.GetAssetPropertyValue,
		&iotsitewise.GetAssetPropertyValueInput{AssetId: &a.id, PropertyId: p.Id})
	if isKind(err, awserr.NotFound) {
		return false, at, nil
	}
	if err != nil || out.PropertyValue == nil || out.PropertyValue.Value == nil {
		return false, at, err
	}
	if t := out.PropertyValue.Timestamp; t != nil {
		at = time.Unix(aws.ToInt64(t.TimeInSeconds), int64(aws.ToInt32(t.OffsetInNanos)))
	}
	got, want := out.PropertyValue.Value, v.variant()
	if want.IntegerValue != nil {
		return got.IntegerValue != nil && *got.IntegerValue == *want.IntegerValue, at, nil
	}
	return got.StringValue != nil && *got.StringValue == *want.StringValue, at, nil
}

// put writes a value of that time, which has to be later than that of every other one: the value of an attribute is the latest one, and
// the default value of a model has the time at which the asset was made.
func (s *Setup) put(ctx context.Context, a asset, p *types.AssetProperty, v value, at time.Time) error {
	out, err := call(ctx, "iotsitewise:BatchPutAssetPropertyValue", "the asset "+a.name, s.sitewise.BatchPutAssetPropertyValue,
		&iotsitewise.BatchPutAssetPropertyValueInput{
			Entries: []types.PutAssetPropertyValueEntry{{EntryId: aws.String("1"), AssetId: &a.id, PropertyId: p.Id,
				PropertyValues: []types.AssetPropertyValue{{Value: v.variant(), Quality: types.QualityGood,
					Timestamp: &types.TimeInNanos{TimeInSeconds: aws.Int64(at.Unix()), OffsetInNanos: aws.Int32(int32(at.Nanosecond()))}}}}}})
	if err != nil {
		return err
	}
	for _, entry := range out.ErrorEntries {
		for _, e := range entry.Errors {
			return fmt.Errorf("SiteWise does not accept the value %q of %s (%s: %s): correct it, and check the clock of this machine",
				shown(v.shown()), v.property, e.ErrorCode, shown(aws.ToString(e.ErrorMessage)))
		}
	}
	return nil
}

// notify has requests for video published, of which the hub learns that way.
func (s *Setup) notify(ctx context.Context, a asset) error {
	var p *types.AssetProperty
	if a.id != "" {
		described, err := s.describe(ctx, a)
		if err != nil {
			return err
		}
		p = propertyOf(described.AssetProperties, propertyRequest)
		if p == nil {
			return fmt.Errorf("its asset has no property %s", propertyRequest)
		}
		if p.Notification != nil && p.Notification.State == types.PropertyNotificationStateEnabled {
			return nil
		}
	}
	return s.do("camera", a.name, "given notifications of "+propertyRequest, func() error {
		_, err := call(ctx, "iotsitewise:UpdateAssetProperty", "the asset "+a.name, s.sitewise.UpdateAssetProperty,
			&iotsitewise.UpdateAssetPropertyInput{AssetId: &a.id, PropertyId: p.Id,
				PropertyNotificationState: types.PropertyNotificationStateEnabled,
				PropertyAlias:             p.Alias, PropertyUnit: p.Unit}) // which a request without them would remove
		return err
	})
}
