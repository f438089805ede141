package layout_test

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

func TestANameIsReadInOneFormOnly(t *testing.T) {
	t.Parallel()
	at := layout.ID{Start: time.Date(2026, 11, 21, 4, 15, 48, 83e6, time.UTC).UnixMilli()}
	later := layout.ID{Epoch: 1, Start: at.Start}
	last := layout.ID{Epoch: layout.MaxEpoch, Start: at.Start}
	for _, k := range []layout.ID{at, later, last} {
		for _, name := range []string{layout.WritingName(k), layout.ProgressName(k), layout.FinishedName(k, 5, layout.SealedSuffix),
			layout.FinishedName(k, 5, layout.GarbageSuffix)} {
			if p, ok := layout.ParseName(name); !ok || p.ID != k {
				t.Errorf("%q is read as %+v %v", name, p, ok)
			}
		}
	}
	if a, b := layout.WritingName(at), layout.WritingName(later); a >= b || b >= layout.WritingName(last) {
		t.Errorf("names of later epochs do not come after those of earlier ones: %q, %q", a, b)
	}
	of := func(prefix string) string { return prefix + layout.WritingName(at) }
	for _, name := range []string{
		of("e"), of("e1-"), of("e0000001-"), of("e000000-"), of("e1000000-"), of("e+00001-"), of("e-00001-"), of("E000001-"), of("000001-"),
		of("e000001"), of("e000001--"), of("e000001-e000001-"), "e000001-.sealed.mkv", "e000001.progress", "20261121T041548,083Z.progress",
		"20261121T041548.083Z++5.sealed.mkv", "20261121T041548.083Z+05.sealed.mkv", "20261121T041548.083Z+-5.sealed.mkv",
		"20261121T041548.083Z.sealed.mkv", "20261121T041548.083Z.garbage", "20261121T041548.083Z+5.writing.mkv",
		"20261121T041548.083Z+5.progress", "20261121T041548.083Z+5.doubt",
	} {
		if p, ok := layout.ParseName(name); ok {
			t.Errorf("%q is read as %+v", name, p)
		}
	}
}
