package localcloud

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// packetClient speaks MQTT packet by packet, so that nothing is hidden by a client's own checks.
type packetClient struct {
	t    *testing.T
	conn net.Conn
}

func dialMQTT(t *testing.T, c *Cloud, thing string, protocols ...string) *packetClient {
	t.Helper()
	config := deviceTLS(t, c, thing)
	config.NextProtos = protocols
	conn, err := tls.Dial("tcp", c.MQTTEndpoint(), config)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return &packetClient{t: t, conn: conn}
}

func connectPacket(id string, edit func(*packets.ConnectPacket)) *packets.ConnectPacket {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.ClientIdentifier, p.Keepalive, p.CleanSession = "MQTT", 4, id, 30, true
	if edit != nil {
		edit(p)
	}
	return p
}

func publishPacket(topic string, size int, edit func(*packets.PublishPacket)) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.MessageID = topic, make([]byte, size), 1, 7
	if edit != nil {
		edit(p)
	}
	return p
}

func subscribePacket(qos byte, filters ...string) *packets.SubscribePacket {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.Topics, p.MessageID, p.Qos = filters, 7, 1
	for range filters {
		p.Qoss = append(p.Qoss, qos)
	}
	return p
}

// ask sends a packet and reports what comes back: the kind of packet with its code, or closed.
func (r *packetClient) ask(p packets.ControlPacket) string {
	r.t.Helper()
	if p.Write(r.conn) != nil {
		return "closed" // before it was read whole
	}
	switch answer, err := packets.ReadPacket(r.conn); a := answer.(type) {
	case *packets.ConnackPacket:
		return fmt.Sprintf("CONNACK %d", a.ReturnCode)
	case *packets.PubackPacket:
		return "PUBACK"
	case *packets.SubackPacket:
		return fmt.Sprintf("SUBACK %x", a.ReturnCodes)
	default:
		if err == io.EOF || err == io.ErrUnexpectedEOF || err != nil && strings.Contains(err.Error(), "reset") {
			return "closed"
		}
		return fmt.Sprint(answer, err)
	}
}

// limitsRow is a packet, what comes back, and the line about it.
type limitsRow struct {
	packet packets.ControlPacket
	want   string
	line   string // of the refusal, "" = there is none
}

func limitsRows() map[string]limitsRow {
	const own = "kvs-edge/hub-1/"
	will := func(topic string, qos byte, size int) func(*packets.ConnectPacket) {
		return func(p *packets.ConnectPacket) {
			p.WillFlag, p.WillTopic, p.WillQos, p.WillMessage = true, topic, qos, make([]byte, size)
		}
	}
	fill := func(n int) string { return own + strings.Repeat("x", n-len(own)) }
	return map[string]limitsRow{
		"connect":                   {connectPacket(hub, nil), "CONNACK 0", ""},
		"connect beside Greengrass": {connectPacket(hub+"-kvs-edge", nil), "CONNACK 0", ""},
		"another's client id": {connectPacket("hub-2", nil), "closed",
			"refused MQTT CONNECT of hub-2 by hub-1: connection closed at the right iot:Connect"},
		"a long client id": {connectPacket(strings.Repeat("c", 129), nil), "closed", "client id: has 129 bytes"},
		"no client id":     {connectPacket("", nil), "closed", "client id: has 0 bytes"},
		"MQTT 3.1": {connectPacket(hub, func(p *packets.ConnectPacket) { p.ProtocolName, p.ProtocolVersion = "MQIsdp", 3 }),
			"CONNACK 1", "CONNACK 0x01"},
		"will":             {connectPacket(hub, will(own+"a", 1, 10)), "CONNACK 0", ""},
		"will elsewhere":   {connectPacket(hub, will("kvs-edge/hub-2/a", 1, 10)), "closed", "the will, the right iot:Publish"},
		"will with QoS 2":  {connectPacket(hub, will(own+"a", 2, 10)), "closed", "the will, QoS"},
		"long topic":       {publishPacket(fill(256), 1, nil), "PUBACK", ""},
		"too long a topic": {publishPacket(fill(257), 1, nil), "closed", "topic: has 257 bytes"},
		"7 slashes":        {publishPacket(own+"3/4/5/6/7/8", 1, nil), "PUBACK", ""},
		"8 slashes":        {publishPacket(own+"3/4/5/6/7/8/9", 1, nil), "closed", "topic: has 8 slashes"},
		"128 KB":           {publishPacket(own+"a", 128<<10, nil), "PUBACK", ""},
		"more than 128 KB": {publishPacket(own+"a", 128<<10+1, nil), "closed", "payload: has 131073 bytes"},
		"much more":        {publishPacket(own+"a", 200<<10, nil), "closed", "connection closed"},
		"QoS 2":            {publishPacket(own+"a", 1, func(p *packets.PublishPacket) { p.Qos = 2 }), "closed", "QoS: is 2"},
		"another's topic": {publishPacket("kvs-edge/hub-2/a", 1, func(p *packets.PublishPacket) { p.Qos = 0 }), "closed",
			"refused MQTT PUBLISH of kvs-edge/hub-2/a by hub-1"},
		"retained":         {publishPacket(own+"a", 1, func(p *packets.PublishPacket) { p.Retain = true }), "PUBACK", ""},
		"a wildcard":       {publishPacket(own+"+", 1, nil), "closed", "topic: has a wildcard"},
		"a reserved topic": {publishPacket("$aws/things/hub-1/shadow/update", 1, nil), "closed", "is reserved"},
		"8 filters": {subscribePacket(1, own+"1", own+"2", own+"3", own+"4", own+"5", own+"6", own+"7", own+"8"),
			"SUBACK 0101010101010101", ""},
		"9 filters": {subscribePacket(1, own+"1", own+"2", own+"3", own+"4", own+"5", own+"6", own+"7", own+"8", own+"9"),
			"closed", "filters: are 9"},
		"mine and another's": {subscribePacket(1, own+"#", "kvs-edge/+/config/update", "#"), "SUBACK 018080",
			"refused MQTT SUBSCRIBE of kvs-edge/+/config/update by hub-1: SUBACK 0x80 at the right iot:Subscribe"},
		"filter with 8 slashes": {subscribePacket(1, own+"3/4/5/6/7/8/#"), "closed", "filter: has 8 slashes"},
		"subscribe with QoS 2":  {subscribePacket(2, own+"1"), "closed", "QoS: is 2"},
	}
}

