package iot

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// rules are the limits of AWS IoT Core and the policy of the devices' certificates. What AWS IoT
// does where they are broken, and how that is known:
//   - CONNECT that no policy allows: the connection is closed, without a CONNACK (eclipse-paho/paho.mqtt.rust
//     issue 119; aws/aws-iot-device-sdk-js-v2 issue 101).
//   - PUBLISH that no policy allows: the connection is closed, with QoS 0 too, and the message is lost
//     (aws/aws-iot-device-sdk-python-v2 issue 260). A retained one needs iot:RetainPublish beside iot:Publish.
//   - SUBSCRIBE that no policy allows, and the 51st subscription: SUBACK with 0x80 (shamblett/mqtt_client issue 368).
//     Until some years ago the connection was closed (aws/aws-iot-device-sdk-js issue 125).
//   - More than 8 filters in a SUBSCRIBE: the connection is closed (dotnet/MQTTnet issue 1427).
//   - QoS 2: the developer guide says that neither PUBACK nor SUBACK is sent; here the connection is closed, so
//     that nobody waits. So it is with topics, payloads and client ids beyond their limits.
type rules struct {
	mqtt.HookBase
	o       Options
	server  *mqtt.Server
	flights *flights
}

// ID implements mqtt.Hook.
func (*rules) ID() string { return "rules" }

// Provides implements mqtt.Hook.
func (*rules) Provides(hook byte) bool {
	switch hook {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPacketEncode, mqtt.OnPacketSent, mqtt.OnSubscribe,
		mqtt.OnSubscribed, mqtt.OnQosComplete, mqtt.OnSessionEstablished, mqtt.OnPublished, mqtt.OnDisconnect, mqtt.OnClientExpired:
		return true
	}
	return false
}

// OnConnectAuthenticate implements mqtt.Hook: OnPacketRead has seen to it.
func (*rules) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck implements mqtt.Hook. Publishing and subscribing were checked; what is left is iot:Receive.
func (r *rules) OnACLCheck(client *mqtt.Client, topic string, write bool) bool {
	return write || client.Net.Inline || r.allows(client, "Receive", topic)
}

func (r *rules) allows(client *mqtt.Client, packet, topic string) bool {
	return r.o.Policies.PolicyAllows(iam.Action(awsapi.IoTData, packet), owns(thingOf(client), topic))
}

// fault is why a packet is refused, and which of its parts is at fault.
type fault struct{ where, why string }

func missingRight(action, on string) *fault {
	return &fault{where: "the right iot:" + action, why: fmt.Sprintf("no policy of the certificate allows iot:%s on %s", action, on)}
}

// OnPacketRead implements mqtt.Hook. A packet that is refused ends the connection.
func (r *rules) OnPacketRead(client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	var f *fault
	what, of := "", ""
	switch pk.FixedHeader.Type {
	case packets.Connect:
		what, of = "CONNECT", pk.Connect.ClientIdentifier
		f = r.connectFault(client, pk.Connect)
		pk.Connect.Keepalive = keepAlive(pk.Connect.Keepalive)
	case packets.Publish:
		what, of = "PUBLISH", pk.TopicName
		f = r.publishFault(client, pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.FixedHeader.Retain)
	case packets.Subscribe:
		what, of = "SUBSCRIBE", filtersOf(pk)
		f = subscribeFault(pk)
	}
	if f == nil {
		return pk, nil
	}
	r.refuse(client, what, of, "connection closed", f)
	return pk, packets.ErrRejectPacket
}

// keepAlive is the interval in seconds that AWS IoT uses. Source: IoT Core quotas, "Connection inactivity".
func keepAlive(seconds uint16) uint16 {
	if seconds == 0 {
		return maxKeepAlive
	}
	return min(max(seconds, minKeepAlive), maxKeepAlive)
}

// ownClientID reports whether a client id is the thing's, by the policies that are documented:
// docs/mqtt.md and deploy/greengrass/recipe.yaml.
func ownClientID(thing, id string) bool { return id == thing || id == thing+"-kvs-edge" }

