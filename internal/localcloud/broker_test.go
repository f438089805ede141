package localcloud

import (
	"crypto/tls"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func TestWhoMayConnectToTheBroker(t *testing.T) {
	t.Parallel()
	c, foreign := start(t, Options{}), start(t, Options{})
	will := func(topic string) func(*mqtt.ClientOptions) {
		return func(o *mqtt.ClientOptions) { o.SetWill(topic, "offline", 1, true) }
	}
	for name, row := range map[string]struct {
		change func(*mqtt.ClientOptions)
		ok     bool
	}{
		"the thing itself":      {func(*mqtt.ClientOptions) {}, true},
		"a will about itself":   {will("kvs-edge/" + hub + "/agent/status"), true},
		"a will about others":   {will("kvs-edge/hub-2/agent/status"), false},
		"without a certificate": {func(o *mqtt.ClientOptions) { o.SetTLSConfig(&tls.Config{RootCAs: c.pki.Pool()}) }, false},
		"another name":          {func(o *mqtt.ClientOptions) { o.SetClientID("hub-2") }, false},
		"a foreign certificate": {func(o *mqtt.ClientOptions) {
			config := deviceTLS(t, foreign, hub)
			config.RootCAs = c.pki.Pool()
			o.SetTLSConfig(config)
		}, false},
		"a revoked certificate": {func(o *mqtt.ClientOptions) {
			o.SetClientID("revoked").SetTLSConfig(deviceTLS(t, c, "revoked"))
			must(t, c.Faults().RevokeCertificate("revoked"))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := mqttOptions(t, c, hub).SetConnectRetry(false)
			row.change(o)
			client := mqtt.NewClient(o)
			token := client.Connect()
			if !token.WaitTimeout(patience) {
				t.Fatal("the broker does not answer")
			}
			if token.Error() == nil {
				client.Disconnect(100)
			}
			if (token.Error() == nil) != row.ok {
				t.Errorf("connecting returns %v", token.Error())
			}
		})
	}
}

func TestAThingIsConfinedToItsTopics(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	h := connectHub(t, c, hub)
	for topic, granted := range map[string]byte{
		"kvs-edge/hub-1/config/#":      1,
		"kvs-edge/hub-1/anything":      1,
		"kvs-edge/hub-2/config/update": 0x80,
		"kvs-edge/+/config/update":     0x80,
		"kvs-edge/hub-10/x":            0x80,
		"#":                            0x80,
	} {
		token := h.client.Subscribe(topic, 1, nil)
		if !token.WaitTimeout(patience) {
			t.Fatal("the broker does not answer")
		}
		if got := token.(*mqtt.SubscribeToken).Result()[topic]; got != granted {
			t.Errorf("subscribing to %s returns %#x, want %#x", topic, got, granted)
		}
	}

	lost := make(chan error, 1)
	o := mqttOptions(t, c, "hub-2").SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	client := mqtt.NewClient(o)
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	client.Publish("kvs-edge/hub-1/config/status", 1, false, "{}")
	select {
	case <-lost: // as AWS IoT does
	case <-waiting(t).Done():
		t.Error("a message to another thing's topic does not end the connection")
	}
}

func TestARevokedCertificateEndsTheConnection(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	lost := make(chan error, 1)
	client := mqtt.NewClient(mqttOptions(t, c, hub).SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	must(t, c.Faults().RevokeCertificate(hub))
	select {
	case <-lost:
	case <-waiting(t).Done():
		t.Error("the connection is not closed")
	}
}
