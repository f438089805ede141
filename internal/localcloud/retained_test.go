package localcloud

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func TestRetainedMessagesSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	retain := func(c *Cloud, topic, payload string) {
		t.Helper()
		client := dialMQTT(t, c, hub)
		if got := client.ask(connectPacket(hub, nil)); got != "CONNACK 0" {
			t.Fatal(got)
		}
		if got := client.ask(publishPacket("kvs-edge/"+hub+"/"+topic, 0, func(p *packets.PublishPacket) {
			p.Retain, p.Payload = true, []byte(payload)
		})); got != "PUBACK" {
			t.Fatal(got)
		}
		must(t, client.conn.Close())
	}
	type message struct {
		Payload          []byte
		QoS              byte
		LastModifiedTime int64
	}
	get := func(c *Cloud, topic string) (m message, err error) {
		text, err := c.broker.DataAPI().Call("GetRetainedMessage",
			httptest.NewRequest(http.MethodGet, "/retainedMessage/kvs-edge/"+hub+"/"+topic, nil), nil)
		if err == nil {
			must(t, json.Unmarshal(text, &m))
		}
		return m, err
	}
	c := start(t, Options{Dir: dir})
	retain(c, "agent/status", "\x00 online")
	retain(c, "jobs/status", "x")
	retain(c, "jobs/status", "") // which deletes it
	before, err := get(c, "agent/status")
	must(t, err)
	must(t, c.Close())
	c = start(t, Options{Dir: dir})
	if after, err := get(c, "agent/status"); err != nil || string(after.Payload) != "\x00 online" || after.QoS != 1 ||
		after.LastModifiedTime != before.LastModifiedTime || after.LastModifiedTime == 0 {
		t.Errorf("got %+v, %v, want %+v", after, err, before)
	}
	if _, err := get(c, "jobs/status"); err == nil {
		t.Error("a deleted message is back")
	}
	subscriber := dialMQTT(t, c, hub)
	subscriber.ask(connectPacket(hub, nil))
	must(t, subscribePacket(1, "kvs-edge/"+hub+"/agent/status").Write(subscriber.conn))
	for range 2 { // SUBACK and the message, in either order
		packet, err := packets.ReadPacket(subscriber.conn)
		must(t, err)
		if p, ok := packet.(*packets.PublishPacket); ok && (!p.Retain || string(p.Payload) != "\x00 online") {
			t.Errorf("the subscriber gets %v", p)
		}
	}
}

func TestRetainedMessagesThatCannotBeReadAreNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, start(t, Options{Dir: dir}).Close())
	path := filepath.Join(dir, "state", "retained.json")
	must(t, os.WriteFile(path, []byte("{"), 0o600))
	if _, err := Start(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "repair or delete "+path) {
		t.Errorf("got %v", err)
	}
}

func TestConnectionsThatDoNotBeginWithAConnectAreALine(t *testing.T) {
	t.Parallel()
	refusals := newLines()
	c := start(t, Options{Refusals: refusals})
	client := dialMQTT(t, c, hub)
	_, err := client.conn.Write([]byte{0x10, 0xff, 0xff, 0xff, 0xff, 0x7f}) // a length that MQTT does not have
	must(t, err)
	refusals.await(t, "refused MQTT CONNECT by hub-1: connection closed at the first packet: malformed packet")
	client = dialMQTT(t, c, hub)
	must(t, connectPacket("a-stranger", nil).Write(client.conn))
	refusals.await(t, "refused MQTT CONNECT of a-stranger by hub-1")
	if n := strings.Count(refusals.String(), "refused "); n != 2 {
		t.Errorf("%d lines: %s", n, refusals)
	}
}
