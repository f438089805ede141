package segment

import "testing"

func TestANameIsReadInOneFormOnly(t *testing.T) {
	t.Parallel()
	at := id{start: begin.UnixMilli()}
	later := id{epoch: 1, start: at.start}
	last := id{epoch: maxEpoch, start: at.start}
	for _, k := range []id{at, later, last} {
		for _, name := range []string{writingName(k), progressName(k), finishedName(k, 5, sealedSuffix), finishedName(k, 5, garbageSuffix)} {
			if p, ok := parseName(name); !ok || p.id != k {
				t.Errorf("%q is read as %+v %v", name, p, ok)
			}
		}
	}
	if a, b := writingName(at), writingName(later); a >= b || b >= writingName(last) {
		t.Errorf("names of later epochs do not come after those of earlier ones: %q, %q", a, b)
	}
	of := func(prefix string) string { return prefix + writingName(at) }
	for _, name := range []string{
		of("e"), of("e1-"), of("e0000001-"), of("e000000-"), of("e1000000-"), of("e+00001-"), of("e-00001-"), of("E000001-"), of("000001-"),
		of("e000001"), of("e000001--"), of("e000001-e000001-"), "e000001-.sealed.mkv", "e000001.progress", "20261121T041548,083Z.progress",
		"20261121T041548.083Z++5.sealed.mkv", "20261121T041548.083Z+05.sealed.mkv", "20261121T041548.083Z+-5.sealed.mkv",
	} {
		if p, ok := parseName(name); ok {
			t.Errorf("%q is read as %+v", name, p)
		}
	}
}
