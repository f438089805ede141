package iotconfig

import (
	"slices"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// publication is one message to the cloud.
type publication struct {
	topic   string
	payload []byte
	about   string // the stream or the request whose status it is
	sent    func() // called when the broker has acknowledged it; never blocks; nil = nobody wants to know
}

// outbox keeps statuses until the broker has acknowledged them. While there is no
// connection only the newest about each stream and request is kept.
type outbox struct {
	ready signal.Signal

	mu     sync.Mutex
	queue  []publication // guarded by mu, as all below
	online bool
	limit  int    // of the queue before it is squeezed although there is a connection
	next   uint64 // counts what was taken off the head, to recognise it again
}

// maxQueued is how many publications wait for a broker that does not acknowledge before older ones are left out.
const maxQueued = 1000

func newOutbox() *outbox { return &outbox{ready: signal.New(), limit: maxQueued} }

// put appends a publication.
func (b *outbox) put(p publication) {
	b.mu.Lock()
	b.queue = append(b.queue, p)
	if !b.online || len(b.queue) > b.limit {
		b.squeeze()
		b.limit = max(2*len(b.queue), maxQueued)
	}
	b.mu.Unlock()
	b.ready.Set()
}

// squeeze keeps the last publication about each stream and request. Called with mu held.
func (b *outbox) squeeze() {
	last := make(map[string]int, len(b.queue))
	for i, p := range b.queue {
		last[p.about] = i
	}
	kept := b.queue[:0]
	for i, p := range b.queue {
		if last[p.about] == i {
			kept = append(kept, p)
		}
	}
	b.queue = slices.Clip(kept)
	b.next++
}

// setOnline notes whether there is a connection.
func (b *outbox) setOnline(online bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.online = online; !online {
		b.squeeze()
	}
}

// head returns the oldest publication and a ticket for sent.
func (b *outbox) head() (p publication, ticket uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return publication{}, 0, false
	}
	return b.queue[0], b.next, true
}

// sent takes the publication p with that ticket out.
func (b *outbox) sent(p publication, ticket uint64) {
	if p.sent != nil {
		p.sent()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if ticket == b.next && len(b.queue) > 0 {
		b.queue = b.queue[1:]
		b.next++
	}
}
