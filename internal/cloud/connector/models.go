package connector

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"
)

// The names of the models, to which four digits are added. The component takes a model as the hub's whose name begins like this, and its
// script takes one as existing whose name has it anywhere.
const (
	hubModel    = "EdgeConnectorForKVSHubModel"
	cameraModel = "EdgeConnectorForKVSCameraModel"
	hierarchy   = "ConnectedCameras"
)

// The properties of a camera that are written here.
const (
	propertyStream         = "KinesisVideoStreamName"
	propertySecret         = "RTSPStreamSecretARN"
	propertyRetention      = "LocalDataRetentionPeriodInMinutes"
	propertyLiveStart      = "LiveStreamingStartTime"
	propertyLiveMinutes    = "LiveStreamingDurationInMinutes"
	propertyCaptureStart   = "CaptureStartTime"
	propertyCaptureMinutes = "CaptureDurationInMinutes"
	propertyRequest        = "VideoUploadRequest"
	propertyHubName        = "HubName"
)

// cameraProperties are those of the model, in the order in which the component's script makes them.
var cameraProperties = []types.AssetModelPropertyDefinition{
	attribute(propertyStream, types.PropertyDataTypeString, "<Replace with KVS stream name>"),
	attribute(propertySecret, types.PropertyDataTypeString, "<Replace with Secret Arn including RTSP Stream URL>"),
	attribute(propertyRetention, types.PropertyDataTypeInteger, "60"),
	attribute(propertyLiveStart, types.PropertyDataTypeString, never),
	attribute(propertyLiveMinutes, types.PropertyDataTypeInteger, "0"),
	attribute(propertyCaptureStart, types.PropertyDataTypeString, never),
	attribute(propertyCaptureMinutes, types.PropertyDataTypeInteger, "0"),
	measurement(propertyRequest, types.PropertyDataTypeString),
	measurement("VideoUploadedTimeRange", types.PropertyDataTypeDouble),
	measurement("VideoRecordedTimeRange", types.PropertyDataTypeDouble),
	measurement("CachedVideoAgeOutOnEdge", types.PropertyDataTypeDouble),
}

var hubProperties = []types.AssetModelPropertyDefinition{attribute(propertyHubName, types.PropertyDataTypeString, "Hub Name")}

func attribute(name string, kind types.PropertyDataType, value string) types.AssetModelPropertyDefinition {
	return types.AssetModelPropertyDefinition{Name: &name, DataType: kind,
		Type: &types.PropertyType{Attribute: &types.Attribute{DefaultValue: &value}}}
}

func measurement(name string, kind types.PropertyDataType) types.AssetModelPropertyDefinition {
	return types.AssetModelPropertyDefinition{Name: &name, DataType: kind, Type: &types.PropertyType{Measurement: &types.Measurement{}}}
}

// model is an asset model. One that a dry run would make has no id.
type model struct{ id, name string }

// models are those of the hub and of its cameras.
type models struct {
	hub, camera model
	hierarchy   string // its id; empty before the model of the hub is made
}

// findModels finds the models or makes them.
func (s *Setup) findModels(ctx context.Context, hubName string) (m models, err error) {
	all, err := s.listModels(ctx)
	if err != nil {
		return m, err
	}
	if m.hub, err = s.chooseHubModel(ctx, all, hubName); err != nil {
		return m, err
	}
	if m.hub.id != "" {
		m.camera, m.hierarchy, err = s.below(ctx, m.hub)
		return m, err
	}
	cameras := named(all, cameraModel)
	if len(cameras) > 0 {
		m.camera = cameras[0]
		s.recognised(m.camera, cameraModel, len(cameras)-1)
		err = s.checkModel(ctx, m.camera, cameraProperties)
	} else {
		m.camera, err = s.makeModel(ctx, cameraModel, "Camera Device for EdgeConnectorForKVS", cameraProperties, nil)
	}
	if err != nil {
		return m, err
	}
	below := []types.AssetModelHierarchyDefinition{{Name: aws.String(hierarchy), ChildAssetModelId: aws.String(m.camera.id)}}
	if m.hub, err = s.makeModel(ctx, hubModel, "Hub Device for EdgeConnectorForKVS", hubProperties, below); err != nil || m.hub.id == "" {
		return m, err
	}
	_, m.hierarchy, err = s.below(ctx, m.hub)
	return m, err
}

// listModels lists all models, the oldest one first.
func (s *Setup) listModels(ctx context.Context) (list []model, err error) {
	var all []types.AssetModelSummary
	pages := iotsitewise.NewListAssetModelsPaginator(s.sitewise, &iotsitewise.ListAssetModelsInput{})
	for pages.HasMorePages() {
		page, err := nextPage(ctx, "iotsitewise:ListAssetModels", "the asset models", pages.NextPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page.AssetModelSummaries...)
	}
	slices.SortStableFunc(all, func(a, b types.AssetModelSummary) int {
		return cmp.Or(aws.ToTime(a.CreationDate).Compare(aws.ToTime(b.CreationDate)), cmp.Compare(aws.ToString(a.Id), aws.ToString(b.Id)))
	})
	for _, m := range all {
		list = append(list, model{aws.ToString(m.Id), aws.ToString(m.Name)})
	}
	return list, nil
}

// named are the models with a text in their names, as the component's script finds them.
func named(all []model, text string) (list []model) {
	for _, m := range all {
		if strings.Contains(m.name, text) {
			list = append(list, m)
		}
	}
	return list
}