func (r *rules) connectFault(client *mqtt.Client, c packets.ConnectParams) *fault {
	id := c.ClientIdentifier
	switch {
	case id == "" || len(id) > maxClientID:
		return &fault{"client id", fmt.Sprintf("has %d bytes; it must have 1 to %d", len(id), maxClientID)}
	case !r.o.Policies.PolicyAllows("iot:Connect", ownClientID(thingOf(client), id)):
		return missingRight("Connect", "client/"+id)
	case !c.WillFlag:
		return nil
	}
	if f := r.publishFault(client, c.WillTopic, c.WillPayload, c.WillQos, c.WillRetain); f != nil {
		return &fault{"the will, " + f.where, f.why}
	}
	return nil
}

func (r *rules) publishFault(client *mqtt.Client, topic string, payload []byte, qos byte, retain bool) *fault {
	switch why := topicFault(topic); {
	case why != "":
		return &fault{"topic", why}
	case qos > maxQoS:
		return &fault{"QoS", "is 2, which AWS IoT does not have"}
	case len(payload) > maxPayload:
		return &fault{"payload", fmt.Sprintf("has %d bytes; at most %d are allowed", len(payload), maxPayload)}
	case !r.allows(client, "Publish", topic):
		return missingRight("Publish", "topic/"+topic)
	case retain && !r.allows(client, "RetainPublish", topic):
		return missingRight("RetainPublish", "topic/"+topic)
	}
	return nil
}

// topicFault says what is wrong with a topic; "" = nothing.
func topicFault(topic string) string {
	if why := filterFault(topic); why != "" {
		return why
	}
	if strings.ContainsAny(topic, "#+") {
		return "has a wildcard"
	}
	if strings.HasPrefix(topic, "$") {
		return "is reserved for AWS's services"
	}
	return ""
}

func filterFault(filter string) string {
	switch n := strings.Count(filter, "/"); {
	case filter == "" || len(filter) > maxTopic:
		return fmt.Sprintf("has %d bytes; it must have 1 to %d", len(filter), maxTopic)
	case !utf8.ValidString(filter) || strings.ContainsRune(filter, 0):
		return "is not UTF-8 without NUL"
	case n > maxSlashes:
		return fmt.Sprintf("has %d slashes; at most %d are allowed", n, maxSlashes)
	case strings.HasPrefix(filter, "$") && !strings.HasPrefix(filter, "$share/") && !strings.HasPrefix(filter, siteWisePrefix):
		return "is reserved, and of the reserved topics localcloud serves those of SiteWise only"
	}
	return ""
}

func subscribeFault(pk packets.Packet) *fault {
	if n := len(pk.Filters); n > maxFilters {
		return &fault{"filters", fmt.Sprintf("are %d; at most %d are allowed in one SUBSCRIBE", n, maxFilters)}
	}
	for _, sub := range pk.Filters {
		if why := filterFault(sub.Filter); why != "" {
			return &fault{"filter", why}
		}
		if sub.Qos > maxQoS {
			return &fault{"QoS", "is 2, which AWS IoT does not have"}
		}
	}
	return nil
}

func filtersOf(pk packets.Packet) string {
	var names []string
	for _, sub := range pk.Filters {
		if sub.Filter != "" {
			names = append(names, sub.Filter)
		}
	}
	return strings.Join(names, " ")
}

// OnSubscribe implements mqtt.Hook. A filter that is refused is emptied, which the server answers
// with 0x80.
func (r *rules) OnSubscribe(client *mqtt.Client, pk packets.Packet) packets.Packet {
	if client.Net.Inline {
		return pk
	}
	had := client.State.Subscriptions.GetAll()
	for i, sub := range pk.Filters {
		var f *fault
		switch _, again := had[sub.Filter]; {
		case !r.allows(client, "Subscribe", sub.Filter):
			f = missingRight("Subscribe", "topicfilter/"+sub.Filter)
		case !again && len(had) >= maxSubscriptions:
			f = &fault{"subscriptions", fmt.Sprintf("at most %d are allowed on one connection", maxSubscriptions)}
		default:
			had[sub.Filter] = sub
			continue
		}
		r.refuse(client, "SUBSCRIBE", sub.Filter, "SUBACK 0x80", f)
		pk.Filters[i].Filter = ""
	}
	return pk
}

