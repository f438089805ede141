package iotconfig

import (
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iot"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for an event that must come.
const patience = time.Minute

// testBroker is an MQTT broker over TLS that asks for client certificates.
type testBroker interface {
	address() string
}

// allowAll accepts every client with a certificate, which may subscribe to all topics but those.
type allowAll struct {
	mochi.HookBase
	denied []string
}

func (allowAll) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}
func (allowAll) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (a allowAll) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return write || !slices.Contains(a.denied, topic)
}

// embedded is a broker in this process.
type embedded struct {
	t      *testing.T
	ca     *iottest.Authority
	addr   string
	server *mochi.Server
	hooks  []mochi.Hook
	denied []string // topics, from the next start on
}

func newEmbedded(t *testing.T, ca *iottest.Authority, hooks ...mochi.Hook) *embedded {
	t.Helper()
	b := &embedded{t: t, ca: ca, addr: "127.0.0.1:0", hooks: hooks}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *embedded) address() string { return b.addr }

func (b *embedded) start() {
	b.t.Helper()
	b.server = mochi.New(&mochi.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for _, hook := range append([]mochi.Hook{&allowAll{denied: b.denied}}, b.hooks...) {
		if err := b.server.AddHook(hook, nil); err != nil {
			b.t.Fatal(err)
		}
	}
	l := listeners.NewTCP(listeners.Config{ID: "tls", Address: b.addr, TLSConfig: b.ca.Server()})
	if err := b.server.AddListener(l); err != nil {
		b.t.Fatal(err)
	}
	if err := b.server.Serve(); err != nil {
		b.t.Fatal(err)
	}
	b.addr = l.Address()
}

func (b *embedded) stop() {
	if b.server != nil {
		_ = iot.CloseServer(b.server)
		b.server = nil
	}
}

// kick ends the connection of one client.
func (b *embedded) kick(client string) {
	b.t.Helper()
	cl, ok := b.server.Clients.Get(client)
	if !ok {
		b.t.Fatalf("client %s is not connected", client)
	}
	cl.Stop(io.EOF)
}

// mosquitto is a broker that nobody here wrote, by its address.
type mosquitto string

func newMosquitto(t *testing.T, ca *iottest.Authority, lines ...string) mosquitto {
	t.Helper()
	files := ca.WriteFiles(ca.Server().Certificates[0])
	return mosquitto(testtools.Mosquitto(t,
		filepath.Join(files, "ca.pem"), filepath.Join(files, "cert.pem"), filepath.Join(files, "key.pem"), lines...))
}

func (m mosquitto) address() string { return string(m) }

// cloudSide is the other end of the conversation: it publishes configurations and hears what the
// agent says.
type cloudSide struct {
	t      *testing.T
	client mqtt.Client
	heard  chan mqtt.Message
}

func newCloudSide(t *testing.T, b testBroker, ca *iottest.Authority) *cloudSide {
	t.Helper()
	c := &cloudSide{t: t, heard: make(chan mqtt.Message, 1000)}
	c.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tls://" + b.address()).SetClientID("cloud").
		SetTLSConfig(ca.Device("cloud")).SetCleanSession(true).SetAutoReconnect(true).
		SetOnConnectHandler(func(client mqtt.Client) {
			client.Subscribe("kvs-edge/"+testThing+"/+/status", 1, func(_ mqtt.Client, m mqtt.Message) { c.heard <- m })
		}))
	c.must(c.client.Connect())
	t.Cleanup(func() { c.client.Disconnect(100) })
	return c
}

func (c *cloudSide) must(token mqtt.Token) {
	c.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		c.t.Fatalf("the cloud's side: %v", token.Error())
	}
}

func (c *cloudSide) send(leaf string, payload []byte) {
	c.t.Helper()
	c.must(c.client.Publish("kvs-edge/"+testThing+"/config/"+leaf, 1, false, payload))
}

// await waits for the next message of a topic that fits.
func (c *cloudSide) await(what, leaf string, fits func(payload []byte) bool) []byte {
	c.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var heard []string
	for {
		select {
		case m := <-c.heard:
			heard = append(heard, m.Topic()+" "+string(m.Payload()))
			if strings.HasSuffix(m.Topic(), leaf) && fits(m.Payload()) {
				return m.Payload()
			}
		case <-timer.C:
			c.t.Fatalf("%s did not come; heard:\n%s", what, strings.Join(heard, "\n"))
		}
	}
}

// awaitSync waits for a sync status of a stream.
func (c *cloudSide) awaitSync(stream, status string) syncStatus {
	c.t.Helper()
	var got syncStatus
	c.await(stream+" "+status, "config/status", func(payload []byte) bool {
		got = syncStatus{}
		return json.Unmarshal(payload, &got) == nil && got.StreamName == stream && got.SyncStatus == status
	})
	return got
}

func (c *cloudSide) awaitAgent(status string) {
	c.t.Helper()
	c.await("agent "+status, "agent/status", func(payload []byte) bool {
		var got agentStatus
		return json.Unmarshal(payload, &got) == nil && got.Status == status
	})
}
