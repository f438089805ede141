package udp

import (
	"net/netip"
	"testing"
	"time"
)

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// TestTheFirstSourceThatFitsIsHeldOnTo is the table of senders and whether they are accepted.
func TestTheFirstSourceThatFitsIsHeldOnTo(t *testing.T) {
	t.Parallel()
	type packet struct {
		after time.Duration // since the previous one
		from  string
		ssrc  uint32
		want  sender
	}
	const camera, named, other = "192.0.2.1:5000", "192.0.2.2:6000", "192.0.2.9:5000"
	who := Who{Addresses: []netip.Addr{at(camera).Addr(), at(named).Addr()}}
	anybody, announced := who, who
	anybody.Anybody = true
	announced.SSRC, announced.Announced = 7, true
	for name, row := range map[string]struct {
		who     Who
		packets []packet
	}{
		"any port":          {who, []packet{{0, camera, 1, taken}, {0, camera, 1, taken}}},
		"an address named":  {who, []packet{{0, named, 1, taken}, {0, camera, 2, another}}},
		"a stranger":        {who, []packet{{0, other, 1, stranger}, {0, camera, 1, taken}, {0, other, 1, stranger}}},
		"for ever":          {who, []packet{{0, camera, 1, taken}, {time.Hour, other, 1, stranger}, {0, other, 1, stranger}}},
		"another SSRC":      {who, []packet{{0, camera, 1, taken}, {0, camera, 2, taken}}},
		"another port":      {who, []packet{{0, camera, 1, taken}, {0, "192.0.2.1:7000", 1, taken}, {0, "192.0.2.1:7000", 2, taken}}},
		"a port per packet": {who, []packet{{0, camera, 1, taken}, {0, "192.0.2.1:7000", 1, taken}, {0, camera, 1, taken}}},
		"two streams": {who, []packet{
			{0, camera, 1, taken}, {0, "192.0.2.1:7000", 2, another}, {time.Second, camera, 1, taken}, {time.Second, "192.0.2.1:7000", 2, another},
		}},
		"a restart": {who, []packet{
			{0, camera, 1, taken}, {time.Second, "192.0.2.1:7000", 2, another}, {time.Second, "192.0.2.1:7000", 2, taken}, {0, camera, 1, another},
		}},
		"another address of it after silence": {who, []packet{{0, camera, 1, taken}, {silence, named, 1, taken}}},
		"anybody": {anybody, []packet{
			{0, other, 1, taken}, {0, camera, 2, another}, {0, "198.51.100.1:1", 1, another}, {silence, camera, 2, taken},
		}},
		"the announced one":          {announced, []packet{{0, camera, 7, taken}, {0, "192.0.2.1:7000", 2, another}}},
		"the announced one later":    {announced, []packet{{0, camera, 1, taken}, {0, "192.0.2.1:7000", 7, taken}, {0, camera, 1, another}}},
		"the announced one is wrong": {announced, []packet{{0, camera, 1, taken}, {0, camera, 1, taken}}},
		"a stranger knows it":        {announced, []packet{{0, other, 7, stranger}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, now := latch{who: row.who}, time.Unix(1_800_000_000, 0)
			for i, p := range row.packets {
				now = now.Add(p.after)
				if got := l.admit(at(p.from), p.ssrc, now); got != p.want {
					t.Errorf("packet %d is %d, want %d", i, got, p.want)
				}
			}
		})
	}
}

// TestWhoseOtherPayloadTypesCount: those of the track's sender, or of the camera while there is none.
func TestWhoseOtherPayloadTypesCount(t *testing.T) {
	t.Parallel()
	const camera, moved, other = "192.0.2.1:5000", "192.0.2.1:7000", "192.0.2.9:5000"
	start := time.Unix(1_800_000_000, 0)
	for _, row := range []struct {
		latched string // "": nobody
		after   time.Duration
		from    string
		ssrc    uint32
		want    bool
	}{
		{"", 0, camera, 1, true},
		{"", 0, other, 1, false},
		{camera, 0, camera, 2, true},
		{camera, 0, moved, 1, true},
		{camera, 0, moved, 2, false},
		{camera, 0, other, 1, false},
		{camera, silence, moved, 2, true},
		{camera, silence, other, 1, false},
		{other, 0, other, 2, true}, // an unknown address
		{other, 0, camera, 2, false},
		{other, silence, other, 2, true},
	} {
		l := latch{who: Who{Addresses: []netip.Addr{at(camera).Addr()}, Anybody: true}}
		if row.latched != "" && l.admit(at(row.latched), 1, start) != taken {
			t.Fatalf("%+v: it is not latched", row)
		}
		if got := l.plays(at(row.from), row.ssrc, start.Add(row.after)); got != row.want {
			t.Errorf("%+v: %v", row, got)
		}
	}
}
