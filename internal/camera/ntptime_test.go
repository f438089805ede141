package camera

import (
	"testing"
	"time"
)

func TestNTPTimes(t *testing.T) {
	t.Parallel()
	for ntp, want := range map[uint64]string{
		0xE0000000_80000000: "2019-02-02T11:39:44.5Z",
		0x83AA7E80_00000000: "1970-01-01T00:00:00Z",
		0x00000000_40000000: "2036-02-07T06:28:16.25Z",
	} {
		if got := ntpTime(ntp).UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%x is %s, want %s", ntp, got, want)
		}
	}
}
