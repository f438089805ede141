package sitewise

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// The names of the models that the component aws.iot.EdgeConnectorForKVS works with. Its script adds four digits to them; those
// of a seed have zeros.
const (
	HubModel     = "EdgeConnectorForKVSHubModel"
	CameraModel  = "EdgeConnectorForKVSCameraModel"
	modelSuffix  = "-0000"
	workspaceTag = "EdgeConnectorForKVS"
	hierarchyOf  = "ConnectedCameras"
)

// Times in the properties of a camera.
const (
	never       = "-"
	requestName = "VideoUploadRequest"
)

// SeedHub is a hub asset with its cameras, of the models of the component aws.iot.EdgeConnectorForKVS.
type SeedHub struct {
	ID        string       `json:"asset_id"` // "" = one that follows from the name
	Name      string       `json:"name"`
	Workspace string       `json:"workspace"` // TwinMaker's, whose player may ask for video; "" = none
	Cameras   []SeedCamera `json:"cameras"`
}

// SeedCamera is the asset of a camera. Members that are "" and 0 keep the default values of the model.
type SeedCamera struct {
	ID               string `json:"asset_id"`
	Name             string `json:"name"`
	Stream           string `json:"stream"`
	Secret           string `json:"secret_arn"`
	RetentionMinutes int    `json:"retention_minutes"`
	CaptureStart     string `json:"capture_start"`
	CaptureMinutes   int    `json:"capture_minutes"`
	LiveStart        string `json:"live_start"`
	LiveMinutes      int    `json:"live_minutes"`
}

// cameraProperties are those of the model, as the component's script makes it.
var cameraProperties = []property{
	attributeOf("KinesisVideoStreamName", "STRING", "<Replace with KVS stream name>"),
	attributeOf("RTSPStreamSecretARN", "STRING", "<Replace with Secret Arn including RTSP Stream URL>"),
	attributeOf("LocalDataRetentionPeriodInMinutes", "INTEGER", "60"),
	attributeOf("LiveStreamingStartTime", "STRING", never),
	attributeOf("LiveStreamingDurationInMinutes", "INTEGER", "0"),
	attributeOf("CaptureStartTime", "STRING", never),
	attributeOf("CaptureDurationInMinutes", "INTEGER", "0"),
	measurementOf(requestName, "STRING"),
	measurementOf("VideoUploadedTimeRange", "DOUBLE"),
	measurementOf("VideoRecordedTimeRange", "DOUBLE"),
	measurementOf("CachedVideoAgeOutOnEdge", "DOUBLE"),
}

func attributeOf(name, dataType, value string) property {
	return property{Name: name, DataType: dataType, Type: propertyType{Attribute: &attribute{DefaultValue: value}}}
}

func measurementOf(name, dataType string) property {
	return property{Name: name, DataType: dataType, Type: propertyType{Measurement: &measurement{}}}
}

