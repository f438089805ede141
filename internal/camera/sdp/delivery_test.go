package sdp

import (
	"net/netip"
	"reflect"
	"testing"
)

// TestDeliveries is the table of how descriptions say that a track is sent.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	group, source := netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("192.0.2.5")
	for name, row := range map[string]struct {
		session, track string
		want           Delivery
	}{
		"nothing":        {"", "m=video 0 RTP/AVP 96", Delivery{}},
		"no group":       {"c=IN IP4 192.0.2.1", "m=video 5004 RTP/AVP 96", Delivery{Port: 5004}},
		"of all":         {"c=IN IP4 239.1.2.3/127", "m=video 5004 RTP/AVP 96", Delivery{Group: group, Port: 5004, TTL: 127}},
		"of the track":   {"c=IN IP4 0.0.0.0", "m=video 5004 RTP/AVP 96\nc=IN IP4 239.1.2.3", Delivery{Group: group, Port: 5004}},
		"of both":        {"c=IN IP4 239.9.9.9/9", "m=video 5004 RTP/AVP 96\nc=IN IP4 239.1.2.3", Delivery{Group: group, Port: 5004}},
		"several":        {"c=IN IP4 239.1.2.3/15/4", "m=video 5004/2 RTP/AVP 96", Delivery{Group: group, Port: 5004, TTL: 15}},
		"of IPv6":        {"c=IN IP6 ff15::101/3", "m=video 0 RTP/AVP 96", Delivery{Group: netip.MustParseAddr("ff15::101")}},
		"without a type": {"c=239.1.2.3/4", "m=video 0 RTP/AVP 96", Delivery{Group: group, TTL: 4}},
		"empty":          {"c=", "m=video 0 RTP/AVP 96\nc=IN ", Delivery{}},
		"too high a TTL": {"c=IN IP4 239.1.2.3/70000", "m=video 0 RTP/AVP 96", Delivery{Group: group, TTL: 255}},
		"a filter":       {"a=source-filter: incl IN IP4 * 192.0.2.5", "m=video 0 RTP/AVP 96", Delivery{Sources: []netip.Addr{source}}},
		"a track's filter": {"", "m=video 0 RTP/AVP 96\na=source-filter:incl IN IP4 239.1.2.3 192.0.2.5",
			Delivery{Sources: []netip.Addr{source}}},
		"excluded senders": {"a=source-filter: excl IN IP4 * 192.0.2.5", "m=video 0 RTP/AVP 96", Delivery{}},
		"a filter without senders": {"a=source-filter: incl IN IP4 *",
			"m=video 0 RTP/AVP 96\na=source-filter: incl IN IP4 * camera 239.1.1.1", Delivery{}},
		"no port":         {"", "m=video", Delivery{}},
		"an invalid port": {"", "m=video 70000 RTP/AVP 96", Delivery{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Parse([]byte("v=0\n" + row.session + "\n" + row.track + "\na=rtpmap:96 H264/90000\n"))
			if len(d.Tracks) != 1 || !reflect.DeepEqual(d.Tracks[0].Delivery, row.want) {
				t.Errorf("got %+v, want %+v", d.Tracks, row.want)
			}
		})
	}
}