// OnSubscribed implements mqtt.Hook: the thing is sent what it may have missed.
func (r *rules) OnSubscribed(client *mqtt.Client, pk packets.Packet, _ []byte) {
	if filters := filtersOf(pk); !client.Net.Inline && filters != "" {
		r.note(client, "SUBSCRIBE", filters, "accepted", 0)
		r.o.Subscribed(thingOf(client))
	}
}

// OnSessionEstablished implements mqtt.Hook.
func (r *rules) OnSessionEstablished(client *mqtt.Client, _ packets.Packet) {
	r.note(client, "CONNECT", client.ID, "accepted", 0)
}

// OnPublished implements mqtt.Hook.
func (r *rules) OnPublished(client *mqtt.Client, pk packets.Packet) {
	r.note(client, "PUBLISH", pk.TopicName, "accepted", len(pk.Payload))
}

// OnPacketEncode implements mqtt.Hook. In MQTT 3.1.1 a server says no DISCONNECT, it closes the
// connection; a packet without a type is not written.
func (r *rules) OnPacketEncode(client *mqtt.Client, pk packets.Packet) packets.Packet {
	switch kind := pk.FixedHeader.Type; {
	case kind == packets.Connack && pk.ReasonCode == packets.CodeSuccess.Code:
		r.flights.connected(client, pk.SessionPresent)
	case kind == packets.Publish && pk.FixedHeader.Qos > 0 && !r.flights.admit(client, pk),
		kind == packets.Disconnect && client.Properties.ProtocolVersion < 5:
		pk.FixedHeader.Type = packets.Reserved
	}
	return pk
}

// OnPacketSent implements mqtt.Hook: a CONNECT that the server itself refuses is answered.
func (r *rules) OnPacketSent(client *mqtt.Client, pk packets.Packet, _ []byte) {
	if pk.FixedHeader.Type == packets.Connack && pk.ReasonCode != packets.CodeSuccess.Code {
		r.refuse(client, "CONNECT", client.ID, fmt.Sprintf("CONNACK %#02x", pk.ReasonCode), &fault{why: "breaks a rule of MQTT"})
	}
}

// OnQosComplete implements mqtt.Hook: a client has acknowledged a message.
func (r *rules) OnQosComplete(client *mqtt.Client, pk packets.Packet) {
	if client.Net.Inline {
		return
	}
	if next, ok := r.flights.acknowledged(client, pk.PacketID); ok {
		_ = client.WritePacket(next) // where the connection is gone it is sent again with the next one
	}
}

// OnClientExpired implements mqtt.Hook: with a session end its subscriptions, which the server forgets to end.
func (r *rules) OnClientExpired(client *mqtt.Client) {
	r.server.UnsubscribeClient(client)
	r.flights.forget(client)
}

// quietEnds are the ends of connections in which nothing was refused, or was refused before.
var quietEnds = []error{packets.ErrRejectPacket, packets.ErrSessionTakenOver, packets.ErrServerShuttingDown, packets.CodeDisconnect}

// OnDisconnect implements mqtt.Hook.
func (r *rules) OnDisconnect(client *mqtt.Client, err error, _ bool) {
	var code packets.Code
	if errors.As(err, &code) {
		for _, quiet := range quietEnds {
			if errors.Is(err, quiet) {
				return
			}
		}
		r.refuse(client, "packet", client.ID, "connection closed", &fault{why: code.Reason})
	}
}

func (r *rules) refuse(client *mqtt.Client, what, of, code string, f *fault) {
	r.o.Log.AddRefusal(refusal.Refusal{What: "MQTT " + what, Of: of, By: thingOf(client), Code: code, Where: f.where, Why: f.why})
	r.note(client, what, of, code, 0)
}

// note writes the line about a packet.
func (r *rules) note(client *mqtt.Client, operation, of, outcome string, in int) {
	by := thingOf(client)
	if client.Net.Inline {
		by = "localcloud"
	}
	r.o.Log.Add(&calls.Call{Began: time.Now(), Service: "mqtt", Operation: operation, Resource: of, Caller: by, Outcome: outcome,
		In: int64(in)})
}
