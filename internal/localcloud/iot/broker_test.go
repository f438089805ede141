package iot

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "kvs-edge/hub-1/config/update"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startBroker starts one without TLS, to which clients without a thing may say everything.
func startBroker(t *testing.T) (b *Broker, address string) {
	t.Helper()
	policies, err := iam.New(iam.Options{Allow: []string{"iot:*"}})
	must(t, err)
	b = NewBroker(Options{
		Policies: policies, Retained: filepath.Join(t.TempDir(), "retained.json"), Log: calls.NewLog(calls.Options{}), Failures: zap.NewNop(),
		Subscribed: func(string) {},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, b.Start(l))
	t.Cleanup(func() { must(t, b.Close()) })
	return b, l.Addr().String()
}

// connect begins a session of hub-1 that lasts beyond the connection.
func connect(t *testing.T, address string, keepAlive uint16) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.ClientIdentifier, p.Keepalive = "MQTT", 4, "hub-1", keepAlive
	if got := ask(t, conn, p); got != "CONNACK" {
		t.Fatal(got)
	}
	return conn
}

func ask(t *testing.T, conn net.Conn, p packets.ControlPacket) string {
	t.Helper()
	must(t, p.Write(conn))
	switch answer, err := packets.ReadPacket(conn); answer.(type) {
	case *packets.ConnackPacket:
		return "CONNACK"
	case *packets.SubackPacket:
		return "SUBACK"
	default:
		return fmt.Sprint(answer, err)
	}
}

func TestAnExpiredSessionHasNoSubscriptions(t *testing.T) {
	t.Parallel()
	b, address := startBroker(t)
	if got := b.server.Options.Capabilities.MaximumSessionExpiryInterval; got != 3600 {
		t.Errorf("sessions last %d s", got)
	}
	conn := connect(t, address, 30)
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.Topics, subscribe.Qoss, subscribe.MessageID, subscribe.Qos = []string{topic}, []byte{1}, 7, 1
	if got := ask(t, conn, subscribe); got != "SUBACK" {
		t.Fatal(got)
	}
	must(t, packets.NewControlPacket(packets.Disconnect).Write(conn))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("behind its DISCONNECT a client reads %v", err)
	}
	client, ok := b.server.Clients.Get("hub-1")
	if !ok || len(b.server.Topics.Subscribers(topic).Subscriptions) != 1 {
		t.Fatal("a session ends with its connection")
	}
	(&rules{o: b.o, server: b.server, flights: newFlights()}).OnClientExpired(client)
	if n := len(b.server.Topics.Subscribers(topic).Subscriptions); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

func TestKeepAliveIsHeldToAWSsBounds(t *testing.T) {
	t.Parallel()
	for asked, want := range map[uint16]uint16{0: 1200, 1: 30, 29: 30, 30: 30, 600: 600, 1200: 1200, 1201: 1200, 65535: 1200} {
		if got := keepAlive(asked); got != want {
			t.Errorf("%d s becomes %d s, want %d", asked, got, want)
		}
	}
	b, address := startBroker(t)
	connect(t, address, 5)
	if client, ok := b.server.Clients.Get("hub-1"); !ok || client.State.Keepalive != 30 {
		t.Error("the broker uses another interval")
	}
}
