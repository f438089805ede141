package udp

import (
	"net/netip"
	"slices"
	"time"
)

// silence is how long a source must be quiet before another source of the camera replaces it: a camera that restarts its
// encoder, or a router that forgets a connection, continues from another port.
const silence = 2 * time.Second

// Who is the set of senders whose packets may belong to a track.
type Who struct {
	Addresses []netip.Addr // of the camera: the peer of its RTSP connection, and those that its answers named
	Anybody   bool         // other addresses are accepted as well
	SSRC      uint32       // of the packets, as the answer announced it
	Announced bool         // the answer announced it
}

// sender classifies the sender of a packet.
type sender uint8

const (
	taken    sender = iota
	stranger        // not one of the camera's addresses
	another         // another source of the camera than the one that plays
)

// latch locks on to the source of a track: the first whose packets fit. The port does not matter, as cameras send from
// others than they announce; the address does, as anybody could send packets.
type latch struct {
	who     Who
	has     bool
	from    netip.AddrPort // of the last accepted packet
	ssrc    uint32         // its SSRC
	heard   time.Time
	matches bool // a packet with the announced SSRC has arrived
}

// knows reports whether an address is one of the camera's.
func (l *latch) knows(address netip.Addr) bool {
	return l.who.Anybody || slices.Contains(l.who.Addresses, address)
}

// same reports whether a packet is from the source that played last.
func (l *latch) same(from netip.AddrPort, ssrc uint32) bool {
	return l.has && from.Addr() == l.from.Addr() && (from.Port() == l.from.Port() || ssrc == l.ssrc)
}

// plays reports whether a packet whose form does not fit the track comes from the track's sender: the source that plays, or one of
// the camera's addresses while none does. Otherwise anybody could end the session with it.
func (l *latch) plays(from netip.AddrPort, ssrc uint32, now time.Time) bool {
	if l.has && now.Sub(l.heard) < silence {
		return l.same(from, ssrc)
	}
	return l.same(from, ssrc) || slices.Contains(l.who.Addresses, from.Addr())
}

// admit classifies a packet whose form fits the track, and locks on to its source when it is accepted.
//
// The source that plays is identified by its address and port, or by its address and SSRC: either the
// SSRC or the port may change. Other sources of the camera have to wait until it is silent, unless they have the SSRC that the
// answer announced and no packet with it has arrived yet.
func (l *latch) admit(from netip.AddrPort, ssrc uint32, now time.Time) sender {
	if !l.knows(from.Addr()) {
		return stranger
	}
	matches := l.who.Announced && ssrc == l.who.SSRC
	if l.has && !l.same(from, ssrc) && now.Sub(l.heard) < silence && (!matches || l.matches) {
		return another
	}
	l.has, l.from, l.ssrc, l.heard, l.matches = true, from, ssrc, now, l.matches || matches
	return taken
}
