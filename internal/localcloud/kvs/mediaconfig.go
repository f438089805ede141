package kvs

import (
	"net/http"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// The storage tiers. Source: KVS API, StreamStorageConfiguration.
const (
	TierHot  = "HOT"
	TierWarm = "WARM"
)

// streamStorage is the API's StreamStorageConfiguration.
type streamStorage struct{ DefaultStorageTier string }

// imageGeneration is the API's ImageGenerationConfiguration.
type imageGeneration struct {
	Status, ImageSelectorType string
	DestinationConfig         struct{ Uri, DestinationRegion string }
	SamplingInterval          int
	Format                    string
	FormatConfig              map[string]string `json:",omitempty"`
	WidthPixels, HeightPixels int               `json:",omitempty"`
}

// notificationConfig is the API's NotificationConfiguration.
type notificationConfig struct {
	Status            string
	DestinationConfig struct{ Uri string }
}

// The bounds that the model of the service leaves out. Source: KVS API reference,
// ImageGenerationConfiguration.
const (
	minSamplingInterval = 200 // ms
	minJPEGQuality      = 1
	maxJPEGQuality      = 100
)

func (g *imageGeneration) check(path string) error {
	if g.SamplingInterval < minSamplingInterval {
		return badMember(path+".SamplingInterval", "%s.SamplingInterval is %d; it must be at least %d ms",
			path, g.SamplingInterval, minSamplingInterval)
	}
	for _, text := range g.FormatConfig { // its one key is JPEGQuality
		if quality, err := strconv.Atoi(text); err != nil || quality < minJPEGQuality || quality > maxJPEGQuality {
			return badMember(path+".FormatConfig.value", "%s.FormatConfig.JPEGQuality is %.40q; it must be %d to %d",
				path, text, minJPEGQuality, maxJPEGQuality)
		}
	}
	return nil
}

// setConfig sets or deletes what the stream does with its media, which needs media that is kept.
func (c *ControlPlane) setConfig(id streamID, deletes bool, set func(*streamRecord)) error {
	return c.update(func(d Streams) error {
		s, err := d.findIdle(id)
		if err != nil {
			return err
		}
		if s.RetentionHours == 0 && !deletes {
			return noDataRetention(s)
		}
		set(s)
		return nil
	})
}

func noDataRetention(s *streamRecord) error {
	return awsapi.Errorf(http.StatusBadRequest, kvsmodel.NoDataRetention, "DataRetentionInHours",
		"The stream %s retains no data: its DataRetentionInHours is 0.", s.Name)
}

type updateImageGenerationInput struct {
	streamID
	ImageGenerationConfiguration *imageGeneration
}

func (c *ControlPlane) updateImageGeneration(in updateImageGenerationInput) (any, error) {
	next := in.ImageGenerationConfiguration
	if next != nil {
		if err := next.check("ImageGenerationConfiguration"); err != nil {
			return nil, err
		}
	}
	return nil, c.setConfig(in.streamID, next == nil, func(s *streamRecord) { s.Images = next })
}

func (c *ControlPlane) describeImageGeneration(in streamID) (any, error) {
	var out struct {
		ImageGenerationConfiguration *imageGeneration `json:",omitempty"`
	}
	err := c.viewActive(in, func(s *streamRecord) { out.ImageGenerationConfiguration = s.Images })
	return out, err
}

type updateNotificationInput struct {
	streamID
	NotificationConfiguration *notificationConfig
}

func (c *ControlPlane) updateNotification(in updateNotificationInput) (any, error) {
	next := in.NotificationConfiguration
	return nil, c.setConfig(in.streamID, next == nil, func(s *streamRecord) { s.Notification = next })
}

func (c *ControlPlane) describeNotification(in streamID) (any, error) {
	var out struct {
		NotificationConfiguration *notificationConfig `json:",omitempty"`
	}
	err := c.viewActive(in, func(s *streamRecord) { out.NotificationConfiguration = s.Notification })
	return out, err
}

func (c *ControlPlane) viewActive(id streamID, read func(*streamRecord)) error {
	return c.view(func(d Streams) error {
		s, err := d.findActive(id)
		if err == nil {
			read(s)
		}
		return err
	})
}

// tierPeriod is a time from which on a stream has a storage tier.
type tierPeriod struct {
	Tier  string    `json:"tier"`
	Since time.Time `json:"since"`
}

// tier of media that arrives at a time.
func (s *streamRecord) tier(at time.Time) string {
	tier := TierHot
	for _, period := range s.Tiers {
		if !at.Before(period.Since) {
			tier = period.Tier
		}
	}
	return tier
}

// setTier takes effect for what comes in from now on.
func (s *streamRecord) setTier(tier string, now time.Time) {
	if s.tier(now) != tier {
		s.Tiers = append(s.Tiers, tierPeriod{Tier: tier, Since: now})
	}
}

type updateStreamStorageInput struct {
	streamID
	CurrentVersion             string
	StreamStorageConfiguration streamStorage
}

func (c *ControlPlane) updateStreamStorage(in updateStreamStorageInput) (any, error) {
	return nil, c.changeStream(in.streamID, in.CurrentVersion, func(s *streamRecord) error {
		s.setTier(in.StreamStorageConfiguration.DefaultStorageTier, c.o.Now().UTC())
		return nil
	})
}

func (c *ControlPlane) describeStreamStorage(in streamID) (any, error) {
	var out struct {
		StreamName, StreamARN      string
		StreamStorageConfiguration streamStorage
	}
	err := c.viewActive(in, func(s *streamRecord) {
		out.StreamName, out.StreamARN = s.Name, s.ARN
		out.StreamStorageConfiguration.DefaultStorageTier = s.tier(c.o.Now())
	})
	return out, err
}
