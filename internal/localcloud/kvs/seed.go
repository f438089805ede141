package kvs

import (
	"bytes"
	"encoding/json"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// SeedStream is a stream. Of one that exists, what the seed does not state stays as it is, except
// the retention.
type SeedStream struct {
	Name           string            `json:"name"`
	RetentionHours int               `json:"retention_hours"`
	DeviceName     string            `json:"device_name"`
	MediaType      string            `json:"media_type"`
	KMSKeyID       string            `json:"kms_key_id"`   // only of a stream that does not exist yet
	StorageTier    string            `json:"storage_tier"` // HOT or WARM; "" = HOT
	Tags           map[string]string `json:"tags"`
	// The configurations, with the members that they have in the KVS API.
	ImageGeneration json.RawMessage `json:"image_generation"`
	Notification    json.RawMessage `json:"notification"`
}

// SeedEdgeConfig is the edge configuration of a stream.
type SeedEdgeConfig struct {
	Stream string          `json:"stream"`
	Config json.RawMessage `json:"config"`
}

// PlantStream makes a stream, or has one that exists follow the seed.
func (c *ControlPlane) PlantStream(seed SeedStream) error {
	in := createStreamInput{
		StreamName: seed.Name, DeviceName: seed.DeviceName, KmsKeyId: seed.KMSKeyID, MediaType: seed.MediaType,
		DataRetentionInHours: seed.RetentionHours, Tags: seed.Tags,
	}
	if seed.StorageTier != "" {
		in.StreamStorageConfiguration = &streamStorage{DefaultStorageTier: seed.StorageTier}
	}
	var images updateImageGenerationInput
	if err := readStated("UpdateImageGenerationConfiguration", "ImageGenerationConfiguration", seed.ImageGeneration, &images); err != nil {
		return err
	}
	var notification updateNotificationInput
	if err := readStated("UpdateNotificationConfiguration", "NotificationConfiguration", seed.Notification, &notification); err != nil {
		return err
	}
	if _, err := c.ensureStream(in); err != nil {
		return err
	}
	if images.ImageGenerationConfiguration != nil {
		images.StreamName = seed.Name
		if _, err := c.updateImageGeneration(images); err != nil {
			return err
		}
	}
	if notification.NotificationConfiguration != nil {
		notification.StreamName = seed.Name
		if _, err := c.updateNotification(notification); err != nil {
			return err
		}
	}
	if len(seed.Tags) > 0 {
		if err := c.addTags(streamID{StreamName: seed.Name}.findTagged, seed.Tags); err != nil {
			return err
		}
	}
	return c.update(func(d Streams) error {
		c.followSeed(d[seed.Name], seed)
		return nil
	})
}

func (c *ControlPlane) followSeed(s *streamRecord, seed SeedStream) {
	if seed.DeviceName != "" {
		s.DeviceName = seed.DeviceName
	}
	if seed.MediaType != "" {
		s.MediaType = seed.MediaType
	}
	if seed.StorageTier != "" {
		s.setTier(seed.StorageTier, c.o.Now().UTC())
	}
}

// readStated reads what a seed states with the member of an operation, as the service would, except
// that members which the service would ignore are mistakes.
func readStated(operation, member string, stated json.RawMessage, in any) error {
	if len(stated) == 0 {
		return nil
	}
	body, err := json.Marshal(map[string]json.RawMessage{member: stated})
	if err != nil {
		return err
	}
	o := kvsmodel.ByName(operation)
	known, ignored, err := o.Read(body)
	if err != nil {
		return o.Refusal(err)
	}
	if len(ignored) > 0 {
		return badMember(ignored[0], "unknown field")
	}
	return json.Unmarshal(known, in)
}

// PlantEdgeConfig configures a stream, unless it has that configuration.
func (c *ControlPlane) PlantEdgeConfig(edge SeedEdgeConfig) error {
	in := startEdgeConfigurationUpdateInput{}
	if len(edge.Config) == 0 {
		edge.Config = json.RawMessage("null")
	}
	if err := readStated("StartEdgeConfigurationUpdate", "EdgeConfig", edge.Config, &in); err != nil {
		return err
	}
	in.StreamName = edge.Stream
	want, err := json.Marshal(in.EdgeConfig)
	if err != nil {
		return err
	}
	same := false
	if err := c.view(func(d Streams) error {
		s := d[edge.Stream]
		if s == nil || s.Edge == nil {
			return nil
		}
		have, err := json.Marshal(s.Edge.Config)
		same = bytes.Equal(have, want)
		return err
	}); err != nil || same {
		return err
	}
	_, err = c.startEdgeConfigurationUpdate(in)
	return err
}