func TestLimitsOfTheBroker(t *testing.T) {
	t.Parallel()
	for name, row := range limitsRows() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusals := newLines()
			c := start(t, Options{Refusals: refusals})
			r := dialMQTT(t, c, hub)
			if _, ok := row.packet.(*packets.ConnectPacket); !ok {
				if got := r.ask(connectPacket(hub, nil)); got != "CONNACK 0" {
					t.Fatal(got)
				}
			}
			if got := r.ask(row.packet); got != row.want {
				t.Errorf("answered %s, want %s", got, row.want)
			}
			if row.line != "" {
				refusals.await(t, row.line)
			} else if text := refusals.String(); text != "" {
				t.Errorf("refused: %s", text)
			}
		})
	}
}

func TestSubscriptionsOfAConnectionAreLimited(t *testing.T) {
	t.Parallel()
	refusals := newLines()
	c := start(t, Options{Refusals: refusals})
	r := dialMQTT(t, c, hub)
	r.ask(connectPacket(hub, nil))
	for i := range 50 {
		if got := r.ask(subscribePacket(1, fmt.Sprint("kvs-edge/hub-1/", i))); got != "SUBACK 01" {
			t.Fatalf("subscription %d: %s", i, got)
		}
	}
	if got := r.ask(subscribePacket(1, "kvs-edge/hub-1/0", "kvs-edge/hub-1/50")); got != "SUBACK 0180" {
		t.Errorf("one again and a 51st: %s", got)
	}
	refusals.await(t, "kvs-edge/hub-1/50", "at most 50")
}

func TestTheOlderOfTwoClientsOfOneNameIsDisconnected(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	older, beside, newer := dialMQTT(t, c, hub), dialMQTT(t, c, hub), dialMQTT(t, c, hub)
	for _, r := range []struct {
		client *packetClient
		id     string
	}{{older, hub}, {beside, hub + "-kvs-edge"}, {newer, hub}} {
		if got := r.client.ask(connectPacket(r.id, nil)); got != "CONNACK 0" {
			t.Fatal(got)
		}
	}
	if _, err := packets.ReadPacket(older.conn); err != io.EOF {
		t.Errorf("the older one reads %v", err)
	}
	for _, r := range []*packetClient{beside, newer} {
		if got := r.ask(publishPacket("kvs-edge/hub-1/a", 1, nil)); got != "PUBACK" {
			t.Error(got)
		}
	}
	if n := c.broker.Clients(hub); n != 2 {
		t.Errorf("%d clients are connected", n)
	}
}
