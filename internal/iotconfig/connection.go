package iotconfig

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// keepConnected keeps a connection to the broker, until ctx ends.
func (c *Client) keepConnected(ctx context.Context) {
	wait := backoff.New(c.o.Reconnect)
	short := 0 // connections in a row that ended soon
	for ctx.Err() == nil {
		began := time.Now()
		up, err := c.connectOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRetainAgain) {
			c.retaining.retry()
			continue
		}
		if up {
			c.o.Health.SetState("offline")
			if short++; time.Since(began) >= c.timing.healthy {
				short = 0
				wait.Reset()
			}
		}
		fault := health.FaultOf(err, CodeMQTT)
		if errors.Is(err, errLost) {
			text := "The connection to AWS IoT was lost; the agent reconnects, and recording continues meanwhile."
			if short > 2 {
				text = "The connection to AWS IoT is lost repeatedly: check that no other agent uses this thing name, and that the " +
					"certificate's policy allows the agent's topics."
			}
			fault = health.SystemFault(CodeMQTT, err, "%s", text)
		}
		severity := health.Degraded
		if c.o.Needless() {
			severity = health.Info
		}
		if c.o.Health.Report(scopeMQTT, severity, fault) {
			logevent.Condition(c.o.Log, fault)
		}
		if wait.Wait(ctx) != nil {
			return
		}
	}
}

// connectOnce is one connection to the broker from dialling to its end. up is whether it ever served.
func (c *Client) connectOnce(ctx context.Context) (up bool, err error) {
	conn, err := c.dialer.dial(ctx, c.timing.handshake)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }() // usually closed by then
	b := c.newBroker(conn, !c.retaining.off)
	if err := b.open(ctx, conn, "online"); err != nil {
		c.retaining.noteEnd(b.refused, c.timing)
		return false, err
	}
	defer b.mqtt.Disconnect(quiesce)
	c.noteRetained()
	c.outbox.setOnline(true)
	defer c.outbox.setOnline(false)
	c.o.Health.SetState("online")
	if c.o.Health.OK(scopeMQTT) {
		logevent.MQTTConnected.Log(c.o.Log)
	}
	c.o.Connected() // what was missed: only once subscribed, so that nothing falls between
	return true, b.serve(ctx)
}

// noteRetained is called when a connection is up, with retained messages or without.
func (c *Client) noteRetained() {
	r := &c.retaining
	if !r.off {
		*r = retaining{}
		if c.o.Health.OK(scopeRetain) {
			logevent.MQTTRetainAllowed.Log(c.o.Log)
		}
		return
	}
	r.known = true
	fault := retainFault(nil, c.topics.agentStatus)
	if c.o.Health.Report(scopeRetain, health.Info, fault) {
		logevent.Condition(c.o.Log, fault)
	}
}

// RetryRetained tries at once to publish retained messages, where the hub was not allowed to.
func (c *Client) RetryRetained() { c.retainNow.Set() }
