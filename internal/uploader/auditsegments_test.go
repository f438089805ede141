package uploader

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// TestAnAuditOfSegmentsSaysWhichAreWhole, before the cloud lost a fragment of the second, after it, and after it was sent again.
func TestAnAuditOfSegmentsSaysWhichAreWhole(t *testing.T) {
	t.Parallel()
	a := newAudited(t, 24*365*10)
	for range 3 {
		writer := a.create(640)
		for range 4 {
			a.fragment(writer, time.Second, 30)
		}
		must(t, writer.Seal())
	}
	u := a.uploader(a.withReceipts)
	must(t, u.Drain(t.Context()))
	var keys []segment.Key
	for _, info := range a.store.Segments(door, time.Time{}, time.Time{}) {
		keys = append(keys, info.Key)
	}
	check := func(missing int) audit.Segments {
		t.Helper()
		auditor := audit.New(audit.Options{Store: a.store, Cloud: a.cloud, Receipts: a.receipts, Trusted: func() bool { return a.trusted },
			Now: func() time.Time { return time.Now().Add(a.later) }})
		found, err := auditor.Segments(t.Context(), door, keys)
		must(t, err)
		for i, k := range keys {
			want := audit.Counts{Fragments: 4, Present: 4}
			if i == 1 {
				want.Present, want.Missing = 4-missing, missing
			}
			if got := found.Of[k]; got != want {
				t.Errorf("segment %d has %+v, want %+v", i, got, want)
			}
		}
		if len(found.Lost) != missing {
			t.Errorf("%d are lost, want %d", len(found.Lost), missing)
		}
		return found
	}
	check(0)
	a.lose(a.want[5])
	a.resend(u, check(1).Lost)
	check(0)
}
