package localcloud

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
)

// Seed is what is to exist from the start. It changes nothing that is so already.
type Seed struct {
	Streams     []SeedStream     `json:"streams"`
	Secrets     []SeedSecret     `json:"secrets"`
	Things      []string         `json:"things"`
	EdgeConfigs []SeedEdgeConfig `json:"edge_configs"`
	Hubs        []SeedHub        `json:"sitewise_hubs"`
}

// SeedStream is a stream.
type SeedStream = kvs.SeedStream

// SeedEdgeConfig is the edge configuration of a stream.
type SeedEdgeConfig = kvs.SeedEdgeConfig

// SeedHub is a hub of SiteWise with its cameras.
type SeedHub = sitewise.SeedHub

// SeedSecret is a secret; a value that is not a string stands for its JSON text.
type SeedSecret struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// ParseSeed reads a seed file, which is JSON. Members it does not know are mistakes.
func ParseSeed(data []byte) (*Seed, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	var document any
	if err := d.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the seed file cannot be read: it is empty")
	} else if err != nil {
		return nil, fmt.Errorf("the seed file cannot be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the seed file cannot be read: after its end there is more text")
	}
	if err := checkSeed("", document, reflect.TypeFor[Seed]()); err != nil {
		return nil, fmt.Errorf("the seed file cannot be read: %w", err)
	}
	var s Seed
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("the seed file cannot be read: %w", err)
	}
	return &s, nil
}

// checkSeed reports the first member that the type does not have or whose value is of another type,
// with its path. Null counts as absent.
func checkSeed(path string, value any, t reflect.Type) error {
	if value == nil || t == reflect.TypeFor[json.RawMessage]() {
		return nil
	}
	switch object, isObject := value.(map[string]any); t.Kind() {
	case reflect.Struct:
		if !isObject {
			return fmt.Errorf("%s must be an object", orWhole(path))
		}
		return checkSeedMembers(path, object, t)
	case reflect.Map:
		if !isObject {
			return fmt.Errorf("%s must be an object", path)
		}
		for key, member := range object {
			if _, ok := member.(string); !ok {
				return fmt.Errorf("%s.%s must be a string", path, key)
			}
		}
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%s must be a list", path)
		}
		for i, element := range list {
			if err := checkSeed(fmt.Sprintf("%s[%d]", path, i), element, t.Elem()); err != nil {
				return err
			}
		}
	case reflect.String:
		if _, ok := value.(string); !ok {
			return fmt.Errorf("%s must be a string", path)
		}
	case reflect.Int:
		if n, ok := value.(float64); !ok || n != float64(int(n)) {
			return fmt.Errorf("%s must be a whole number", path)
		}
	}
	return nil
}

func checkSeedMembers(path string, object map[string]any, t reflect.Type) error {
	known := map[string]reflect.Type{}
	for i := range t.NumField() {
		known[t.Field(i).Tag.Get("json")] = t.Field(i).Type
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		member, at := object[name], strings.TrimPrefix(path+"."+name, ".")
		memberType, ok := known[name]
		if !ok {
			return fmt.Errorf("%s: unknown field %q", at, name)
		}
		if err := checkSeed(at, member, memberType); err != nil {
			return err
		}
	}
	return nil
}

func orWhole(path string) string {
	if path == "" {
		return "the whole"
	}
	return path
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
	for i, stream := range s.Streams {
		if err := c.kvs.PlantStream(stream); err != nil {
			return seedError(fmt.Sprintf("streams[%d]", i), "cannot create stream "+stream.Name, err)
		}
	}
	for i, secret := range s.Secrets {
		if len(secret.Value) == 0 || string(secret.Value) == "null" {
			return fmt.Errorf("the seed has a mistake at secrets[%d].value: secret %s has no value", i, secret.Name)
		}
		if _, err := c.PutSecret(secret.Name, secret.text()); err != nil {
			return seedError(fmt.Sprintf("secrets[%d]", i), "cannot put secret "+secret.Name, err)
		}
	}
	for i, thing := range s.Things {
		if err := c.AddThing(thing); err != nil {
			return fmt.Errorf("the seed has a mistake at things[%d]: %w", i, err)
		}
	}
	for i, edge := range s.EdgeConfigs {
		if err := c.kvs.PlantEdgeConfig(edge); err != nil {
			return seedError(fmt.Sprintf("edge_configs[%d]", i), "cannot configure stream "+edge.Stream, err)
		}
	}
	for i, hub := range s.Hubs {
		if err := c.sitewise.Plant(hub); err != nil {
			return seedError(fmt.Sprintf("sitewise_hubs[%d]", i), "cannot make hub "+hub.Name, err)
		}
	}
	return nil
}

// seedNames are the members of the seed that stand for members of requests.
var seedNames = map[string]map[string]string{
	"streams": {
		"StreamName": "name", "DataRetentionInHours": "retention_hours", "DeviceName": "device_name", "MediaType": "media_type",
		"KmsKeyId": "kms_key_id", "StreamStorageConfiguration": "storage_tier", "Tags": "tags",
		"ImageGenerationConfiguration": "image_generation", "NotificationConfiguration": "notification",
	},
	"secrets":       {"Name": "name"},
	"edge_configs":  {"StreamName": "stream", "EdgeConfig": "config"},
	"sitewise_hubs": {"assetId": "asset_id", "assetName": "name"},
}

// seedError names the member of the seed that an error is about.
func seedError(path, what string, err error) error {
	var refused *awsapi.Error
	if !errors.As(err, &refused) || refused.Where == "" {
		return fmt.Errorf("the seed has a mistake at %s: %s: %w", path, what, err)
	}
	end := strings.IndexAny(refused.Where, ".[")
	if end < 0 {
		end = len(refused.Where)
	}
	list, _, _ := strings.Cut(path, "[")
	member, rest := seedNames[list][refused.Where[:end]], refused.Where[end:]
	if member == "" {
		return fmt.Errorf("the seed has a mistake at %s: %s: %s", path, what, refused.Message)
	}
	if member == "storage_tier" {
		rest = ""
	}
	return fmt.Errorf("the seed has a mistake at %s.%s%s: %s: %s", path, member, rest, what, refused.Message)
}
