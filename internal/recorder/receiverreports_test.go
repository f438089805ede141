package recorder

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"github.com/pion/rtcp"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// reportsIn returns the receiver reports in what a camera received over its RTSP connection, by channel.
func reportsIn(t *testing.T, heard []byte) map[byte][]rtcp.ReceptionReport {
	t.Helper()
	list := make(map[byte][]rtcp.ReceptionReport)
	for len(heard) > 0 {
		if heard[0] != '$' {
			end := bytes.Index(heard, []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			heard = heard[end+4:]
			continue
		}
		if len(heard) < 4 {
			break
		}
		channel, size := heard[1], int(heard[2])<<8+int(heard[3])
		if len(heard) < 4+size {
			break
		}
		packets, err := rtcp.Unmarshal(heard[4 : 4+size])
		if err != nil || len(packets) != 2 {
			t.Fatalf("a report of %d packets, %v", len(packets), err)
		}
		report, ok := packets[0].(*rtcp.ReceiverReport)
		if _, named := packets[1].(*rtcp.SourceDescription); !ok || !named || len(report.Reports) != 1 {
			t.Fatalf("got %+v", packets)
		}
		list[channel] = append(list[channel], report.Reports[0])
		heard = heard[4+size:]
	}
	return list
}

// TestACameraOverTCPGetsReceiverReports checks the reports that a camera with audio receives: some cameras stop without reports.
func TestACameraOverTCPGetsReceiverReports(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var heard bytes.Buffer
	camera := startCamera(t, fakecam.Options{Audio: fakecam.AudioAAC, Oddities: fakecam.Oddities{
		Conn: func(c net.Conn) net.Conn { return eavesdropper{c, &mu, &heard} },
	}})
	r := record(t, camera, camera.URL())
	reports := func() map[byte][]rtcp.ReceptionReport {
		mu.Lock()
		defer mu.Unlock()
		return reportsIn(t, heard.Bytes())
	}
	r.await("two reports of each track", func() bool { now := reports(); return len(now[1]) >= 2 && len(now[3]) >= 2 })
	for channel, list := range reports() {
		first, last := list[0], list[len(list)-1]
		if last.SSRC == 0 || last.SSRC != first.SSRC || last.TotalLost != 0 || last.FractionLost != 0 ||
			last.LastSequenceNumber <= first.LastSequenceNumber || last.LastSenderReport == 0 || last.Delay > 11<<16 {
			t.Errorf("on channel %d %+v was followed by %+v", channel, first, last)
		}
	}
	r.finish()
}
