package iotconfig

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// CodeRetain says that AWS IoT does not let the hub publish retained messages.
const CodeRetain = "mqtt-retain"

// retainedEnds is how many connections in a row must end in a way that a missing iot:RetainPublish explains
// before the hub connects without it. AWS IoT does not say why it ends a connection.
const retainedEnds = 2

// errRetainAgain ends a connection without retained messages, to try one with them.
var errRetainAgain = errors.New("retained messages are tried again")

// retaining decides whether agent/status and the last will are retained. AWS IoT ends the connection of a
// client that publishes a retained message, or has a retained will, without the right
// iot:RetainPublish, which the policy of AWS's guide lacks: the hub then does without both.
// Used by the goroutine of the connection only.
type retaining struct {
	off   bool          // connect without will, and publish nothing retained
	ends  int           // connections in a row that a missing right explains
	known bool          // a connection without retained messages came up where those with them did not
	pause time.Duration // until they are tried again; doubles
	again time.Time     // when they are tried again, while off
}

// noteEnd takes in how a connection ended before it was up: whether a missing right explains it.
func (r *retaining) noteEnd(explained bool, t timing) {
	switch {
	case r.off && !r.known:
		*r = retaining{} // it was not the right
	case r.off || !explained:
	default:
		if r.ends++; r.ends >= retainedEnds {
			r.off = true
			r.pause = min(max(2*r.pause, t.retainRetry), t.retainRetryMost)
			r.again = time.Now().Add(r.pause)
		}
	}
}

// retry has the next connection try retained messages once.
func (r *retaining) retry() { r.off, r.ends = false, retainedEnds-1 }

// noteRetained is called when a connection is up, with retained messages or without.
func (c *Client) noteRetained() {
	r := &c.retaining
	if !r.off {
		*r = retaining{}
		if c.o.Health.OK(scopeRetain) {
			c.o.Log.Info("AWS IoT takes retained messages")
		}
		return
	}
	r.known = true
	fault := retainFault(nil, c.topics.agentStatus)
	if c.o.Health.Report(scopeRetain, health.Info, fault) {
		c.o.Log.Warn("connected without retained messages", zap.String("code", fault.Code), zap.Error(fault))
	}
}

func retainFault(cause error, topic string) *health.Fault {
	return health.UserFault(CodeRetain, cause, "AWS IoT does not let this hub publish retained messages, "+
		"so the cloud cannot see whether it is online: "+
		"allow iot:RetainPublish on the topic %s in the certificate's policy. All else works without it.", topic)
}

// RetryRetained tries at once to publish retained messages, where the hub was not allowed to.
func (c *Client) RetryRetained() { c.retainNow.Set() }

// retainAgain fires when a connection without retained messages shall end to try them; never for one
// with them.
func (c *Client) retainAgain() <-chan time.Time {
	if !c.retaining.off {
		return nil
	}
	return time.After(time.Until(c.retaining.again))
}
