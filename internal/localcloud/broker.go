package localcloud

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
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

// The limits of AWS IoT Core. Source: IoT Core quotas, "Message broker and protocol limits".
const (
	maxPayload       = 128 << 10
	maxPacket        = maxPayload + 1024 // and what is around it
	maxQoS           = 1
	maxTopic         = 256 // bytes
	maxSlashes       = 7
	maxClientID      = 128  // bytes
	maxFilters       = 8    // in one SUBSCRIBE
	maxSubscriptions = 50   // of one connection
	maxInFlight      = 100  // publishes without an acknowledgement
	sessionExpiry    = 3600 // s, of persistent sessions
	minKeepAlive     = 30   // s
	maxKeepAlive     = 1200 // s; also where a client asks for none
	minMQTTVersion   = 4    // 3.1.1
)

// broker is AWS IoT Core as far as a hub needs it.
type broker struct {
	cloud  *Cloud
	server *mqtt.Server
	port   int
}

func startBroker(c *Cloud, port int, l *handoff) (*broker, error) {
	b := &broker{cloud: c, port: port}
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumQos = maxQoS
	capabilities.MaximumPacketSize = maxPacket
	capabilities.MaximumSessionExpiryInterval = sessionExpiry
	capabilities.MaximumMessageExpiryInterval = 0 // messages live as long as their session, retained ones for ever
	capabilities.ReceiveMaximum = maxInFlight
	capabilities.MinimumProtocolVersion = minMQTTVersion
	b.server = mqtt.New(&mqtt.Options{Capabilities: capabilities, InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	hear := func(filter string, id int, hear func(thing string, payload []byte)) error {
		return b.server.Subscribe(topicPrefix+"+/"+filter, id, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
			thing, _, _ := strings.Cut(strings.TrimPrefix(pk.TopicName, topicPrefix), "/")
			hear(thing, pk.Payload)
		})
	}
	err := errors.Join(
		b.server.AddHook(&rules{cloud: c, server: b.server, flights: newFlights()}, nil),
		b.server.AddHook(&retention{cloud: c, server: b.server}, nil),
		b.server.AddListener(brokerListener{listeners.NewNet("mqtt", l), l, c}),
		b.server.Serve(),
		hear(topicStatus, 1, c.hearStatus),
		hear(topicJobs, 2, c.hearJobs),
	)
	if err != nil {
		return nil, fmt.Errorf("the local cloud's message broker cannot start: %w", errors.Join(err, b.server.Close()))
	}
	return b, nil
}

// brokerListener writes the lines about connections that do not begin with a whole CONNECT, of which
// the hooks of the server hear nothing.
type brokerListener struct {
	*listeners.Net
	conns *handoff
	cloud *Cloud
}

// Serve implements listeners.Listener.
func (l brokerListener) Serve(establish listeners.EstablishFn) {
	for {
		conn, err := l.conns.Accept()
		if err != nil {
			return
		}
		go func() {
			err := establish(l.ID(), conn)
			var code packets.Code
			if err == nil || !strings.HasPrefix(err.Error(), "read connection: ") || !errors.As(err, &code) ||
				errors.Is(err, packets.ErrRejectPacket) {
				return
			}
			thing := ""
			if device, ok := conn.(*deviceConn); ok {
				thing = device.thing
			}
			l.cloud.refused.Add(refusal.Refusal{
				What: "MQTT CONNECT", By: thing, Code: "connection closed", Where: "the first packet", Why: code.Reason,
			})
		}()
	}
}

func (b *broker) close() error { return b.server.Close() }

// publish sends to a thing, at least once. The broker keeps it while the thing is away.
func (b *broker) publish(thing, topic string, payload []byte) {
	if err := b.server.Publish(topicPrefix+thing+"/"+topic, payload, false, maxQoS); err != nil {
		b.cloud.log.Error("cannot publish", zap.String("thing", thing), zap.String("topic", topic), zap.Error(err))
	}
}

// clientsOf lists the connected clients of a thing, under whichever client ids.
func (b *broker) clientsOf(thing string) (list []*mqtt.Client) {
	for _, client := range b.server.Clients.GetAll() {
		if thingOf(client) == thing && !client.Closed() {
			list = append(list, client)
		}
	}
	return list
}

func (b *broker) connected(thing string) bool { return len(b.clientsOf(thing)) > 0 }

func (b *broker) disconnect(thing string) {
	for _, client := range b.clientsOf(thing) {
		client.Stop(errors.New("the certificate was revoked"))
	}
}

// thingOf is the thing whose certificate a client has; "" = the local cloud itself.
func thingOf(client *mqtt.Client) string {
	if conn, ok := client.Net.Conn.(*deviceConn); ok {
		return conn.thing
	}
	return ""
}

func owns(thing, topic string) bool { return strings.HasPrefix(topic, topicPrefix+thing+"/") }
