package iotconfig

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// This file and probe.go are the ones that know the MQTT client.

const (
	qos          = 1 // at least once
	keepAlive    = 30 * time.Second
	pingTimeout  = 10 * time.Second
	quiesce      = 250 // ms that a clean disconnect may take
	mqtt311      = 4   // protocol level
	subscribeBad = 0x80
)

// agentStatus is the payload of agent/status.
type agentStatus struct {
	Status  string           `json:"Status"`
	Version string           `json:"Version"`
	Time    edgeconfig.Epoch `json:"Time"`
}

// agentStatus is the payload of agent/status. That of the will has the time of the connection:
// the broker sends it as it is.
func (c *Client) agentStatus(status string) []byte {
	payload, err := json.Marshal(agentStatus{Status: status, Version: c.o.Version, Time: inMilliseconds(c.o.Now())})
	if err != nil {
		logevent.StatusNotEncoded.Log(c.o.Log, zap.Error(err))
	}
	return payload
}

func (c *Client) clientOptions(b *broker, conn net.Conn) *mqtt.ClientOptions {
	options := mqtt.NewClientOptions().
		AddBroker("tls://" + c.o.DataEndpoint).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return conn, nil }).
		SetClientID(c.o.clientID()).
		SetProtocolVersion(mqtt311).
		SetCleanSession(false).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(true).
		SetAutoAckDisabled(true). // acknowledged once merged and on disk
		SetKeepAlive(keepAlive).
		SetPingTimeout(pingTimeout).
		SetWriteTimeout(writeTimeout).
		SetConnectTimeout(c.timing.handshake).
		SetDefaultPublishHandler(b.receive).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { b.lost <- err })
	if b.retained {
		options.SetBinaryWill(c.topics.agentStatus, c.agentStatus("offline"), qos, true)
	}
	return options
}

// broker is the client of one connection.
type broker struct {
	client *Client
	mqtt   mqtt.Client
	lost   chan error        // receives once, when the connection ends by itself
	acks   chan mqtt.Message // merged, to be acknowledged

	notified map[string]bool // topics of SiteWise that were asked for, and whether they are subscribed to; for serve

	retained bool // agent/status and the will are
	refused  bool // AWS IoT ended it at the will or at the first retained message
}

func (c *Client) newBroker(conn net.Conn, retained bool) *broker {
	b := &broker{client: c, lost: make(chan error, 1), acks: make(chan mqtt.Message, configBounds.messages),
		notified: make(map[string]bool), retained: retained}
	b.mqtt = mqtt.NewClient(c.clientOptions(b, conn))
	return b
}

// open connects, subscribes and publishes the hub's status. When it fails nothing stays open.
func (b *broker) open(ctx context.Context, conn net.Conn, status string) error {
	if err := b.start(ctx, conn); err != nil {
		return err
	}
	err := b.subscribe(ctx)
	if err == nil {
		topic := b.client.topics.agentStatus
		err = b.publish(ctx, topic, b.retained, b.client.agentStatus(status))
		if b.retained && errors.Is(err, errLost) {
			b.refused = true
			err = health.SystemFault(CodeMQTT, err, "AWS IoT ended the connection at the first retained message: "+
				"check that the certificate's policy allows iot:Publish and iot:RetainPublish on the topic %s.", topic)
		}
	}
	if err != nil {
		b.mqtt.Disconnect(quiesce)
	}
	return err
}

// receive runs on the network goroutine: it only hands over.
func (b *broker) receive(_ mqtt.Client, m mqtt.Message) {
	if b.notify(m) {
		return // it is not acknowledged, with QoS 0
	}
	ack := func() {
		select {
		case b.acks <- m:
		default: // the broker sends it again, with the next connection
		}
	}
	in := b.client.configs
	switch m.Topic() {
	case b.client.topics.uploadRequest:
		in = b.client.uploads
	case b.client.topics.event:
		in = b.client.events
	case b.client.topics.hold:
		in = b.client.holds
	}
	if !in.put(message{topic: m.Topic(), payload: m.Payload(), repeated: m.Duplicate(), ack: ack}) {
		b.client.o.Lost()
	}
}

// start sends CONNECT and waits for the answer.
func (b *broker) start(ctx context.Context, conn net.Conn) error {
	token := b.mqtt.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		_ = conn.Close() // makes the client give up
		<-token.Done()
	}
	err := token.Error()
	if ctx.Err() != nil {
		if err == nil {
			b.mqtt.Disconnect(quiesce)
		}
		return ctx.Err()
	}
	also := "" // the other right that CONNECT needs
	if b.retained {
		also = " and iot:RetainPublish on the topic " + b.client.topics.agentStatus
	}
	b.refused = b.retained && err != nil && !neterr.IsTimeout(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, packets.ErrorRefusedNotAuthorised), errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword),
		errors.Is(err, packets.ErrorRefusedIDRejected):
		return health.UserFault(CodeMQTT, err, "AWS IoT refuses the connection of thing %s: its certificate's policy must allow iot:Connect "+
			"for the client id %s%s.", b.client.o.ThingName, b.client.o.clientID(), also)
	default:
		// With TLS 1.3 a refused certificate shows only now.
		if fault := b.client.dialer.fault(err, ""); fault.Class == health.UserError {
			b.refused = false
			return fault
		}
		return health.SystemFault(CodeMQTT, err, "AWS IoT ended the connection before it was up: check that the certificate is active and its "+
			"policy allows iot:Connect for the client id %s%s.", b.client.o.clientID(), also)
	}
}