// chooseHubModel finds the model of the hub: the one that its asset has, or else the oldest one. Its id is empty where there is none.
func (s *Setup) chooseHubModel(ctx context.Context, all []model, hubName string) (chosen model, err error) {
	var fit []model
	for _, m := range named(all, hubModel) {
		if strings.HasPrefix(m.name, hubModel) {
			fit = append(fit, m)
			continue
		}
		s.note("asset model", m.name, "left alone: no hub can be of it, as its name has "+hubModel+" in it but does not begin with it")
	}
	if len(fit) == 0 {
		return model{}, nil
	}
	chosen = fit[0]
	if len(fit) > 1 {
		for _, m := range fit {
			found, err := s.assetsOf(ctx, m, hubName)
			if err != nil {
				return model{}, err
			}
			if len(found) > 0 {
				chosen = m
				break
			}
		}
	}
	s.recognised(chosen, hubModel, len(fit)-1)
	return chosen, s.checkModel(ctx, chosen, nil)
}

// recognised says which model that exists is taken.
func (s *Setup) recognised(m model, by string, others int) {
	why := "exists: taken, as its name has " + by + " in it"
	if others > 0 {
		why += fmt.Sprintf("; so have %d others, which are left alone", others)
	}
	s.note("asset model", m.name, why)
}

// below returns the model of the cameras of a hub's model, and the hierarchy that they are in.
func (s *Setup) below(ctx context.Context, hub model) (camera model, id string, err error) {
	described, err := s.describeModel(ctx, hub.id)
	if err != nil {
		return model{}, "", err
	}
	hierarchies := described.AssetModelHierarchies
	slices.SortStableFunc(hierarchies, func(a, b types.AssetModelHierarchy) int { // the one of the usual name first
		return cmp.Compare(map[bool]int{false: 1}[aws.ToString(a.Name) == hierarchy], map[bool]int{false: 1}[aws.ToString(b.Name) == hierarchy])
	})
	for _, h := range hierarchies {
		child, err := s.describeModel(ctx, aws.ToString(h.ChildAssetModelId))
		if err != nil {
			return model{}, "", err
		}
		camera = model{aws.ToString(child.AssetModelId), aws.ToString(child.AssetModelName)}
		if aws.ToString(h.Name) == hierarchy || strings.Contains(camera.name, cameraModel) {
			return camera, aws.ToString(h.Id), s.checkModel(ctx, camera, cameraProperties)
		}
	}
	return model{}, "", fmt.Errorf("the asset model %s has no hierarchy for cameras: add one that is named %s, or give the model another "+
		"name, so that a new one is made", shown(hub.name), hierarchy)
}

func (s *Setup) describeModel(ctx context.Context, id string) (*iotsitewise.DescribeAssetModelOutput, error) {
	return call(ctx, "iotsitewise:DescribeAssetModel", "the asset model "+id, s.sitewise.DescribeAssetModel,
		&iotsitewise.DescribeAssetModelInput{AssetModelId: &id})
}

// checkModel fails for a model that exists and cannot be used: it has to have the properties, whatever the case of their names.
func (s *Setup) checkModel(ctx context.Context, m model, wanted []types.AssetModelPropertyDefinition) error {
	described, err := s.awaitModel(ctx, m.id)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		i := slices.IndexFunc(described.AssetModelProperties, func(p types.AssetModelProperty) bool {
			return strings.EqualFold(aws.ToString(p.Name), aws.ToString(w.Name))
		})
		switch {
		case i < 0:
			return fmt.Errorf("the asset model %s has no property %s: add it (%s), or give the model another name, so that a new one is made",
				shown(m.name), *w.Name, w.DataType)
		case described.AssetModelProperties[i].DataType != w.DataType:
			return fmt.Errorf("the property %s of the asset model %s is %s, but must be %s: give the model another name, so that a new one is made",
				*w.Name, shown(m.name), described.AssetModelProperties[i].DataType, w.DataType)
		}
	}
	return nil
}

// makeModel makes a model with four random digits in its name, as the component's script does.
func (s *Setup) makeModel(ctx context.Context, prefix, description string, properties []types.AssetModelPropertyDefinition,
	below []types.AssetModelHierarchyDefinition,
) (m model, err error) {
	digits := make([]byte, 2)
	if _, err := rand.Read(digits); err != nil {
		return m, err
	}
	m.name = prefix + "-" + hex.EncodeToString(digits)
	err = s.do("asset model", m.name, "made", func() error {
		made, err := call(ctx, "iotsitewise:CreateAssetModel", "the asset model "+m.name, s.sitewise.CreateAssetModel,
			&iotsitewise.CreateAssetModelInput{AssetModelName: &m.name,
				AssetModelDescription: &description, AssetModelProperties: properties, AssetModelHierarchies: below})
		if err != nil {
			return err
		}
		m.id = aws.ToString(made.AssetModelId)
		_, err = s.awaitModel(ctx, m.id)
		return err
	})
	return m, err
}

// awaitModel waits until a model can be used.
func (s *Setup) awaitModel(ctx context.Context, id string) (described *iotsitewise.DescribeAssetModelOutput, err error) {
	err = s.await(ctx, "the asset model "+id, func() (state string, done bool, err error) {
		if described, err = s.describeModel(ctx, id); err != nil || described.AssetModelStatus == nil {
			return "", err == nil, err
		}
		state = string(described.AssetModelStatus.State)
		return state, state == string(types.AssetModelStateActive), nil
	}, string(types.AssetModelStateFailed), string(types.AssetModelStateDeleting))
	return described, err
}
