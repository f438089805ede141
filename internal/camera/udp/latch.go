package udp

import (
	"net/netip"
	"slices"
	"time"
)

// silence is how long a source may be quiet until another one of the camera takes its place: a camera that restarts its
// encoder, or a router that forgets a connection, goes on from another port.
const silence = 2 * time.Second

// Who are the senders whose packets may be those of a track.
type Who struct {
	Addresses []netip.Addr // of the camera: where its RTSP connection leads, and those that its answers named
	Anybody   bool         // other addresses as well
	SSRC      uint32       // of the packets, as the answer announced it
	Announced bool         // it did
}

// sender is what came of an attempt to send.
type sender uint8

const (
	taken    sender = iota
	stranger        // an address that is none of the camera's
	another         // another source of the camera than the one that plays
)

// latch holds on to the source of a track: the first whose packets fit. A port counts for nothing, as cameras send from
// others than they announce; an address does, as anybody could send to ours.
type latch struct {
	who     Who
	has     bool
	from    netip.AddrPort // of the last packet that was taken
	ssrc    uint32         // its SSRC
	heard   time.Time
	matches bool // a packet with the announced SSRC came
}

// knows reports whether an address is one of the camera's.
func (l *latch) knows(address netip.Addr) bool {
	return l.who.Anybody || slices.Contains(l.who.Addresses, address)
}

// same reports whether a packet is of the source that played last.
func (l *latch) same(from netip.AddrPort, ssrc uint32) bool {
	return l.has && from.Addr() == l.from.Addr() && (from.Port() == l.from.Port() || ssrc == l.ssrc)
}

// plays reports whether a packet that is none of the track's by its form comes from who sends the track: the source that plays, or one of
// the camera's addresses while none does. Anybody else could end the session by it.
func (l *latch) plays(from netip.AddrPort, ssrc uint32, now time.Time) bool {
	if l.has && now.Sub(l.heard) < silence {
		return l.same(from, ssrc)
	}
	return l.same(from, ssrc) || slices.Contains(l.who.Addresses, from.Addr())
}

// admit says what a packet that is one of the track's by its form is, and holds on to its source when it is taken.
//
// The source that plays is known by its address and port, and by its address and the SSRC: the one may change the
// SSRC, the other the port. Anything else of the camera has to wait until that is silent, unless it has the SSRC that the
// answer announced while none with it came so far.
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
