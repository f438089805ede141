package iotconfig

import "sync"

// Bounds of what waits to be merged: beyond them a message is left to the broker's session and
// to the next listing.
const (
	maxInboxMessages = 1024
	maxInboxBytes    = 16 << 20
)

// message is one that came from the broker.
type message struct {
	topic   string
	payload []byte
	ack     func() // tells the broker that it need not send the message again; never blocks
}

// inbox takes messages off the network goroutine without ever making it wait.
type inbox struct {
	ready chan struct{}

	mu       sync.Mutex
	messages []message // guarded by mu
	bytes    int       // of the payloads, guarded by mu
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

// put reports whether there was room.
func (b *inbox) put(m message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.messages) >= maxInboxMessages || b.bytes+len(m.payload) > maxInboxBytes {
		return false
	}
	b.messages = append(b.messages, m)
	b.bytes += len(m.payload)
	select {
	case b.ready <- struct{}{}:
	default:
	}
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
