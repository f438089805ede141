package localcloud

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// slowHub is a thing that acknowledges messages when the test says so.
type slowHub struct {
	t      *testing.T
	client mqtt.Client
	heard  chan mqtt.Message
}

func connectSlowHub(t *testing.T, c *Cloud) *slowHub {
	t.Helper()
	h := &slowHub{t: t, heard: make(chan mqtt.Message, 1000)}
	o := mqttOptions(t, c, hub).SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { h.heard <- m })
	h.client = mqtt.NewClient(o)
	h.done(h.client.Connect())
	t.Cleanup(func() { h.client.Disconnect(100) })
	h.done(h.client.Subscribe("kvs-edge/"+hub+"/#", 1, func(_ mqtt.Client, m mqtt.Message) { h.heard <- m }))
	return h
}

func (h *slowHub) done(token mqtt.Token) {
	h.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		h.t.Fatal(token.Error())
	}
}

// until collects the messages of QoS 1 up to one with that payload.
func (h *slowHub) until(last string) (list []mqtt.Message) {
	h.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case m := <-h.heard:
			if m.Qos() > 0 {
				list = append(list, m)
			}
			if string(m.Payload()) == last {
				return list
			}
		case <-timeout:
			h.t.Fatalf("%s does not come; %d messages did", last, len(list))
		}
	}
}

// A client has 100 messages that it did not acknowledge, and no more, also after it lost its connection.
func TestAtMost100MessagesAreInFlight(t *testing.T) {
	t.Parallel()
	const all = 250
	c := start(t, Options{})
	h := connectSlowHub(t, c)
	for n := range all {
		c.broker.Publish(hub, "numbered", fmt.Appendf(nil, "%d", n))
	}
	// What is not to be acknowledged is not held back: it comes behind all that could be written.
	marker := func() {
		publish := signedRequest{path: "/topics/kvs-edge/" + hub + "/marker?qos=0", body: "marker", hashed: "marker",
			service: awsapi.IoTData, region: Region, key: c.keys.User(), at: time.Now()}
		if got := publish.send(t, c).StatusCode; got != http.StatusOK {
			t.Fatalf("a message over HTTPS is answered %d", got)
		}
	}
	marker()
	first := h.until("marker")
	if len(first) != 100 || string(first[0].Payload()) != "0" {
		t.Errorf("%d messages came without an acknowledgement, the first is %s", len(first), first[0].Payload())
	}
	h.client.Disconnect(0)

	h = connectSlowHub(t, c)
	marker()
	again := h.until("marker")
	if len(again) != 100 {
		t.Errorf("after another connection %d messages came, want %d", len(again), 100)
	}
	seen := map[string]bool{}
	for pending := again; len(seen) < all; {
		for _, m := range pending {
			if seen[string(m.Payload())] {
				t.Fatalf("%s came twice", m.Payload())
			}
			seen[string(m.Payload())] = true
			m.Ack()
		}
		if pending = nil; len(seen) < all {
			pending = []mqtt.Message{h.next()}
		}
	}
}

func (h *slowHub) next() mqtt.Message {
	h.t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case m := <-h.heard:
			if m.Qos() > 0 {
				return m
			}
		case <-timeout:
			h.t.Fatal("no further message comes")
		}
	}
}