// idOf returns a UUID that follows from a name, so that a seed makes the same assets in every local cloud.
func idOf(name string) string {
	sum := sha256.Sum256([]byte("localcloud sitewise " + name))
	s := hex.EncodeToString(sum[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Plant makes a hub with its cameras, unless they exist. Everything is ACTIVE at once.
func (s *Service) Plant(hub SeedHub) error {
	r := request{Service: &Service{o: s.o, values: s.values}, now: s.o.Now()}
	r.Service.o.Delay = -1
	if err := r.update(func(d State) error {
		d.sweep(r.now.Add(max(s.o.Delay, 0))) // deletions that an earlier process began are over
		return nil
	}); err != nil {
		return err
	}
	camera, err := r.plantModel(CameraModel, "Camera Device for EdgeConnectorForKVS", cameraProperties, nil)
	if err != nil {
		return err
	}
	m, err := r.plantModel(HubModel, "Hub Device for EdgeConnectorForKVS",
		[]property{attributeOf("HubName", "STRING", "Hub Name")}, []hierarchy{{Name: hierarchyOf, Child: camera.ID}})
	if err != nil {
		return err
	}
	tags := map[string]string{}
	if hub.Workspace != "" {
		tags[workspaceTag] = hub.Workspace
	}
	a, err := r.plantAsset(hub.ID, "hub "+hub.Name, hub.Name, m, tags, map[string]string{"HubName": hub.Name})
	if err != nil {
		return err
	}
	for _, c := range hub.Cameras {
		child, err := r.plantAsset(c.ID, "camera "+hub.Name+" "+c.Name, c.Name, camera, tags, c.values())
		if err != nil {
			return fmt.Errorf("camera %s: %w", c.Name, err)
		}
		if err := r.plantChild(a, m.Hierarchies[0].ID, child); err != nil {
			return fmt.Errorf("camera %s: %w", c.Name, err)
		}
	}
	return nil
}

// values are what a seed sets of the properties of a camera.
func (c SeedCamera) values() map[string]string {
	all := map[string]string{"KinesisVideoStreamName": c.Stream, "RTSPStreamSecretARN": c.Secret, "CaptureStartTime": c.CaptureStart,
		"LiveStreamingStartTime": c.LiveStart}
	for name, n := range map[string]int{"LocalDataRetentionPeriodInMinutes": c.RetentionMinutes, "CaptureDurationInMinutes": c.CaptureMinutes,
		"LiveStreamingDurationInMinutes": c.LiveMinutes} {
		if n != 0 {
			all[name] = fmt.Sprint(n)
		}
	}
	maps.DeleteFunc(all, func(_, text string) bool { return text == "" })
	return all
}

func (r request) plantModel(prefix, description string, properties []property, children []hierarchy) (*model, error) {
	name := prefix + modelSuffix
	properties, children = slices.Clone(properties), slices.Clone(children)
	for i := range properties {
		properties[i].ID = idOf(name + " " + properties[i].Name)
	}
	for i := range children {
		children[i].ID = idOf(name + " " + children[i].Name)
	}
	if _, found := r.modelOf(idOf(name)); !found {
		if _, err := r.createAssetModel(createModelInput{Name: name, ID: idOf(name), Description: description, Properties: properties,
			Hierarchies: children}); err != nil {
			return nil, err
		}
	}
	m, _ := r.modelOf(idOf(name))
	return m, nil
}

func (r request) modelOf(id string) (m *model, found bool) {
	_ = r.view(func(d State) error {
		m, found = d.Models[id]
		return nil
	})
	return m, found
}

func (r request) assetOf(id string) (a *asset, found bool) {
	_ = r.view(func(d State) error {
		a, found = d.Assets[id]
		return nil
	})
	return a, found
}

// plantAsset makes an asset with the values of some properties. One that exists keeps everything.
func (r request) plantAsset(id, named, name string, m *model, tags, values map[string]string) (*asset, error) {
	id = cmp.Or(id, idOf(named))
	if a, found := r.assetOf(id); found {
		return a, nil
	}
	if err := checkNamed(id, name, m.ID); err != nil {
		return nil, err
	}
	if _, err := r.createAsset(createAssetInput{Name: name, Model: m.ID, ID: id, Tags: tags}); err != nil {
		return nil, err
	}
	for i := range m.Properties {
		p := &m.Properties[i]
		if p.Name == requestName {
			if _, err := r.updateAssetProperty(updatePropertyInput{ID: id, Property: p.ID, State: "ENABLED"}); err != nil {
				return nil, err
			}
		}
		text, given := values[p.Name]
		if !given {
			continue
		}
		v, _ := valueOf(p.DataType, text) // which wrote the numbers itself
		put := tqv{Value: v, Time: instantOf(r.now), Quality: qualityGood}
		if message := put.typeFault(p.DataType); message != "" {
			return nil, refused(sitewisemodel.InvalidRequest, p.Name, "%s", message)
		}
		if err := r.values.put(key{id, p.ID}, []tqv{put}); err != nil {
			return nil, err
		}
	}
	a, _ := r.assetOf(id)
	return a, nil
}

// checkNamed checks id and name as the service model does in requests.
func checkNamed(id, name, model string) error {
	_, _, err := apimodel.Check(sitewisemodel.ByName("CreateAsset").Members,
		map[string]any{"assetId": id, "assetName": name, "assetModelId": model})
	var invalid *apimodel.Invalid
	if errors.As(err, &invalid) {
		return refused(sitewisemodel.InvalidRequest, invalid.Faults[0].Path, "%s", invalid.Error())
	}
	return err
}

func (r request) plantChild(parent *asset, hierarchy string, child *asset) error {
	had := false
	_ = r.view(func(d State) error {
		had = slices.Contains(parent.Children[hierarchy], child.ID)
		return nil
	})
	if had {
		return nil
	}
	_, err := r.associateAssets(associationInput{ID: parent.ID, Hierarchy: hierarchy, Child: child.ID})
	return err
}
