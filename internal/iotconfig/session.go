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

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
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

// errLost ends a session that the network or the broker ended.
var errLost = errors.New("the connection was lost")

// connect keeps a session with the broker, until ctx ends.
func (s *Source) connect(ctx context.Context) {
	wait := backoff.New(s.o.Reconnect)
	short := 0 // sessions in a row that ended soon
	for ctx.Err() == nil {
		began := time.Now()
		up, err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRetainAgain) {
			s.retaining.retry()
			continue
		}
		if up {
			s.o.Health.SetState("offline")
			if short++; time.Since(began) >= s.timing.healthy {
				short = 0
				wait.Reset()
			}
		}
		fault := health.FaultOf(err, CodeMQTT)
		if errors.Is(err, errLost) {
			text := "The connection to AWS IoT was lost; the agent reconnects, and records on meanwhile."
			if short > 2 {
				text = "The connection to AWS IoT is lost again and again: check that no other agent uses this thing name, and that the certificate's policy allows the agent's topics."
			}
			fault = health.SystemFault(CodeMQTT, err, "%s", text)
		}
		if s.o.Health.Report(scopeMQTT, health.Degraded, fault) {
			s.o.Log.Warn("no connection to AWS IoT", zap.Error(fault), zap.NamedError("cause", fault.Err))
		}
		if wait.Wait(ctx) != nil {
			return
		}
	}
}

// session is one connection to the broker from dialling to its end. up is whether it ever served.
func (s *Source) session(ctx context.Context) (up bool, err error) {
	conn, err := s.dialer.dial(ctx, s.timing.handshake)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }() // usually closed by then
	b := s.newBroker(conn, !s.retaining.off)
	if err := b.open(ctx, conn, "online"); err != nil {
		s.retaining.noteEnd(b.refused, s.timing)
		return false, err
	}
	defer b.client.Disconnect(quiesce)
	s.noteRetained()
	s.outbox.setOnline(true)
	defer s.outbox.setOnline(false)
	s.o.Health.SetState("online")
	if s.o.Health.OK(scopeMQTT) {
		s.o.Log.Info("connected to AWS IoT")
	}
	s.requestListing() // what was missed: only once subscribed, so that nothing falls between
	return true, b.serve(ctx)
}

func (s *Source) clientOptions(b *broker, conn net.Conn) *mqtt.ClientOptions {
	options := mqtt.NewClientOptions().
		AddBroker("tls://" + s.o.DataEndpoint).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return conn, nil }).
		SetClientID(s.o.clientID()).
		SetProtocolVersion(mqtt311).
		SetCleanSession(false).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(true).
		SetAutoAckDisabled(true). // acknowledged once merged and on disk
		SetKeepAlive(keepAlive).
		SetPingTimeout(pingTimeout).
		SetWriteTimeout(writeTimeout).
		SetConnectTimeout(s.timing.handshake).
		SetDefaultPublishHandler(b.receive).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { b.lost <- err })
	if b.retained {
		options.SetBinaryWill(s.topics.agentStatus, s.agentStatus("offline"), qos, true)
	}
	return options
}

// agentStatus is the payload of agent/status. That of the will has the time of the connection:
// the broker sends it as it is.
func (s *Source) agentStatus(status string) []byte {
	payload, err := json.Marshal(agentStatus{Status: status, Version: s.o.Version, Time: epoch{s.o.Now().UTC().Truncate(time.Millisecond)}})
	if err != nil {
		s.o.Log.Error("cannot encode the agent's status", zap.Error(err))
	}
	return payload
}

// broker is the client of one session.
type broker struct {
	source *Source
	client mqtt.Client
	lost   chan error        // receives once, when the connection ends by itself
	acks   chan mqtt.Message // merged, to be acknowledged

	retained bool // agent/status and the will are
	refused  bool // AWS IoT ended it at the will or at the first retained message
}

func (s *Source) newBroker(conn net.Conn, retained bool) *broker {
	b := &broker{source: s, lost: make(chan error, 1), acks: make(chan mqtt.Message, maxInboxMessages), retained: retained}
	b.client = mqtt.NewClient(s.clientOptions(b, conn))
	return b
}

// open connects, subscribes and publishes the hub's status. When it fails nothing stays open.
func (b *broker) open(ctx context.Context, conn net.Conn, status string) error {
	if err := b.start(ctx, conn); err != nil {
		return err
	}
	err := b.subscribe(ctx)
	if err == nil {
		topic := b.source.topics.agentStatus
		err = b.publish(ctx, topic, b.retained, b.source.agentStatus(status))
		if b.retained && errors.Is(err, errLost) {
			b.refused = true
			err = health.SystemFault(CodeMQTT, err, "AWS IoT ended the connection at the first retained message: "+
				"check that the certificate's policy allows iot:Publish and iot:RetainPublish on the topic %s.", topic)
		}
	}
	if err != nil {
		b.client.Disconnect(quiesce)
	}
	return err
}

