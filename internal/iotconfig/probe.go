package iotconfig

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"
)

// ProbeOptions say which connection to try.
type ProbeOptions struct {
	ThingName    string
	ClientID     string // default ThingName
	DataEndpoint string // host[:port]
	TLS          *tls.Config
	// DialOnly stops after the TLS handshake: a thing has one MQTT connection, and a second one
	// would end that of an agent which runs.
	DialOnly bool
	// Proxy as in Options.
	Proxy func(*http.Request) (*url.URL, error)
}

// Probe connects to the broker as the agent would and subscribes to its topics. It takes no
// message: what waits for the agent goes on waiting. An error is a *health.Fault or ctx's.
func Probe(ctx context.Context, o ProbeOptions) error {
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	s := &Source{
		o:      Options{ThingName: o.ThingName, ClientID: o.ClientID, DataEndpoint: o.DataEndpoint, TLS: o.TLS, Log: zap.NewNop(), Now: time.Now},
		topics: topicsOf(o.ThingName), timing: defaultTiming(),
	}
	var err error
	if s.dialer, err = newDialer(o.DataEndpoint, o.TLS, o.Proxy); err != nil {
		return err
	}
	conn, err := s.dialer.dial(ctx, s.timing.handshake)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if o.DialOnly {
		return nil
	}
	b := &broker{source: s, lost: make(chan error, 1), acks: make(chan mqtt.Message)}
	options := s.clientOptions(b, conn).SetDefaultPublishHandler(func(mqtt.Client, mqtt.Message) {}) // not acknowledged
	options.UnsetWill()
	options.WillRetained = false // else CONNECT would have the flags of a will that is not there
	b.client = mqtt.NewClient(options)
	if err := b.start(ctx, conn); err != nil {
		return err
	}
	defer b.client.Disconnect(quiesce)
	return b.subscribe(ctx)
}
