package reception

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

const (
	ssrc  = 0x1234_5678
	clock = 90_000
)

// sent is a packet, and its time of arrival.
type sent struct {
	sequence  uint16
	timestamp uint32
	at        time.Duration
}

// steady are packets of 25 frames per second with these numbers.
func steady(sequences ...uint16) (list []sent) {
	for i, n := range sequences {
		list = append(list, sent{n, uint32(i) * clock / 25, time.Duration(i) * time.Second / 25})
	}
	return list
}

// counting returns n numbers from first on.
func counting(first uint16, n int) (list []uint16) {
	for i := range n {
		list = append(list, first+uint16(i))
	}
	return list
}

// TestReports checks the calculations of RFC 3550, appendix A.
func TestReports(t *testing.T) {
	t.Parallel()
	late := steady(counting(1, 100)...)
	for i := range late {
		if i%2 == 1 {
			late[i].at += 10 * time.Millisecond // each differs by 900 ticks from the previous one
		}
	}
	for name, row := range map[string]struct {
		packets  []sent
		lost     uint32
		fraction uint8
		highest  uint32
		jitter   uint32
	}{
		"all":              {packets: steady(counting(10, 50)...), highest: 59},
		"one":              {packets: steady(7), highest: 7},
		"a quarter lost":   {packets: steady(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15), lost: 3, fraction: 3 * 256 / 16, highest: 15},
		"over the wrap":    {packets: steady(65534, 65535, 0, 2), lost: 1, fraction: 256 / 5, highest: 1<<16 + 2},
		"overtaken":        {packets: steady(1, 3, 2, 4), highest: 4},
		"twice":            {packets: steady(1, 2, 2, 3, 3), lost: 1<<24 - 2, highest: 3},
		"late at the wrap": {packets: steady(65535, 1, 0, 2), highest: 1<<16 + 2},
		"a stray number":   {packets: steady(1, 2, 30000, 3, 4), highest: 4},
		"a restart":        {packets: steady(1, 2, 30000, 30001, 30002), highest: 30002},
		"uneven":           {packets: late, highest: 100, jitter: 897},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Source{Clock: clock}
			begin := time.Unix(1_800_000_000, 0)
			for _, p := range row.packets {
				s.Add(ssrc, p.sequence, p.timestamp+4_294_960_000, begin.Add(p.at)) // timestamps wrap
			}
			report := reportOf(t, &s, begin)
			want := rtcp.ReceptionReport{
				SSRC: ssrc, TotalLost: row.lost, FractionLost: row.fraction, LastSequenceNumber: row.highest, Jitter: report.Jitter,
			}
			if report != want {
				t.Errorf("got %+v, want %+v", report, want)
			}
			if off := int(report.Jitter) - int(row.jitter); max(off, -off) > 5 {
				t.Errorf("the jitter is %d, want %d", report.Jitter, row.jitter)
			}
		})
	}
}

// reportOf makes the report that is sent, and reads it as a camera does.
func reportOf(t *testing.T, s *Source, now time.Time) rtcp.ReceptionReport {
	t.Helper()
	compound, ok := s.Report(42, "hub", now)
	if !ok {
		t.Fatal("there is no report")
	}
	raw, err := compound.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	packets, err := rtcp.Unmarshal(raw)
	if err != nil || len(packets) != 2 {
		t.Fatal(packets, err)
	}
	report, ok := packets[0].(*rtcp.ReceiverReport)
	name, named := packets[1].(*rtcp.SourceDescription)
	if !ok || report.SSRC != 42 || len(report.Reports) != 1 || !named || name.Chunks[0].Source != 42 || name.Chunks[0].Items[0].Text != "hub" {
		t.Fatalf("got %+v", packets)
	}
	return report.Reports[0]
}

// TestAReportIsOfWhatCameSinceTheLastOne has losses that end.
func TestAReportIsOfWhatCameSinceTheLastOne(t *testing.T) {
	t.Parallel()
	s := Source{Clock: clock}
	now := time.Unix(1_800_000_000, 0)
	add := func(sequences ...uint16) {
		for _, n := range sequences {
			s.Add(ssrc, n, 0, now)
		}
	}
	add(0, 1, 3)
	if r := reportOf(t, &s, now); r.FractionLost != 64 || r.TotalLost != 1 {
		t.Errorf("first %+v", r)
	}
	add(4, 5, 6, 7)
	if r := reportOf(t, &s, now); r.FractionLost != 0 || r.TotalLost != 1 {
		t.Errorf("then %+v", r)
	}
	if r := reportOf(t, &s, now); r.FractionLost != 0 || r.TotalLost != 1 || r.LastSequenceNumber != 7 {
		t.Errorf("at last %+v", r)
	}
}

// TestAReportEchoesTheCamera: the camera can measure the round-trip time.
func TestAReportEchoesTheCamera(t *testing.T) {
	t.Parallel()
	s := Source{Clock: clock}
	now := time.Unix(1_800_000_000, 0)
	s.SenderReport(ssrc, 0x1111_2222_3333_4444, now) // without a source
	s.Add(ssrc, 1, 0, now)
	if r := reportOf(t, &s, now); r.LastSenderReport != 0 || r.Delay != 0 {
		t.Errorf("before any report %+v", r)
	}
	s.SenderReport(ssrc+1, 0x1111_2222_3333_4444, now)
	s.SenderReport(ssrc, 0xe901_2345_8000_ffff, now)
	r := reportOf(t, &s, now.Add(2500*time.Millisecond))
	if r.LastSenderReport != 0x2345_8000 || r.Delay != 5<<15 {
		t.Errorf("after it %+v", r)
	}
	s.Add(ssrc+1, 9, 0, now) // another source
	if r := reportOf(t, &s, now); r.SSRC != ssrc+1 || r.LastSenderReport != 0 || r.LastSequenceNumber != 9 {
		t.Errorf("of another source %+v", r)
	}
}

// TestPacketsOfOtherPayloadTypesHaveNumbers: of the same source they count, of another they do not.
func TestPacketsOfOtherPayloadTypesHaveNumbers(t *testing.T) {
	t.Parallel()
	s := Source{Clock: clock}
	now := time.Unix(1_800_000_000, 0)
	s.Pass(ssrc, 9)
	s.Add(ssrc, 10, 0, now)
	s.Pass(ssrc, 11)
	s.Pass(ssrc+1, 4000)
	s.Add(ssrc, 12, 3600, now.Add(40*time.Millisecond))
	want := rtcp.ReceptionReport{SSRC: ssrc, LastSequenceNumber: 12}
	if r := reportOf(t, &s, now); r != want {
		t.Errorf("got %+v", r)
	}
}

// TestNothingIsReportedOfNothing has no packets.
func TestNothingIsReportedOfNothing(t *testing.T) {
	t.Parallel()
	if _, ok := new(Source).Report(1, "hub", time.Now()); ok {
		t.Error("there is a report")
	}
}

// TestAPacketAllocatesNothing is the hot path.
func TestAPacketAllocatesNothing(t *testing.T) {
	s := Source{Clock: clock}
	now, n := time.Now(), uint16(0)
	if allocated := testing.AllocsPerRun(1000, func() {
		n++
		s.Add(ssrc, n, uint32(n), now)
	}); allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
