package reception

import (
	"encoding/binary"
	"time"
)

// SenderReport is what a camera says of a source's clock (RFC 3550, section 6.4.1).
type SenderReport struct {
	SSRC    uint32
	NTP     uint64 // the camera's time, in NTP format
	RTPTime uint32 // the same moment as a timestamp of the source
}

// Time is the camera's time.
func (r SenderReport) Time() time.Time { return ntpTime(r.NTP) }

// The layout of a packet of RTCP (RFC 3550, section 6.4.1).
const (
	version      = 2
	senderReport = 200 // packet type
	header       = 4   // bytes
	word         = 4   // bytes: the unit of a packet's length
	leastReport  = header + 6*word
)

// SenderReports takes the sender reports of a compound packet of RTCP, in their order, and reports whether it is one. The rest of it is
// skipped unread: nothing else is used, and parsers of other types allocate much more than arrives. Report blocks are not read, either.
func SenderReports(compound []byte, take func(SenderReport)) (whole bool) {
	if len(compound) == 0 {
		return false
	}
	for len(compound) > 0 {
		if len(compound) < header || compound[0]>>6 != version {
			return false
		}
		size := word * (1 + int(binary.BigEndian.Uint16(compound[2:])))
		if size > len(compound) {
			return false
		}
		if compound[1] == senderReport {
			if size < leastReport {
				return false
			}
			take(SenderReport{
				SSRC: binary.BigEndian.Uint32(compound[header:]), NTP: binary.BigEndian.Uint64(compound[header+word:]),
				RTPTime: binary.BigEndian.Uint32(compound[header+3*word:]),
			})
		}
		compound = compound[size:]
	}
	return true
}

// ntpTime converts an NTP timestamp: seconds since 1900 in 32 bits, then their fraction (RFC
// 3550, section 4). Its era is the one from 1968 to 2104 (RFC 4330, section 3).
func ntpTime(t uint64) time.Time {
	const unixEpoch = 2_208_988_800 // 1970, in seconds since 1900
	seconds, fraction := int64(t>>32), int64(t&(1<<32-1))
	if seconds < 1<<31 {
		seconds += 1 << 32
	}
	return time.Unix(seconds-unixEpoch, fraction*int64(time.Second)>>32)
}
