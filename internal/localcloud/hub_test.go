package localcloud

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// testHub is a device as far as the broker sees one.
type testHub struct {
	t      *testing.T
	thing  string
	client mqtt.Client
	heard  chan mqtt.Message
}

// connectHub connects a thing and subscribes to its configurations.
func connectHub(t *testing.T, c *Cloud, thing string) *testHub {
	t.Helper()
	h := &testHub{t: t, thing: thing, heard: make(chan mqtt.Message, 100)}
	h.client = mqtt.NewClient(mqttOptions(t, c, thing).SetCleanSession(false))
	h.must(h.client.Connect())
	t.Cleanup(func() { h.client.Disconnect(100) })
	h.must(h.client.Subscribe("kvs-edge/"+thing+"/config/#", 1, func(_ mqtt.Client, m mqtt.Message) { h.heard <- m }))
	return h
}

func mqttOptions(t *testing.T, c *Cloud, thing string) *mqtt.ClientOptions {
	t.Helper()
	return mqtt.NewClientOptions().AddBroker("tls://" + c.MQTTEndpoint()).SetClientID(thing).
		SetTLSConfig(deviceTLS(t, c, thing)).SetProtocolVersion(4).SetAutoReconnect(false)
}

func (h *testHub) must(token mqtt.Token) {
	h.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		h.t.Fatalf("thing %s: %v", h.thing, token.Error())
	}
}

func (h *testHub) publish(topic, format string, args ...any) {
	h.t.Helper()
	h.must(h.client.Publish("kvs-edge/"+h.thing+"/"+topic, 1, false, fmt.Sprintf(format, args...)))
}

// hubHeard are the messages that a hub receives.
type hubHeard struct {
	StreamName, StreamARN string
	LastUpdatedTime       json.Number
	EdgeConfig            json.RawMessage
}

// await waits for a message about a stream; "" takes any.
func (h *testHub) await(topic, stream string) hubHeard {
	h.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case m := <-h.heard:
			var got hubHeard
			if err := json.Unmarshal(m.Payload(), &got); err != nil {
				h.t.Fatalf("%s: %v", m.Payload(), err)
			}
			if strings.HasSuffix(m.Topic(), topic) && (stream == "" || got.StreamName == stream) {
				return got
			}
		case <-timer.C:
			h.t.Fatalf("%s about %s did not come", topic, stream)
		}
	}
}

// answer publishes a sync status about a version.
func (h *testHub) answer(m hubHeard, status, details string) {
	h.t.Helper()
	h.publish("config/status", `{"StreamName":%q,"SyncStatus":%q,"FailedStatusDetails":%q,"LastUpdatedTime":%s,"Time":1}`, m.StreamName,
		status, details, m.LastUpdatedTime)
}
