package iotconfig

import (
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// message is one that came from the broker.
type message struct {
	topic    string
	payload  []byte
	repeated bool   // the broker may have sent it before
	ack      func() // notifies the broker that it need not send the message again; never blocks
}

// bounds of what waits in an inbox: beyond them a message is left to the broker's session and to the next listing.
type bounds struct{ messages, bytes int }

var (
	configBounds = bounds{messages: 1024, bytes: 16 << 20}
	uploadBounds = bounds{messages: 128, bytes: 2 << 20}
)

// inbox takes messages off the network goroutine without ever making it wait.
type inbox struct {
	bounds bounds
	ready  signal.Signal

	mu       sync.Mutex
	messages []message // guarded by mu
	bytes    int       // of the payloads, guarded by mu
}

func newInbox(b bounds) *inbox { return &inbox{bounds: b, ready: signal.New()} }

// put reports whether there was room.
func (b *inbox) put(m message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.messages) >= b.bounds.messages || b.bytes+len(m.payload) > b.bounds.bytes {
		return false
	}
	b.messages = append(b.messages, m)
	b.bytes += len(m.payload)
	b.ready.Set()
	return true
}

// take empties it.
func (b *inbox) take() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.messages
	b.messages, b.bytes = nil, 0
	return out
}
