package fakecam

import (
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// reportPause is the interval of sender reports: RFC 3550, section 6.2, has 5 s as the least.
const reportPause = 5 * time.Second

// reporter makes the RTCP sender reports of one medium (RFC 3550, section 6.4.1).
type reporter struct {
	last            time.Time
	packets, octets uint32
}

// sent counts a packet. It returns a report with the packet's time by the camera's clock when one is due, or nil.
func (r *reporter) sent(p *rtp.Packet, clock time.Time) *rtcp.SenderReport {
	r.packets++
	r.octets += uint32(len(p.Payload))
	if now := time.Now(); now.Sub(r.last) >= reportPause {
		r.last = now
		return &rtcp.SenderReport{
			SSRC: p.SSRC, NTPTime: ntp(clock), RTPTime: p.Timestamp, PacketCount: r.packets, OctetCount: r.octets,
		}
	}
	return nil
}

// ntp returns an NTP timestamp: seconds since 1900, with the fraction in 32 bits (RFC 3550, section 4).
func ntp(t time.Time) uint64 {
	const unixEpoch = 2_208_988_800
	return uint64(t.Unix()+unixEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
