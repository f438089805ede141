package iot

import (
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// flights holds back the messages that a client has no room for: those beyond maxInFlight that it has not
// acknowledged. The server's own hold-back forgets a message when it
// has written it, so that a client that loses its connection then would never get it.
type flights struct {
	mu      sync.Mutex
	clients map[string]*clientFlight // by client id
}

// clientFlight is what is on its way to one client.
type clientFlight struct {
	written map[uint16]bool  // ids written on this connection and not acknowledged
	held    []packets.Packet // not written, and not among the server's messages in flight
}

func newFlights() *flights { return &flights{clients: map[string]*clientFlight{}} }

// of is called with mu held.
func (f *flights) of(client *mqtt.Client) *clientFlight {
	c := f.clients[client.ID]
	if c == nil {
		c = &clientFlight{written: map[uint16]bool{}}
		f.clients[client.ID] = c
	}
	return c
}

// connected begins a connection. Of what the server would send again, only as much as a client may have stays with it.
func (f *flights) connected(client *mqtt.Client, sessionPresent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !sessionPresent {
		delete(f.clients, client.ID)
		return
	}
	c := f.of(client)
	clear(c.written)
	var surplus []packets.Packet
	publishes := 0
	for _, pk := range client.State.Inflight.GetAll(false) {
		if pk.FixedHeader.Type != packets.Publish {
			continue
		}
		if publishes++; publishes > maxInFlight {
			client.State.Inflight.Delete(pk.PacketID)
			surplus = append(surplus, pk)
		}
	}
	c.held = append(surplus, c.held...) // held before means written later
}

// admit reports whether a message may be written now; otherwise it waits for an acknowledgement.
func (f *flights) admit(client *mqtt.Client, pk packets.Packet) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.of(client)
	if c.written[pk.PacketID] || len(c.written) < maxInFlight {
		c.written[pk.PacketID] = true
		return true
	}
	client.State.Inflight.Delete(pk.PacketID)
	c.held = append(c.held, pk)
	return false
}

// acknowledged makes room for the next message, and returns it.
func (f *flights) acknowledged(client *mqtt.Client, id uint16) (next packets.Packet, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.of(client)
	delete(c.written, id)
	if len(c.held) == 0 || len(c.written) >= maxInFlight {
		return next, false
	}
	fresh, err := client.NextPacketID()
	if err != nil {
		return next, false // all 65,535 are taken: an acknowledgement frees one
	}
	next, c.held = c.held[0], c.held[1:]
	next.PacketID = uint16(fresh)
	client.State.Inflight.Set(next)
	return next, true
}

// forget ends a session.
func (f *flights) forget(client *mqtt.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.clients, client.ID)
}
