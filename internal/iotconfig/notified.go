package iotconfig

import (
	"context"
	"slices"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

const (
	// notifiedPrefix begins the topics on which AWS IoT SiteWise publishes.
	notifiedPrefix = "$aws/sitewise/"
	// maxNotified bounds these topics: a connection has 50 subscriptions. Source: AWS IoT Core quotas.
	maxNotified = 40
	// notifyAgain is how long connections do without notifications after one that ended when it subscribed to them.
	notifyAgain = time.Hour
	// perSubscribe is how many topics one packet may have. Source: AWS IoT Core quotas.
	perSubscribe = 8
)

// Notifications are what AWS IoT SiteWise publishes of properties. The zero value has none.
type Notifications struct {
	Topics func() []string // where; it must not wait
	// Changed receives when Topics may return others.
	Changed <-chan struct{}
	// Receive is called with each message. It must not wait.
	Receive func(payload []byte)
	// Subscribed is called with whether all of it arrives: all topics are subscribed to, and there is a connection. It must not wait.
	Subscribed func(all bool)
}

// none reports whether there is nothing to subscribe to.
func (n Notifications) none() bool { return n.Topics == nil }

// ended says that the connection has ended.
func (n Notifications) ended() {
	if !n.none() {
		n.Subscribed(false)
	}
}

// followNotifications subscribes to the topics that the connection is not subscribed to yet. What the policy does not allow is done
// without: the properties are read repeatedly as well.
func (b *broker) followNotifications(ctx context.Context) error {
	n := b.client.o.Notifications
	if n.none() || b.client.o.Now().Before(b.client.notifyAfter) {
		return nil
	}
	var missing []string
	topics := n.Topics()
	for _, topic := range topics[:min(len(topics), maxNotified)] {
		if _, asked := b.notified[topic]; !asked && strings.HasPrefix(topic, notifiedPrefix) {
			missing = append(missing, topic)
		}
	}
	for part := range slices.Chunk(missing, perSubscribe) {
		filters := make(map[string]byte, len(part))
		for _, topic := range part {
			filters[topic] = 0 // as SiteWise publishes
		}
		token := b.mqtt.SubscribeMultiple(filters, nil)
		if err := b.await(ctx, token); err != nil {
			if ctx.Err() != nil {
				return nil // serve takes sayOffline
			}
			// The broker may end a connection for a topic that the policy does not allow: the next one does without.
			b.client.notifyAfter = b.client.o.Now().Add(notifyAgain)
			logevent.NotificationsDenied.Log(b.client.o.Log, zap.Error(err))
			return err
		}
		subscribed, ok := token.(*mqtt.SubscribeToken)
		for _, topic := range part {
			b.notified[topic] = ok && subscribed.Result()[topic] != subscribeBad
		}
	}
	all := true
	for _, topic := range topics {
		all = all && b.notified[topic]
	}
	if !all && len(missing) > 0 {
		logevent.NotificationsDenied.Log(b.client.o.Log, zap.Int("topics", len(topics)))
	}
	n.Subscribed(all)
	return nil
}

// notify passes a message of SiteWise on. It reports whether it was one.
func (b *broker) notify(m mqtt.Message) bool {
	if n := b.client.o.Notifications; n.none() || !strings.HasPrefix(m.Topic(), notifiedPrefix) {
		return false
	}
	b.client.o.Notifications.Receive(m.Payload())
	return true
}
