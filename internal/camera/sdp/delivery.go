package sdp

import (
	"net/netip"
	"slices"
	"strings"
)

// Delivery is how a track is sent according to its description, where the answer to SETUP does not say.
type Delivery struct {
	Group   netip.Addr // multicast; not valid without
	Port    int        // of RTP; 0 without
	TTL     int        // of the group; 0 without
	Sources []netip.Addr
}

// maxSources bounds the named senders: a track has one.
const maxSources = 16

// from returns the delivery of a track with this m= line.
func (d Delivery) from(media string) Delivery {
	d.Sources = slices.Clip(d.Sources)
	if fields := strings.Fields(media); len(fields) > 1 {
		if n, _ := leadingNumber(fields[1]); n > 0 && n <= 65535 {
			d.Port = n
		}
	}
	return d
}

// connect reads "IN IP4 239.1.2.3/127", possibly with the number of addresses after it. For IPv6 that number replaces
// the time to live (RFC 8866, section 5.7).
func (d *Delivery) connect(value string) {
	fields := strings.Fields(value)
	if len(fields) == 0 {
		return
	}
	text, rest, _ := strings.Cut(fields[len(fields)-1], "/")
	address, err := netip.ParseAddr(text)
	if address = address.Unmap(); err != nil || !address.IsMulticast() {
		return
	}
	d.Group, d.TTL = address, 0
	if n, _ := leadingNumber(rest); address.Is4() && n > 0 {
		d.TTL = min(n, 255)
	}
}

// filter reads "incl IN IP4 239.1.2.3 192.168.1.20" (RFC 4570): the permitted senders of a group.
func (d *Delivery) filter(value string) {
	const firstSource = 4
	fields := strings.Fields(value)
	if len(fields) <= firstSource || !strings.EqualFold(fields[0], "incl") {
		return
	}
	for _, text := range fields[firstSource:] {
		address, err := netip.ParseAddr(text)
		if address = address.Unmap(); err == nil && !address.IsMulticast() && len(d.Sources) < maxSources {
			d.Sources = append(d.Sources, address)
		}
	}
}
