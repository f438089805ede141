package uploader

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// TestARepairThatIsInterruptedIsCompletedByTheNext: the first is broken off after some of the fragments, as by a kill. What was sent is
// not sent again, but for those that were on their way.
func TestARepairThatIsInterruptedIsCompletedByTheNext(t *testing.T) {
	t.Parallel()
	const fragments, sent = 60, 5
	a := newAudited(t, 24*365*10)
	a.record(3, fragments/3)
	a.drain(a.uploader(a.withReceipts))
	must(t, a.receipts.Flush(t.Context()))
	a.lose(a.want...)
	report, err := a.all()
	if err != nil || report.Missing != fragments {
		t.Fatalf("%+v: %v", report.Counts, err)
	}
	var ids []queue.ID
	for _, m := range report.Lost {
		ids = append(ids, queue.ID{Segment: m.ID.Segment, Fragment: m.ID.Start})
	}
	ctx, kill := context.WithCancel(t.Context())
	err = a.uploader(a.withReceipts).Resend(ctx, ids, func(p Progress) {
		if p.Done >= sent {
			kill()
		}
	})
	kill()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a repair that is killed ends with %v", err)
	}
	must(t, a.receipts.Flush(t.Context()))
	a.later += 10 * time.Minute
	report, err = a.all()
	must(t, err)
	if report.Missing > fragments-sent || report.Present+report.Missing != fragments {
		t.Errorf("after a repair that was killed the audit counts %+v", report.Counts)
	}
	left := report.Missing
	if p := a.resend(a.uploader(a.withReceipts), report.Lost); p.Done != left || p.Refused != 0 {
		t.Errorf("the second repair of %d ends with %+v", left, p)
	}
	must(t, a.receipts.Flush(t.Context()))
	a.later += 10 * time.Minute
	if report, err = a.all(); err != nil || report.Present != fragments || report.Missing != 0 {
		t.Errorf("after the second repair: %+v, %v", report.Counts, err)
	}
	stored := a.stored()
	for _, at := range a.want {
		if !slices.Contains(stored, at) {
			t.Errorf("the cloud does not have %v", a.relative([]int64{at}))
		}
	}
	// What was on its way when the first was killed may be there twice; see uploading.md.
	if twice := len(stored) - fragments; twice > fragments-sent-left+sent {
		t.Errorf("%d fragments are in the cloud twice", twice)
	}
}

// TestAnAuditDuringAnUpload misses nothing: what it counts as uploaded is in the cloud.
func TestAnAuditDuringAnUpload(t *testing.T) {
	t.Parallel()
	const fragments = 120
	a := newAudited(t, 24*365*10)
	a.record(6, fragments/6)
	u := a.uploader(a.withReceipts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- u.Run(ctx) }()
	for audits := 1; ; audits++ {
		report, err := a.all()
		must(t, err)
		if c := report.Counts; c.Missing+c.Gone+c.Pending+c.Expired+c.Refused > 0 || c.Present != c.Fragments ||
			c.Present+c.NotUploaded != fragments {
			t.Fatalf("audit %d during the upload counts %+v", audits, c)
		}
		if report.Present == fragments {
			break
		}
	}
	cancel()
	must(t, <-done)
}

// TestAListThatIsNotComplete is none: nothing is missing by it.
func TestAListThatIsNotComplete(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ page, says string }{
		"pages that repeat": {`{"Fragments":[],"NextToken":"again"}`, "repeat themselves"},
		"no JSON":           {`<html>a proxy</html>`, "not as the service answers"},
	} {
		a := newAudited(t, 24*365*10)
		a.record(1, 4)
		a.drain(a.uploader(a.withReceipts))
		a.answer = func(w http.ResponseWriter, r *http.Request, service http.Handler) {
			_, _ = w.Write([]byte(row.page))
		}
		report, err := a.all()
		var fault *health.Fault
		if !errors.As(err, &fault) || fault.Code != audit.CodeCloud || !strings.Contains(fault.Text, row.says) || report.Missing != 0 {
			t.Errorf("%s: it ends with %v and %d missing, want %q", name, err, report.Missing, row.says)
		}
	}
}
