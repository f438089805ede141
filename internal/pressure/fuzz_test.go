package pressure

import (
	"io/fs"
	"path"
	"testing"
)

// FuzzParse has each parser read the same bytes: none may panic, and what is read is within its bounds.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"some avg10=2.31 avg60=22.15 avg300=62.16 total=33273884741\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"0x01 0x0b\n", "0x03\n", "51234\n", "0::/system.slice/kvs-edge-agent.service\n",
		"Udp: InDatagrams RcvbufErrors\nUdp: 1 2\n", "some avg10=1e400", "0::/..", "Udp:\nUdp:\n", "some =\nfull",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := ParseStalls(text); err == nil {
			for _, one := range []Stall{s.Some, s.Full} {
				for _, share := range []float64{one.Avg10, one.Avg60, one.Avg300} {
					if !(share >= 0 && share <= 100) || one.Total < 0 {
						t.Errorf("%q is read as %+v", text, s)
					}
				}
			}
		}
		if used, err := ParseLifeTime(text); err == nil && (used < 0 || used > exceeded) {
			t.Errorf("%q is a life time of %d", text, used)
		}
		if state, err := ParsePreEOL(text); err != nil && state != "" {
			t.Errorf("%q has the state %q", text, state)
		}
		if celsius, err := ParseCelsius(text); err == nil && (celsius < -60 || celsius > 250) {
			t.Errorf("%q is %v degrees", text, celsius)
		}
		if n, ok := ParseDropped(text); ok && n < 0 {
			t.Errorf("%q has %d", text, n)
		}
		if group, ok := ParseGroup(text); ok && !fs.ValidPath(path.Join("sys/fs/cgroup", group)) {
			t.Errorf("%q is the group %q", text, group)
		}
	})
}
