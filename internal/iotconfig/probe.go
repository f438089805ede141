package iotconfig

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// ProbeOptions say which connection to try.
type ProbeOptions struct {
	ThingName    string
	ClientID     string // default ThingName
	DataEndpoint string // host[:port]
	Refused      error  // as in Options
	Version      string // of the agent, for agent/status
	TLS          *tls.Config
	// DialOnly stops after the TLS handshake: a thing has one MQTT connection, and a second one
	// would end that of an agent which runs.
	DialOnly bool
	// Proxy as in Options.
	Proxy func(*http.Request) (*url.URL, error)
}

// Probe connects to the broker as the agent would, with its last will, subscribes to its topics and
// publishes one retained message, that the hub is offline. It takes no message: those for the agent stay queued at the
// broker. An error is a *health.Fault or ctx's, and names the right that is missing; its code is CodeRetain when that is
// the right to publish retained messages. That iot:Receive is missing shows only when a message is to come.
func Probe(ctx context.Context, o ProbeOptions) error {
	c, err := newProbe(o)
	if err != nil {
		return err
	}
	refused, err := c.probe(ctx, o.DialOnly, true)
	if err == nil || !refused {
		return err
	}
	// AWS IoT ends a connection without a word: one without retained messages shows what it minds.
	_, without := c.probe(ctx, false, false)
	switch {
	case without == nil:
		return retainFault(err, c.topics.agentStatus)
	case errors.Is(without, errLost): // it connected, so that only the message is left
		return health.UserFault(CodeMQTT, without, "AWS IoT does not let this hub publish: "+
			"allow iot:Publish on the topic %s, and on the other topics of docs/mqtt.md, in the certificate's policy.", c.topics.agentStatus)
	case ctx.Err() != nil:
		return err
	default:
		return without // it names iot:Connect alone
	}
}

func newProbe(o ProbeOptions) (*Client, error) {
	c := newClient(Options{
		ThingName: o.ThingName, ClientID: o.ClientID, DataEndpoint: o.DataEndpoint, Version: o.Version, TLS: o.TLS, Proxy: o.Proxy,
	}.withDefaults())
	var err error
	if c.dialer, err = newDialer(o.DataEndpoint, o.TLS, c.o.Proxy, nil); err == nil {
		c.dialer.refused = o.Refused
	}
	return c, err
}

// probe makes one connection. refused is whether a missing right to publish retained messages would
// explain that it failed.
func (c *Client) probe(ctx context.Context, dialOnly, retained bool) (refused bool, err error) {
	conn, err := c.dialer.dial(ctx, c.timing.handshake)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if dialOnly {
		return false, nil
	}
	b := &broker{client: c, lost: make(chan error, 1), acks: make(chan mqtt.Message), retained: retained}
	b.mqtt = mqtt.NewClient(c.clientOptions(b, conn).SetDefaultPublishHandler(func(mqtt.Client, mqtt.Message) {})) // not acknowledged
	if err := b.open(ctx, conn, "offline"); err != nil {
		return b.refused, err
	}
	b.mqtt.Disconnect(quiesce)
	return false, nil
}
