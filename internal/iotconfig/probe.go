package iotconfig

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// ProbeOptions say which connection to try.
type ProbeOptions struct {
	ThingName    string
	ClientID     string // default ThingName
	DataEndpoint string // host[:port]
	Version      string // of the agent, for agent/status
	TLS          *tls.Config
	// DialOnly stops after the TLS handshake: a thing has one MQTT connection, and a second one
	// would end that of an agent which runs.
	DialOnly bool
	// Proxy as in Options.
	Proxy func(*http.Request) (*url.URL, error)
}

// Probe connects to the broker as the agent would, with its last will, subscribes to its topics and
// publishes one retained message, that the hub is offline. It takes no message: what waits for the agent
// goes on waiting. An error is a *health.Fault or ctx's; its code is CodeRetain when only the right to
// publish retained messages is missing.
func Probe(ctx context.Context, o ProbeOptions) error {
	s, err := newProbe(o)
	if err != nil {
		return err
	}
	refused, err := s.probe(ctx, o.DialOnly, true)
	if err == nil || !refused {
		return err
	}
	// AWS IoT ends a connection without a word: one without retained messages shows what it minds.
	if _, without := s.probe(ctx, false, false); without == nil {
		return retainFault(err, s.topics.agentStatus)
	}
	return err
}

func newProbe(o ProbeOptions) (*Source, error) {
	full := Options{
		ThingName: o.ThingName, ClientID: o.ClientID, DataEndpoint: o.DataEndpoint, Version: o.Version, TLS: o.TLS, Proxy: o.Proxy,
	}.withDefaults()
	s := &Source{o: full, topics: topicsOf(o.ThingName), timing: defaultTiming()}
	var err error
	s.dialer, err = newDialer(o.DataEndpoint, o.TLS, full.Proxy)
	return s, err
}

// probe makes one connection. refused is whether a missing right to publish retained messages would
// explain that it failed.
func (s *Source) probe(ctx context.Context, dialOnly, retained bool) (refused bool, err error) {
	conn, err := s.dialer.dial(ctx, s.timing.handshake)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if dialOnly {
		return false, nil
	}
	b := &broker{source: s, lost: make(chan error, 1), acks: make(chan mqtt.Message), retained: retained}
	b.client = mqtt.NewClient(s.clientOptions(b, conn).SetDefaultPublishHandler(func(mqtt.Client, mqtt.Message) {})) // not acknowledged
	if err := b.open(ctx, conn, "offline"); err != nil {
		return b.refused, err
	}
	b.client.Disconnect(quiesce)
	return false, nil
}
