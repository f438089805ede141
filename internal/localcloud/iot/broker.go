// Package iot plays AWS IoT Core as far as a hub needs it: the message broker with its rules and limits, and the HTTPS
// side of messages. It must not know what messages say.
package iot

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/devicetls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// topicPrefix is what the topics of things begin with: kvs-edge/{thing}/. See docs/mqtt.md.
const topicPrefix = "kvs-edge/"

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

// Options of a Broker.
type Options struct {
	Policies *iam.Policies
	Retained string // file of the retained messages
	Log      *calls.Log
	Failures *zap.Logger
	// Hear is called with what things publish, by the topic after kvs-edge/{thing}/.
	Hear map[string]func(thing string, payload []byte)
	// Subscribed is called when a thing has subscribed.
	Subscribed func(thing string)
}

// Broker is AWS IoT Core as far as a hub needs it.
type Broker struct {
	o      Options
	server *mqtt.Server
}

// NewBroker returns a broker, which Start has to start.
func NewBroker(o Options) *Broker {
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumQos = maxQoS
	capabilities.MaximumPacketSize = maxPacket
	capabilities.MaximumSessionExpiryInterval = sessionExpiry
	capabilities.MaximumMessageExpiryInterval = 0 // messages live as long as their session, retained ones for ever
	capabilities.ReceiveMaximum = maxInFlight
	capabilities.MinimumProtocolVersion = minMQTTVersion
	options := &mqtt.Options{Capabilities: capabilities, InlineClient: true, Logger: slog.New(slog.DiscardHandler)}
	return &Broker{o: o, server: mqtt.New(options)}
}

// Start serves the connections of a listener, each of which is a *devicetls.Conn.
func (b *Broker) Start(l net.Listener) error {
	err := errors.Join(
		b.server.AddHook(&rules{o: b.o, server: b.server, flights: newFlights()}, nil),
		b.server.AddHook(&retention{file: b.o.Retained, failures: b.o.Failures, server: b.server}, nil),
		b.server.AddListener(brokerListener{listeners.NewNet("mqtt", l), l, b.o.Log}),
		b.server.Serve(),
	)
	for i, topic := range slices.Sorted(maps.Keys(b.o.Hear)) {
		err = errors.Join(err, b.hear(topic, i+1, b.o.Hear[topic]))
	}
	if err != nil {
		return fmt.Errorf("the local cloud's message broker cannot start: %w", errors.Join(err, b.Close()))
	}
	return nil
}

func (b *Broker) hear(topic string, id int, hear func(thing string, payload []byte)) error {
	return b.server.Subscribe(topicPrefix+"+/"+topic, id, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
		thing, _, _ := strings.Cut(strings.TrimPrefix(pk.TopicName, topicPrefix), "/")
		hear(thing, pk.Payload)
	})
}

// brokerListener writes the lines about connections that do not begin with a whole CONNECT, of which
// the hooks of the server hear nothing.
type brokerListener struct {
	*listeners.Net
	conns net.Listener
	log   *calls.Log
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
			if device, ok := conn.(*devicetls.Conn); ok {
				thing = device.Thing()
			}
			l.log.AddRefusal(refusal.Refusal{
				What: "MQTT CONNECT", By: thing, Code: "connection closed", Where: "the first packet", Why: code.Reason,
			})
		}()
	}
}

// Close ends all connections.
func (b *Broker) Close() error { return CloseServer(b.server) }

// CloseServer closes the listeners of a server and ends their connections, then closes the server. Its own Close can
// wait for ever: it looks for a listener's clients under a lock that it takes twice, and hangs when a client leaves
// between the two (mochi-mqtt 2.7.9, Clients.GetByListener).
func CloseServer(server *mqtt.Server) error {
	server.Listeners.CloseAll(func(listener string) {
		for _, client := range server.Clients.GetAll() {
			if client.Net.Listener == listener && !client.Closed() {
				_ = server.DisconnectClient(client, packets.ErrServerShuttingDown) // it says just that
			}
		}
	})
	return server.Close()
}

// Publish sends to a thing, at least once. The broker keeps it while the thing is away.
func (b *Broker) Publish(thing, topic string, payload []byte) {
	if err := b.server.Publish(topicPrefix+thing+"/"+topic, payload, false, maxQoS); err != nil {
		logevent.MessageNotPublished.Log(b.o.Failures, zap.String("thing", thing), zap.String("topic", topic), zap.Error(err))
	}
}

// PublishReserved sends a message of an AWS service on one of its topics, which begin with $aws: to those that are connected, at most once.
func (b *Broker) PublishReserved(topic string, payload []byte) {
	if err := b.server.Publish(topic, payload, false, 0); err != nil {
		logevent.MessageNotPublished.Log(b.o.Failures, zap.String("topic", topic), zap.Error(err))
	}
}

// clientsOf lists the connected clients of a thing, under whichever client ids.
func (b *Broker) clientsOf(thing string) (list []*mqtt.Client) {
	for _, client := range b.server.Clients.GetAll() {
		if thingOf(client) == thing && !client.Closed() {
			list = append(list, client)
		}
	}
	return list
}

// Clients counts the connected clients of a thing.
func (b *Broker) Clients(thing string) int { return len(b.clientsOf(thing)) }

// Connected reports whether a client of a thing is connected.
func (b *Broker) Connected(thing string) bool { return b.Clients(thing) > 0 }

// Disconnect ends the connections of a thing.
func (b *Broker) Disconnect(thing string) {
	for _, client := range b.clientsOf(thing) {
		client.Stop(errors.New("the certificate was revoked"))
	}
}

// thingOf is the thing whose certificate a client has; "" = the local cloud itself.
func thingOf(client *mqtt.Client) string {
	if conn, ok := client.Net.Conn.(*devicetls.Conn); ok {
		return conn.Thing()
	}
	return ""
}

// siteWisePrefix is what the topics of the only AWS service begin with that publishes here.
const siteWisePrefix = "$aws/sitewise/asset-models/"

// owns reports whether the policy of a thing has a topic, or a filter. Those of SiteWise are for all to read.
func owns(thing, topic string) bool {
	return strings.HasPrefix(topic, topicPrefix+thing+"/") || strings.HasPrefix(topic, siteWisePrefix)
}
