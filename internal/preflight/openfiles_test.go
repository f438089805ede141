package preflight

import (
	"strings"
	"testing"
)

func TestALimitOfOpenFilesThatIsTooLowIsSaid(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		limit   uint64
		streams int
		want    string // "": it is enough
	}{
		{1024, 10, ""}, {1024, 100, "LimitNOFILE=6656"}, {64, 1, "1 stream may need 80"}, {0, 500, ""}, {65536, 500, ""},
		{4096, 500, "500 streams may need 8064"},
	} {
		got := openFilesFault("The service", row.limit, row.streams)
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%d files for %d streams: %q", row.limit, row.streams, got)
		}
	}
	for show, want := range map[string]uint64{
		"LimitNOFILE=4096": 4096, "LimitNOFILE=infinity": 0, "LimitNOFILE=18446744073709551615": 0, "": 0,
	} {
		if u, ok := UnitOf("LoadState=loaded\n" + show + "\n"); !ok || u.OpenFiles != want {
			t.Errorf("%q is read as %d", show, u.OpenFiles)
		}
	}
	if ShippedUnit().OpenFiles < filesAlways+500*filesPerStream {
		t.Error("the package's own limit is too low for 500 streams")
	}
}
