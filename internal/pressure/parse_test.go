package pressure

import (
	"testing"
	"time"
)

func TestParseStalls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want Stalls
		ok   bool
	}{
		"both": {
			"some avg10=2.31 avg60=22.15 avg300=62.16 total=33273884741\nfull avg10=0.00 avg60=1.50 avg300=0.00 total=7\n",
			Stalls{Stall{2.31, 22.15, 62.16, 33273884741 * time.Microsecond}, Stall{0, 1.5, 0, 7 * time.Microsecond}}, true,
		},
		"before 5.13, the processor has no line full": {
			"some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n", Stalls{Some: Stall{Total: 5 * time.Microsecond}}, true,
		},
		"what a later kernel adds": {
			"some avg10=1.00 avg60=0.00 avg300=0.00 p99=3 total=5\nmost avg10=x\n",
			Stalls{Some: Stall{Avg10: 1, Total: 5 * time.Microsecond}}, true,
		},
		"nothing":           {"", Stalls{}, false},
		"more than 100 %":   {"some avg10=100.01 total=5", Stalls{}, false},
		"not a number":      {"some avg10=NaN total=5", Stalls{}, false},
		"a negative time":   {"some avg10=1 total=-5", Stalls{}, false},
		"more than an age":  {"some avg10=1 total=9223372036854775807", Stalls{}, false},
		"another file":      {"nr_periods 0\n", Stalls{}, false},
		"without some":      {"full avg10=1.00 total=5", Stalls{}, false},
		"without any field": {"some", Stalls{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseStalls([]byte(c.text))
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestParseWear(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"0x01 0x02\n": 20, "0x0B 0x01": 110, "0x0a 0x0a\n": 100, "0x00 0x00\n": 0, "": 0, "0x0c 0x01": -1, "x": -1, "0xfff": -1,
	} {
		got, err := ParseLifeTime([]byte(text))
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("life_time %q: got %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"0x00\n": "", "0x01\n": "normal", "0x02": "warning", "0x03\n": "urgent", "0x04": "wrong", "": "wrong",
	} {
		got, err := ParsePreEOL([]byte(text))
		if err != nil {
			got = "wrong"
		}
		if got != want {
			t.Errorf("pre_eol_info %q: got %q, want %q", text, got, want)
		}
	}
}

func TestParseCelsius(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"51234\n": 51.234, "-5000": -5, "0": 0} {
		if got, err := ParseCelsius([]byte(text)); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-274000", "2147483647", "warm", "51.2"} {
		if got, err := ParseCelsius([]byte(text)); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestParseDropped(t *testing.T) {
	t.Parallel()
	const snmp = "Tcp: A B\nTcp: 1 2\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\n" +
		"Udp: 561685 3749 0 566133 42 0\nUdpLite: X\n"
	if n, ok := ParseDropped([]byte(snmp)); !ok || n != 42 {
		t.Errorf("got %d, %v", n, ok)
	}
	for _, text := range []string{
		"", "Udp: RcvbufErrors\n", "Udp: A RcvbufErrors\nUdp: 1\n", "Udp: RcvbufErrors\nUdp: -1\n", "Udp: RcvbufErrors\nUdp: x\n",
	} {
		if n, ok := ParseDropped([]byte(text)); ok {
			t.Errorf("%q: got %d", text, n)
		}
	}
}

func TestParseGroup(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0::/system.slice/kvs-edge-agent.service\n":          "system.slice/kvs-edge-agent.service",
		"5:memory:/a\n0::/\n":                                "",
		"0::/../../other.slice/x\n":                          "other.slice/x",
		"1:name=systemd:/\n0::/system.slice/a\\x2db.service": "system.slice/a\\x2db.service",
	} {
		if got, ok := ParseGroup([]byte(text)); !ok || got != want {
			t.Errorf("%q: got %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "5:memory:/a\n", "0::relative\n"} {
		if got, ok := ParseGroup([]byte(text)); ok {
			t.Errorf("%q: got %q", text, got)
		}
	}
}
