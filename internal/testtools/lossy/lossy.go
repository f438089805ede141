// Package lossy owns a bad network between an RTSP client and a server: RTP over UDP passes through
// it, and packets of the first track are dropped, doubled and overtaken as a plan says. It knows
// which they were, so that a test knows what the client cannot have got. It must not know who
// the client and the server are.
package lossy

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Fate is what the proxy does with a packet.
type Fate uint8

// The fates of packets.
const (
	Pass Fate = iota
	Drop
	Double // it arrives twice
	Late   // it arrives after packets that were sent after it
)

// Packet is an RTP packet (RFC 3550, section 5.1).
type Packet struct {
	Index     int // of the packets of its session, from 0
	Sequence  uint16
	Timestamp uint32
	Marker    bool
	Payload   []byte // with extensions and padding; the packet's to read until the plan returns
	Header    []byte // what the others are taken from; the plan may change it
}

// Plan decides the fate of each packet of the first track of a session. It is called from one
// goroutine per session.
type Plan func(Packet) Fate

// Shares are probabilities, from 0 to 1.
type Shares struct{ Drop, Double, Late float64 }

// Random is a plan that follows from a seed: the same packets have the same fate each time.
func Random(seed uint64, s Shares) Plan {
	source := rand.New(rand.NewPCG(seed, 0))
	return func(Packet) Fate {
		switch x := source.Float64(); {
		case x < s.Drop:
			return Drop
		case x < s.Drop+s.Double:
			return Double
		case x < s.Drop+s.Double+s.Late:
			return Late
		}
		return Pass
	}
}

// Proxy passes RTSP connections on to a server, and their RTP. Safe for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	plan     Plan
	group    sync.WaitGroup

	mu    sync.Mutex
	ended bool
	open  map[net.Conn]bool
	log   []Event
}

// Event is a packet of the first track that the proxy has dealt with.
type Event struct {
	Sequence  uint16
	Timestamp uint32
	Marker    bool
	Fate      Fate
}

// New listens on loopback for RTSP connections to target, host:port, until the test ends.
func New(tb testing.TB, target string, plan Plan) *Proxy {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: listener, target: target, plan: plan, open: make(map[net.Conn]bool)}
	p.group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.group.Go(func() { p.serve(client) })
		}
	})
	tb.Cleanup(p.close)
	return p
}

// Address is host:port to connect to instead of the target.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Events are the packets of the first track of each session so far, in the order of the server.
func (p *Proxy) Events() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log[:len(p.log):len(p.log)]
}

// close ends all sessions and waits for their goroutines.
func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.ended = true
	for conn := range p.open {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.group.Wait()
}

// keep notes a connection to be closed with the proxy; one that comes after that is closed at once.
func (p *Proxy) keep(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[conn] = true
	if p.ended {
		_ = conn.Close()
	}
}

func (p *Proxy) forget(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
}

// serve passes one RTSP connection, with the tracks that are set up in it.
func (p *Proxy) serve(client net.Conn) {
	p.keep(client)
	defer p.forget(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	p.keep(server)
	defer p.forget(server)
	s := &session{proxy: p, client: client, server: server, asked: make(map[string]*track)}
	defer s.close()
	var back sync.WaitGroup
	back.Go(func() {
		_ = pass(client, server, s.response)
		_ = client.Close()
	})
	_ = pass(server, client, s.request)
	_ = server.Close()
	back.Wait()
}

// decide asks the plan, and notes what it says.
func (p *Proxy) decide(index int, datagram []byte) Fate {
	if len(datagram) < rtpHeader {
		return Pass
	}
	packet := Packet{
		Index:     index,
		Marker:    datagram[1]&0x80 != 0,
		Sequence:  binary.BigEndian.Uint16(datagram[2:]),
		Timestamp: binary.BigEndian.Uint32(datagram[4:]),
		Payload:   datagram[rtpHeader:],
		Header:    datagram[:rtpHeader],
	}
	p.mu.Lock() // the plan has a state, and a session may begin while the previous one ends
	defer p.mu.Unlock()
	fate := p.plan(packet)
	p.log = append(p.log, Event{packet.Sequence, packet.Timestamp, packet.Marker, fate})
	return fate
}

// rtpHeader is the fixed part of the header, in bytes.
const rtpHeader = 12
