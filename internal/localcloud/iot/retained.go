package iot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/storage"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// retainedMessage is an entry of state/retained.json, which holds what the broker retains.
type retainedMessage struct {
	Topic   string `json:"topic"`
	Payload []byte `json:"payload"`
	QoS     byte   `json:"qos"`
	Created int64  `json:"created"` // s since 1970
}

// retention is the hook that keeps retained messages on disk.
type retention struct {
	mqtt.HookBase
	file     string
	failures *zap.Logger
	server   *mqtt.Server
	mu       sync.Mutex // held while the file is written
}

// ID implements mqtt.Hook.
func (*retention) ID() string { return "retention" }

// Provides implements mqtt.Hook.
func (*retention) Provides(hook byte) bool {
	return hook == mqtt.OnRetainMessage || hook == mqtt.StoredRetainedMessages
}

// OnRetainMessage implements mqtt.Hook: the server has changed what it retains.
func (h *retention) OnRetainMessage(*mqtt.Client, packets.Packet, int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []retainedMessage{}
	all := h.server.Topics.Retained.GetAll()
	for _, topic := range slices.Sorted(maps.Keys(all)) {
		if pk := all[topic]; !strings.HasPrefix(topic, "$") {
			list = append(list, retainedMessage{topic, pk.Payload, pk.FixedHeader.Qos, pk.Created})
		}
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err == nil {
		err = state.ReplaceFile(h.file, data)
	}
	if err != nil {
		logevent.RetainedNotSaved.Log(h.failures, zap.Error(err))
	}
}

// StoredRetainedMessages implements mqtt.Hook: what an earlier run retained.
func (h *retention) StoredRetainedMessages() ([]storage.Message, error) {
	data, err := os.ReadFile(h.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []retainedMessage
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read retained messages, repair or delete %s: %w", h.file, err)
	}
	messages := make([]storage.Message, len(list))
	for i, m := range list {
		messages[i] = storage.Message{
			TopicName: m.Topic, Payload: m.Payload, Created: m.Created,
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true, Qos: m.QoS},
		}
	}
	return messages, nil
}
