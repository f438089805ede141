package localcloud

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"
)

// The topics, after kvs-edge/{thing}/. See docs/mqtt.md.
const (
	topicPrefix  = "kvs-edge/"
	topicUpdate  = "config/update"
	topicDelete  = "config/delete"
	topicRefresh = "config/refresh"
	topicStatus  = "config/status"
	topicJobs    = "jobs/status"
)

// The limits of AWS IoT Core (quotas, message broker).
const (
	maxPacket = 128<<10 + 1024 // payload and what is around it
	maxQoS    = 1
)

// broker is AWS IoT Core as far as a hub needs it.
type broker struct {
	cloud  *Cloud
	server *mqtt.Server
	port   int
}

func startBroker(c *Cloud, l *gate) (*broker, error) {
	b := &broker{cloud: c, port: portOf(l)}
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumQos = maxQoS
	capabilities.MaximumPacketSize = maxPacket
	b.server = mqtt.New(&mqtt.Options{Capabilities: capabilities, InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	config := c.pki.serverConfig(tls.RequireAndVerifyClientCert)
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if c.isRevoked(thingOf(state)) {
			return errors.New("the certificate is not active")
		}
		return nil
	}
	hear := func(filter string, id int, hear func(thing string, payload []byte)) error {
		return b.server.Subscribe(topicPrefix+"+/"+filter, id, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
			thing, _, _ := strings.Cut(strings.TrimPrefix(pk.TopicName, topicPrefix), "/")
			hear(thing, pk.Payload)
		})
	}
	err := errors.Join(
		b.server.AddHook(&rules{cloud: c}, nil),
		b.server.AddListener(listeners.NewNet("mqtt", tls.NewListener(l, config))),
		b.server.Serve(),
		hear(topicStatus, 1, c.hearStatus),
		hear(topicJobs, 2, c.hearJobs),
	)
	if err != nil {
		return nil, fmt.Errorf("the local cloud's message broker cannot start: %w", errors.Join(err, b.server.Close(), l.Close()))
	}
	return b, nil
}

func thingOf(state tls.ConnectionState) string { return state.PeerCertificates[0].Subject.CommonName }

func (b *broker) close() error { return b.server.Close() }

// publish sends to a thing, at least once. The broker keeps it while the thing is away.
func (b *broker) publish(thing, topic string, payload []byte) {
	if err := b.server.Publish(topicPrefix+thing+"/"+topic, payload, false, maxQoS); err != nil {
		b.cloud.log.Error("cannot publish", zap.String("thing", thing), zap.String("topic", topic), zap.Error(err))
	}
}

func (b *broker) connected(thing string) bool {
	client, ok := b.server.Clients.Get(thing)
	return ok && !client.Closed()
}

func (b *broker) disconnect(thing string) {
	if client, ok := b.server.Clients.Get(thing); ok {
		client.Stop(errors.New("the certificate was revoked"))
	}
}

// rules is the policy of the devices' certificates.
type rules struct {
	mqtt.HookBase
	cloud *Cloud
}

// ID implements mqtt.Hook.
func (*rules) ID() string { return "rules" }

// Provides implements mqtt.Hook.
func (*rules) Provides(hook byte) bool {
	return hook == mqtt.OnConnectAuthenticate || hook == mqtt.OnACLCheck || hook == mqtt.OnSubscribed
}

// OnConnectAuthenticate lets a thing in under its own name only, and its will be only about itself.
func (*rules) OnConnectAuthenticate(client *mqtt.Client, pk packets.Packet) bool {
	conn, ok := client.Net.Conn.(*tls.Conn)
	if !ok || conn.HandshakeContext(context.Background()) != nil { // long done
		return false
	}
	thing := thingOf(conn.ConnectionState())
	return client.ID == thing && (!pk.Connect.WillFlag || owns(thing, pk.Connect.WillTopic))
}

// OnACLCheck confines a thing to its own topics.
func (*rules) OnACLCheck(client *mqtt.Client, topic string, _ bool) bool {
	return client.Net.Inline || owns(client.ID, topic)
}

func owns(thing, topic string) bool { return strings.HasPrefix(topic, topicPrefix+thing+"/") }

// OnSubscribed has the thing told what it may have missed.
func (r *rules) OnSubscribed(client *mqtt.Client, pk packets.Packet, reasonCodes []byte) {
	if client.Net.Inline {
		return
	}
	for i := range pk.Filters {
		if reasonCodes[i] <= maxQoS {
			r.cloud.resend(client.ID)
			return
		}
	}
}
