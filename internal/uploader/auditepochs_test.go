package uploader

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// twice is a rig that recorded and uploaded the same times twice, as with a clock that went back: 4 fragments in each of two epochs.
func twice(t *testing.T) *audited {
	t.Helper()
	a := newAudited(t, 24*365*10)
	a.recordAt(begin, 4)
	a.drain(a.uploader(a.withReceipts))
	a.endEpoch(begin, 0, begin)
	a.recordAt(begin, 4)
	a.drain(a.uploader(a.withReceipts))
	must(t, a.receipts.Flush(t.Context()))
	if n := len(a.service.Fragments(door)); n != 8 {
		t.Fatalf("the cloud has %d fragments", n)
	}
	return a
}

// loseOf has the cloud lose a fragment of the first or the second of two recordings of the same time.
func (a *audited) loseOf(recording int, at int64) {
	a.t.Helper()
	seen := 0
	n, err := a.service.Lose(door, func(f media.Fragment) bool {
		if f.Producer.UnixMilli() != at {
			return false
		}
		seen++
		return seen-1 == recording
	})
	must(a.t, err)
	if n != 1 {
		a.t.Fatalf("the cloud lost %d fragments", n)
	}
}

// TestRecordingsOfTheSameTimeAreNotTakenForEachOther: what the cloud has of one does not count for the other.
func TestRecordingsOfTheSameTimeAreNotTakenForEachOther(t *testing.T) {
	t.Parallel()
	for _, recording := range []int{0, 1} {
		a := twice(t)
		a.loseOf(recording, a.want[2])
		report, err := a.run(begin.Add(-time.Hour), begin.Add(time.Hour))
		must(t, err)
		report.Listed, report.MissingBytes = 0, 0
		if want := (audit.Counts{Fragments: 8, WithReceipt: 8, Present: 7, Missing: 1}); report.Counts != want {
			t.Errorf("the audit counts %+v, want %+v", report.Counts, want)
		}
		if len(report.Lost) != 1 || report.Lost[0].ID.Segment.Epoch != uint32(recording) {
			t.Errorf("lost is %+v, want one of epoch %d", report.Lost, recording)
		}
		must(t, a.store.Delete(a.store.Segments(door, time.Time{}, time.Time{})[recording].Key))
		report, err = a.run(begin.Add(-time.Hour), begin.Add(time.Hour))
		must(t, err)
		report.Listed = 0
		if want := (audit.Counts{Fragments: 4, WithReceipt: 4, Present: 4, Gone: 4, GonePresent: 3, GoneMissing: 1}); report.Counts != want {
			t.Errorf("without recording %d the audit counts %+v, want %+v", recording, report.Counts, want)
		}
	}
}

// TestWhatWasSentBeforeItsTimeWasKnown is looked for with the time that it was sent with, and with the right one when it was sent again.
func TestWhatWasSentBeforeItsTimeWasKnown(t *testing.T) {
	t.Parallel()
	a := newAudited(t, 24*365*10)
	u := a.uploader(a.withReceipts)
	a.recordAt(begin.Add(twoHours), 4)
	a.drain(u)
	a.endEpoch(begin.Add(twoHours), -twoHours, begin.Add(10*time.Second))
	must(t, a.receipts.Flush(t.Context()))
	check := func(present int) audit.Report {
		t.Helper()
		report, err := a.run(begin.Add(-time.Hour), begin.Add(time.Hour))
		must(t, err)
		report.Listed, report.MissingBytes = 0, 0
		if want := (audit.Counts{Fragments: 4, WithReceipt: 4, Present: present, Missing: 4 - present}); report.Counts != want {
			t.Errorf("the audit counts %+v, want %+v", report.Counts, want)
		}
		return report
	}
	check(4)
	a.lose(a.want[1])
	a.resend(u, check(3).Lost)
	check(4)
}