// receive runs on the network goroutine: it only hands over.
func (b *broker) receive(_ mqtt.Client, m mqtt.Message) {
	ack := func() {
		select {
		case b.acks <- m:
		default: // the broker sends it again, with the next connection
		}
	}
	if !b.source.inbox.put(message{topic: m.Topic(), payload: m.Payload(), ack: ack}) {
		b.source.event(health.Info, health.SystemFault(codeMessage, nil, "More configuration messages came than can be kept; the hub's configurations are listed instead."))
		b.source.requestListing()
	}
}

// start sends CONNECT and waits for the answer.
func (b *broker) start(ctx context.Context, conn net.Conn) error {
	token := b.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		_ = conn.Close() // makes the client give up
		<-token.Done()
	}
	err := token.Error()
	if ctx.Err() != nil {
		if err == nil {
			b.client.Disconnect(quiesce)
		}
		return ctx.Err()
	}
	also := "" // what else CONNECT wants
	if b.retained {
		also = " and iot:RetainPublish on the topic " + b.source.topics.agentStatus
	}
	b.refused = b.retained && err != nil && !neterr.IsTimeout(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, packets.ErrorRefusedNotAuthorised), errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedIDRejected):
		return health.UserFault(CodeMQTT, err, "AWS IoT refuses the connection of thing %s: its certificate's policy must allow iot:Connect for the client id %s%s.", b.source.o.ThingName, b.source.o.clientID(), also)
	default:
		// With TLS 1.3 a refused certificate shows only now.
		if fault := b.source.dialer.fault(err, ""); fault.Class == health.UserError {
			b.refused = false
			return fault
		}
		return health.SystemFault(CodeMQTT, err, "AWS IoT ended the connection before it was up: check that the certificate is active and its policy allows iot:Connect for the client id %s%s.", b.source.o.clientID(), also)
	}
}

// subscribe asks for the configuration topics; with a persistent session that may repeat what
// the broker knows.
func (b *broker) subscribe(ctx context.Context) error {
	t := b.source.topics
	token := b.client.SubscribeMultiple(map[string]byte{t.update: qos, t.delete: qos, t.refresh: qos, t.uploadRequest: qos}, nil)
	if err := b.await(ctx, token); err != nil {
		return err
	}
	if subscribed, ok := token.(*mqtt.SubscribeToken); ok {
		for topic, granted := range subscribed.Result() {
			if granted == subscribeBad && topic == t.uploadRequest {
				b.source.o.Log.Info("the certificate's policy does not let the cloud ask for uploads", zap.String("topic", topic))
				continue
			}
			if granted == subscribeBad {
				return health.UserFault(CodeMQTT, nil, "AWS IoT refuses the subscription of %s: the certificate's policy must allow iot:Subscribe and iot:Receive on it.", topic)
			}
		}
	}
	return nil
}

// serve sends statuses and acknowledges messages until the session ends.
func (b *broker) serve(ctx context.Context) error {
	s := b.source
	jobs := newJobsPublisher(s)
	every := time.NewTicker(s.timing.jobsEvery)
	defer every.Stop()
	debounce := time.NewTimer(0) // the first report at once
	defer debounce.Stop()
	waiting := true
	retain := s.retainAgain()
	for {
		if err := b.empty(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return b.leave()
		case err := <-b.lost:
			return errors.Join(errLost, err)
		case <-retain:
			return errRetainAgain
		case <-s.retainNow:
			if s.retaining.off {
				return errRetainAgain
			}
		case m := <-b.acks:
			m.Ack()
		case <-s.outbox.ready:
		case <-s.o.JobsChanged:
			if !waiting {
				waiting = true
				debounce.Reset(s.timing.jobsDebounce)
			}
		case <-debounce.C:
			waiting = false
			if err := jobs.publish(ctx, b, false); err != nil {
				return err
			}
		case <-every.C:
			if err := jobs.publish(ctx, b, true); err != nil {
				return err
			}
		}
	}
}

// empty sends what is in the outbox.
func (b *broker) empty(ctx context.Context) error {
	for ctx.Err() == nil {
		p, ticket, ok := b.source.outbox.head()
		if !ok {
			return nil
		}
		if err := b.publish(ctx, p.topic, false, p.payload); err != nil {
			if ctx.Err() != nil {
				return nil // serve takes leave
			}
			return err
		}
		b.source.outbox.sent(p, ticket)
	}
	return nil
}

// leave says that the agent goes offline, and so keeps the will from being sent. The context is
// over by then.
func (b *broker) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return b.publish(ctx, b.source.topics.agentStatus, b.retained, b.source.agentStatus("offline"))
}

func (b *broker) publish(ctx context.Context, topic string, retained bool, payload []byte) error {
	return b.await(ctx, b.client.Publish(topic, qos, retained, payload))
}

// await waits for the broker's acknowledgement, while acknowledging what comes in.
func (b *broker) await(ctx context.Context, token mqtt.Token) error {
	timer := time.NewTimer(b.source.timing.acknowledge)
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
			return health.SystemFault(CodeMQTT, nil, "AWS IoT did not acknowledge within %v; the agent reconnects.", b.source.timing.acknowledge)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