// subscribe asks for the configuration topics; with a persistent session that may repeat what
// the broker knows.
func (b *broker) subscribe(ctx context.Context) error {
	t := b.client.topics
	token := b.mqtt.SubscribeMultiple(map[string]byte{t.update: qos, t.delete: qos, t.refresh: qos, t.uploadRequest: qos,
		t.event: qos, t.hold: qos}, nil)
	if err := b.await(ctx, token); err != nil {
		return err
	}
	if subscribed, ok := token.(*mqtt.SubscribeToken); ok {
		for topic, granted := range subscribed.Result() {
			switch {
			case granted != subscribeBad:
				continue
			case topic == t.uploadRequest:
				logevent.UploadRequestsDenied.Log(b.client.o.Log, zap.String("topic", topic))
				continue
			case topic == t.event:
				logevent.EventsDenied.Log(b.client.o.Log, zap.String("topic", topic))
				continue
			case topic == t.hold:
				logevent.HoldsDenied.Log(b.client.o.Log, zap.String("topic", topic))
				continue
			}
			return health.UserFault(CodeMQTT, nil, "AWS IoT refuses the subscription of %s: the certificate's policy must allow iot:Subscribe "+
				"and iot:Receive on it.", topic)
		}
	}
	return nil
}

// serve sends statuses and acknowledges messages until the connection ends.
func (b *broker) serve(ctx context.Context) error {
	c := b.client
	jobs := jobsPublisher{o: c.o, send: func(ctx context.Context, payload []byte) error {
		return b.publish(ctx, c.topics.jobsStatus, false, payload)
	}}
	every := time.NewTicker(c.timing.jobsEvery)
	defer every.Stop()
	debounce := time.NewTimer(0) // the first report at once
	defer debounce.Stop()
	waiting := true
	retain := c.retaining.due()
	if err := b.followNotifications(ctx); err != nil {
		return err
	}
	defer c.o.Notifications.ended()
	for {
		if err := b.empty(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return b.sayOffline()
		case err := <-b.lost:
			return errors.Join(errLost, err)
		case <-retain:
			return errRetainAgain
		case <-c.retainNow.C():
			if c.retaining.off {
				return errRetainAgain
			}
		case m := <-b.acks:
			m.Ack()
		case <-c.o.Notifications.Changed:
			if err := b.followNotifications(ctx); err != nil {
				return err
			}
		case <-c.outbox.ready.C():
		case <-c.o.JobsChanged:
			if !waiting {
				waiting = true
				debounce.Reset(c.timing.jobsDebounce)
			}
		case <-debounce.C:
			waiting = false
			if err := jobs.publishChanges(ctx); err != nil {
				return err
			}
		case <-every.C:
			if err := jobs.publish(ctx); err != nil {
				return err
			}
		}
	}
}

// empty sends what is in the outbox.
func (b *broker) empty(ctx context.Context) error {
	for ctx.Err() == nil {
		p, ticket, ok := b.client.outbox.head()
		if !ok {
			return nil
		}
		if err := b.publish(ctx, p.topic, false, p.payload); err != nil {
			if ctx.Err() != nil {
				return nil // serve takes sayOffline
			}
			return err
		}
		b.client.outbox.sent(p, ticket)
	}
	return nil
}

// sayOffline publishes that the agent is offline, so that the last will is not sent. The broker's context has ended
// by then.
func (b *broker) sayOffline() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return b.publish(ctx, b.client.topics.agentStatus, b.retained, b.client.agentStatus("offline"))
}

func (b *broker) publish(ctx context.Context, topic string, retained bool, payload []byte) error {
	return b.await(ctx, b.mqtt.Publish(topic, qos, retained, payload))
}

// await waits for the broker's acknowledgement, while acknowledging what comes in.
func (b *broker) await(ctx context.Context, token mqtt.Token) error {
	timer := time.NewTimer(b.client.timing.acknowledge)
	defer timer.Stop()
	for {
		select {
		case <-token.Done():
			if err := token.Error(); err != nil {
				return errors.Join(errLost, err)
			}
			return nil
		case m := <-b.acks:
			m.Ack()
		case err := <-b.lost:
			return errors.Join(errLost, err)
		case <-timer.C:
			return health.SystemFault(CodeMQTT, nil, "AWS IoT did not acknowledge within %v; the agent reconnects.", b.client.timing.acknowledge)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errLost ends a connection that the network or the broker ended.
var errLost = errors.New("the connection was lost")
