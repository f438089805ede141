package camera

import "time"

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
