package reception_test

import (
	"bytes"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/reception"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestNTPTimes(t *testing.T) {
	t.Parallel()
	for ntp, want := range map[uint64]string{
		0xE0000000_80000000: "2019-02-02T11:39:44.5Z",
		0x83AA7E80_00000000: "1970-01-01T00:00:00Z",
		0x00000000_40000000: "2036-02-07T06:28:16.25Z",
	} {
		if got := (reception.SenderReport{NTP: ntp}).Time().UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%x is %s, want %s", ntp, got, want)
		}
	}
}

// taken reads a compound packet.
func taken(compound []byte) (list []reception.SenderReport, whole bool) {
	whole = reception.SenderReports(compound, func(r reception.SenderReport) { list = append(list, r) })
	return list, whole
}

// marshalled is packets as a camera sends them.
func marshalled(t testing.TB, packets ...rtcp.Packet) []byte {
	t.Helper()
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// named is a packet that cameras send after their reports.
func named(of uint32) rtcp.Packet {
	return &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{
		{Source: of, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "camera"}}},
	}}
}

func TestSenderReportsAreReadAndTheRestIsNot(t *testing.T) {
	t.Parallel()
	first, second := &rtcp.SenderReport{SSRC: 1, NTPTime: 2, RTPTime: 3}, &rtcp.SenderReport{SSRC: 4, NTPTime: 5, RTPTime: 6}
	one, two := reception.SenderReport{SSRC: 1, NTP: 2, RTPTime: 3}, reception.SenderReport{SSRC: 4, NTP: 5, RTPTime: 6}
	withBlocks := &rtcp.SenderReport{
		SSRC: 1, NTPTime: 2, RTPTime: 3, Reports: []rtcp.ReceptionReport{{SSRC: 9}}, ProfileExtensions: []byte{1, 2, 3, 4},
	}
	raw := marshalled(t, first)
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(raw)
		b[at] = to
		return b
	}
	for name, row := range map[string]struct {
		packet []byte
		want   []reception.SenderReport
		whole  bool
	}{
		"nothing":                    {},
		"one":                        {raw, []reception.SenderReport{one}, true},
		"with blocks and extensions": {marshalled(t, withBlocks), []reception.SenderReport{one}, true},
		"more blocks than there are": {changed(0, 2<<6|31), []reception.SenderReport{one}, true},
		"with a name":                {marshalled(t, first, named(1)), []reception.SenderReport{one}, true},
		"two around others": {
			marshalled(t, &rtcp.ReceiverReport{SSRC: 1}, first, &rtcp.TransportLayerNack{}, second, &rtcp.Goodbye{Sources: []uint32{1}}),
			[]reception.SenderReport{one, two}, true,
		},
		"none":               {marshalled(t, &rtcp.ReceiverReport{SSRC: 1}, named(1)), nil, true},
		"half a header":      {raw[:3], nil, false},
		"cut short":          {raw[:len(raw)-1], nil, false},
		"one and a bit":      {append(bytes.Clone(raw), 0x80), []reception.SenderReport{one}, false},
		"one and text":       {append(bytes.Clone(raw), "GET / HTTP/1.1"...), []reception.SenderReport{one}, false},
		"another version":    {changed(0, 1<<6), nil, false},
		"the largest length": {append(changed(2, 0xFF), 0xFF), nil, false},
		"too short a report": {append(changed(3, 5)[:24], raw...), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if list, whole := taken(row.packet); !slices.Equal(list, row.want) || whole != row.whole {
				t.Errorf("got %+v %t, want %+v %t", list, whole, row.want, row.whole)
			}
		})
	}
}

// TestNoPacketAllocates has the packets from which parsers of other types allocate most, and lengths of all kinds.
func TestNoPacketAllocates(t *testing.T) {
	all := [][]byte{bytes.Repeat([]byte{2 << 6, 205, 0, 0}, 16<<10), marshalled(t, named(1), &rtcp.SenderReport{SSRC: 1})}
	for _, rounds := range []int{1, 2, 16, 77, 3600} {
		all = append(all, testtools.FeedbackOfManyPackets(rounds))
	}
	for _, packet := range all {
		reports := 0
		take := func(reception.SenderReport) { reports++ }
		if allocated := testing.AllocsPerRun(10, func() { reception.SenderReports(packet, take) }); allocated != 0 {
			t.Errorf("%d bytes allocate %v times", len(packet), allocated)
		}
	}
}

// TestTheLibraryIsBounded is for encrypted packets, which the library parses: none makes it allocate much more than 65,535 times.
func TestTheLibraryIsBounded(t *testing.T) {
	for _, rounds := range []int{1, 16, 77} {
		packet := testtools.FeedbackOfManyPackets(rounds)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = rtcp.Unmarshal(packet)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
			t.Errorf("%d bytes allocate %d MB", len(packet), got>>20)
		}
	}
}

// FuzzSenderReports has packets of any kind: what the library reads is read the same, and a walk allocates nothing.
func FuzzSenderReports(f *testing.F) {
	report := marshalled(f, &rtcp.SenderReport{SSRC: 1, NTPTime: 2, RTPTime: 3, Reports: []rtcp.ReceptionReport{{SSRC: 9}}})
	f.Add(report)
	f.Add(append(bytes.Clone(report), marshalled(f, named(1), &rtcp.Goodbye{Sources: []uint32{1}})...))
	f.Add(testtools.FeedbackOfManyPackets(2))
	f.Add([]byte{2 << 6, 205, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, packet []byte) {
		list, whole := taken(packet)
		if len(list) > len(packet)/28 {
			t.Fatalf("%d reports are in %d bytes", len(list), len(packet))
		}
		packets, err := rtcp.Unmarshal(packet)
		if err != nil {
			return // it returns nothing where one part is odd
		}
		var want []reception.SenderReport
		for _, p := range packets {
			if r, ok := p.(*rtcp.SenderReport); ok {
				want = append(want, reception.SenderReport{SSRC: r.SSRC, NTP: r.NTPTime, RTPTime: r.RTPTime})
			}
		}
		if !whole || !slices.Equal(list, want) {
			t.Fatalf("%+v %t, the library reads %+v", list, whole, want)
		}
	})
}
