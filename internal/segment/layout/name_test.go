package layout

import (
	"testing"
	"time"
)

func TestANameIsReadInOneFormOnly(t *testing.T) {
	t.Parallel()
	at := ID{Start: time.Date(2026, 11, 21, 4, 15, 48, 83e6, time.UTC).UnixMilli()}
	later := ID{Epoch: 1, Start: at.Start}
	last := ID{Epoch: MaxEpoch, Start: at.Start}
	for _, k := range []ID{at, later, last} {
		for _, name := range []string{WritingName(k), ProgressName(k), FinishedName(k, 5, SealedSuffix), FinishedName(k, 5, GarbageSuffix)} {
			if p, ok := ParseName(name); !ok || p.ID != k {
				t.Errorf("%q is read as %+v %v", name, p, ok)
			}
		}
	}
	if a, b := WritingName(at), WritingName(later); a >= b || b >= WritingName(last) {
		t.Errorf("names of later epochs do not come after those of earlier ones: %q, %q", a, b)
	}
	of := func(prefix string) string { return prefix + WritingName(at) }
	for _, name := range []string{
		of("e"), of("e1-"), of("e0000001-"), of("e000000-"), of("e1000000-"), of("e+00001-"), of("e-00001-"), of("E000001-"), of("000001-"),
		of("e000001"), of("e000001--"), of("e000001-e000001-"), "e000001-.sealed.mkv", "e000001.progress", "20261121T041548,083Z.progress",
		"20261121T041548.083Z++5.sealed.mkv", "20261121T041548.083Z+05.sealed.mkv", "20261121T041548.083Z+-5.sealed.mkv",
		"20261121T041548.083Z.sealed.mkv", "20261121T041548.083Z.garbage", "20261121T041548.083Z+5.writing.mkv",
		"20261121T041548.083Z+5.progress", "20261121T041548.083Z+5.doubt",
	} {
		if p, ok := ParseName(name); ok {
			t.Errorf("%q is read as %+v", name, p)
		}
	}
}
