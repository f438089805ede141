package localcloud

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Seed is what is to exist from the start. It changes nothing that is so already.
type Seed struct {
	Streams     []SeedStream     `json:"streams"`
	Secrets     []SeedSecret     `json:"secrets"`
	Things      []string         `json:"things"`
	EdgeConfigs []SeedEdgeConfig `json:"edge_configs"`
}

// SeedStream is a stream.
type SeedStream struct {
	Name           string `json:"name"`
	RetentionHours int    `json:"retention_hours"`
}

// SeedSecret is a secret; a value that is not a string stands for its JSON text.
type SeedSecret struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// SeedEdgeConfig is the edge configuration of a stream.
type SeedEdgeConfig struct {
	Stream string          `json:"stream"`
	Config json.RawMessage `json:"config"`
}

// ParseSeed reads a seed file, which is JSON. Members it does not know are mistakes.
func ParseSeed(data []byte) (*Seed, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var s Seed
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("the seed file cannot be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the seed file cannot be read: after its end there is more text")
	}
	return &s, nil
}

func (s SeedSecret) text() string {
	var text string
	if json.Unmarshal(s.Value, &text) == nil {
		return text
	}
	var compact bytes.Buffer
	if json.Compact(&compact, s.Value) != nil {
		return string(s.Value)
	}
	return compact.String()
}

// plant makes what the seed asks for.
func (c *Cloud) plant(s *Seed) error {
	for _, stream := range s.Streams {
		if _, err := c.CreateStream(stream.Name, stream.RetentionHours); err != nil {
			return err
		}
	}
	for _, secret := range s.Secrets {
		if _, err := c.PutSecret(secret.Name, secret.text()); err != nil {
			return err
		}
	}
	for _, thing := range s.Things {
		if err := c.AddThing(thing); err != nil {
			return err
		}
	}
	for _, edge := range s.EdgeConfigs {
		if err := c.plantEdgeConfig(edge); err != nil {
			return fmt.Errorf("cannot configure stream %s as the seed says: %w", edge.Stream, err)
		}
	}
	return nil
}

func (c *Cloud) plantEdgeConfig(edge SeedEdgeConfig) error {
	config, _, err := readEdgeConfig(edge.Config)
	if err != nil {
		return err
	}
	want, err := json.Marshal(config)
	if err != nil {
		return err
	}
	same := false
	if err := c.view(func(d *document) error {
		s := d.Streams[edge.Stream]
		if s == nil || s.Edge == nil {
			return nil
		}
		have, err := json.Marshal(s.Edge.Config)
		same = bytes.Equal(have, want)
		return err
	}); err != nil || same {
		return err
	}
	_, err = c.startEdgeConfigurationUpdate(startEdgeConfigurationUpdateInput{streamID: streamID{StreamName: edge.Stream}, EdgeConfig: edge.Config})
	return err
}
