package uploader

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// audited is a rig whose uploads have receipts, and are audited some time later.
type audited struct {
	*rig
	receipts *receipt.Store
	later    time.Duration
	trusted  bool
}

func newAudited(t *testing.T, hours int) *audited {
	t.Helper()
	a := &audited{rig: newRig(t, hours, roomy), later: 10 * time.Minute, trusted: true}
	a.receipts = receipt.New(receipt.Options{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.receipts.Run(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-done) })
	return a
}

func (a *audited) withReceipts(o *Options) {
	o.Receipts = func(r receipt.Receipt) { a.receipts.Note(door, r) }
}

// run audits everything that was recorded.
func (a *audited) run(from, to time.Time) (audit.Report, error) {
	auditor := audit.New(audit.Options{Store: a.store, Cloud: a.cloud, Receipts: a.receipts, Trusted: func() bool { return a.trusted },
		Now: func() time.Time { return time.Now().Add(a.later) }})
	return auditor.Run(a.t.Context(), audit.Range{Stream: door, From: from, To: to}, func(audit.Counts) {})
}

func (a *audited) all() (audit.Report, error) { return a.run(begin, a.next) }

// lose makes the cloud lose the fragments with these producer timestamps.
func (a *audited) lose(times ...int64) {
	a.t.Helper()
	n, err := a.service.Lose(door, func(f media.Fragment) bool { return slices.Contains(times, f.Producer.UnixMilli()) })
	must(a.t, err)
	if n != len(times) {
		a.t.Fatalf("the cloud lost %d fragments, want %d", n, len(times))
	}
}

func timesOf(lost []audit.Missing) (list []int64) {
	for _, m := range lost {
		list = append(list, m.Producer.UnixMilli())
	}
	slices.Sort(list)
	return list
}

func (a *audited) resend(u *Uploader, lost []audit.Missing) Progress {
	a.t.Helper()
	var ids []queue.ID
	for _, m := range lost {
		ids = append(ids, queue.ID{Segment: m.ID.Segment, Fragment: m.ID.Start})
	}
	var last Progress
	must(a.t, u.Resend(a.t.Context(), ids, func(p Progress) { last = p }))
	return last
}

// TestAnAuditFindsExactlyWhatTheCloudLost, of very many fragments, and sends exactly that again: judged by what the stand-in's own list
// of fragments has, not by what the audit says.
func TestAnAuditFindsExactlyWhatTheCloudLost(t *testing.T) {
	const lost, perSegment = 50, 100
	segments := testtools.Proof(t, "audit", testtools.Sizes[int]{Short: 10, Middle: 100, Long: 1000})
	a := newAudited(t, 24*365*10)
	for range segments {
		writer := a.create(640)
		for range perSegment {
			a.fragment(writer, time.Second, 30)
		}
		must(t, writer.Seal())
	}
	u := a.uploader(a.withReceipts)
	if err := u.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := segments * perSegment
	random := rand.New(rand.NewPCG(1, 2))
	var gone []int64
	for _, i := range random.Perm(n)[:lost] {
		gone = append(gone, a.want[i])
	}
	slices.Sort(gone)
	a.lose(gone...)

	report, err := a.all()
	must(t, err)
	if c := report.Counts; c.Fragments != n || c.WithReceipt != n || c.Present != n-lost || c.Missing != lost ||
		c.Pending+c.Expired+c.Gone > 0 || c.Listed < n-lost { // a fragment at the edge of two windows is listed for both
		t.Errorf("the audit counts %+v of %d fragments, %d of them lost", c, n, lost)
	}
	if got := timesOf(report.Lost); !slices.Equal(got, gone) {
		t.Fatalf("it finds %v, want %v", a.relative(got), a.relative(gone))
	}
	before := len(a.service.Fragments(door))
	if p := a.resend(u, report.Lost); p.Done != lost || p.Refused != 0 || !p.Finished {
		t.Errorf("the repair ends with %+v", p)
	}
	sent := a.stored()[before:]
	slices.Sort(sent)
	if !slices.Equal(sent, gone) {
		t.Errorf("it sends %v, want %v", a.relative(sent), a.relative(gone))
	}
	a.later += 10 * time.Minute
	if report, err = a.all(); err != nil || report.Present != n || report.Missing != 0 {
		t.Errorf("after the repair: %+v, %v", report.Counts, err)
	}
	a.expectAll()
}

// TestWhatAnAuditSays in each state of hub and cloud: 12 fragments in 3 segments.
func TestWhatAnAuditSays(t *testing.T) {
	t.Parallel()
	type counts = audit.Counts
	for name, row := range map[string]struct {
		hours int
		do    func(*audited)
		want  counts // but for Listed and MissingBytes
		code  string // of the fault
		says  string
	}{
		"all is there": {want: counts{Fragments: 12, WithReceipt: 12, Present: 12}},
		"lost": {do: func(a *audited) { a.lose(a.want[3], a.want[7]) },
			want: counts{Fragments: 12, WithReceipt: 12, Present: 10, Missing: 2}},
		"no receipts": {do: func(a *audited) { a.lose(a.want[3], a.want[7]); must(a.t, a.receipts.Forget(door)) },
			want: counts{Fragments: 12, Present: 10, Missing: 2}},
		"pending": {do: func(a *audited) { a.lose(a.want[3]); a.later = 4 * time.Minute },
			want: counts{Fragments: 12, WithReceipt: 12, Present: 11, Pending: 1}},
		"no longer pending": {do: func(a *audited) { a.lose(a.want[3]); a.later = 5*time.Minute + time.Second },
			want: counts{Fragments: 12, WithReceipt: 12, Present: 11, Missing: 1}},
		"expired": {hours: 2, do: func(a *audited) { a.lose(a.want[3]); a.later = time.Hour + time.Minute },
			want: counts{Fragments: 12, WithReceipt: 12, Present: 11, Expired: 1}},
		"within the last hour but one": {hours: 2, do: func(a *audited) { a.lose(a.want[3]); a.later = 50 * time.Minute },
			want: counts{Fragments: 12, WithReceipt: 12, Present: 11, Missing: 1}},
		"expired without receipts": {hours: 2, do: func(a *audited) { a.lose(a.want[3]); must(a.t, a.receipts.Forget(door)) },
			want: counts{Fragments: 12, Present: 11, Expired: 1}}, // recorded longer ago than that: nothing is claimed
		"not uploaded": {do: func(a *audited) { a.record(1, 4) }, want: counts{Fragments: 12, WithReceipt: 12, Present: 12, NotUploaded: 4}},
		"not recorded any more": {do: func(a *audited) {
			a.lose(a.want[5], a.want[9])
			must(a.t, a.store.Delete(a.store.Segments(door, begin, a.next)[1].Key))
		}, want: counts{Fragments: 8, WithReceipt: 8, Present: 7, Missing: 1, Gone: 4, GonePresent: 3, GoneMissing: 1}},
		"nothing recorded any more": {do: func(a *audited) {
			a.lose(a.want[5])
			for _, s := range a.store.Segments(door, begin, a.next) {
				must(a.t, a.store.Delete(s.Key))
			}
		}, want: counts{Gone: 12, GonePresent: 11, GoneMissing: 1}},
		"sent twice, one lost": {do: func(a *audited) {
			a.resend(a.uploader(a.withReceipts), []audit.Missing{{ID: audit.ID{Segment: a.store.Segments(door, begin, a.next)[0].Key}}})
			first := true
			_, err := a.service.Lose(door, func(f media.Fragment) bool {
				lost := first && f.Producer.UnixMilli() == a.want[0]
				first = first && !lost
				return lost
			})
			must(a.t, err)
		}, want: counts{Fragments: 12, WithReceipt: 12, Present: 12}},
		"retention 0": {do: func(a *audited) { a.cloud.mu.Lock(); a.cloud.hours = 0; a.cloud.mu.Unlock() }, code: audit.CodeNothing,
			says: "DataRetentionInHours is 0"},
		"no right": {do: func(a *audited) { a.refuseLists(1000, http.StatusForbidden, "AccessDeniedException") }, code: audit.CodeDenied,
			says: "allow kinesisvideo:ListFragments on the stream"},
		"no right to describe": {do: func(a *audited) { a.denied.Store("/describeStream") }, code: audit.CodeDenied,
			says: "allow kinesisvideo:DescribeStream on the stream"},
		"no right to an endpoint": {do: func(a *audited) { a.denied.Store("/getDataEndpoint") }, code: audit.CodeDenied,
			says: "allow kinesisvideo:GetDataEndpoint on the stream"},
		"a bad answer": {do: func(a *audited) { a.refuseLists(1000, http.StatusBadRequest, "InvalidArgumentException") },
			code: audit.CodeCloud, says: "did not list its fragments"},
		"another retention": {do: func(a *audited) {
			a.lose(a.want[3])
			a.cloud.mu.Lock()
			a.cloud.hours = 2 // when it was acknowledged it was ten years
			a.cloud.mu.Unlock()
			a.later = time.Hour + time.Minute
		}, want: counts{Fragments: 12, WithReceipt: 12, Present: 11, Expired: 1}},
		"the clock was ahead": {do: func(a *audited) { a.lose(a.want[3]); a.later = time.Until(begin.Add(time.Hour)) },
			want: counts{Fragments: 12, WithReceipt: 12, Present: 11, Missing: 1}},
		"throttled": {do: func(a *audited) { a.refuseLists(2, http.StatusBadRequest, "ClientLimitExceededException") },
			want: counts{Fragments: 12, WithReceipt: 12, Present: 12}},
		"the cloud fails": {do: func(a *audited) { a.refuseLists(1000, http.StatusServiceUnavailable, "") }, code: audit.CodeCloud,
			says: "503"},
		"the cloud is gone": {do: func(a *audited) { a.service.Faults().Down(door) }, code: audit.CodeCloud, says: "did not answer"},
		"no clock":          {do: func(a *audited) { a.trusted = false }, code: audit.CodeClock, says: "clock is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if row.hours == 0 {
				row.hours = 24 * 365 * 10
			}
			a := newAudited(t, row.hours)
			a.record(3, 4)
			a.drain(a.uploader(a.withReceipts))
			if row.do != nil {
				must(t, a.receipts.Flush(t.Context()))
				row.do(a)
			}
			report, err := a.all()
			got := report.Counts
			got.Listed, got.MissingBytes = 0, 0
			if row.code != "" {
				var fault *health.Fault
				if !errors.As(err, &fault) || fault.Code != row.code || !strings.Contains(fault.Text, row.says) ||
					!strings.Contains(fault.Text, door) {
					t.Errorf("it fails with %v, want %s and %q", err, row.code, row.says)
				}
				return
			}
			if err != nil || got != row.want {
				t.Errorf("it counts %+v (%v), want %+v", got, err, row.want)
			}
		})
	}
}

// refuseLists answers so many requests for lists with an error.
func (a *audited) refuseLists(times int32, status int, name string) {
	var left atomic.Int32
	left.Store(times)
	a.answer = func(w http.ResponseWriter, r *http.Request, service http.Handler) {
		if r.URL.Path == "/listFragments" && left.Add(-1) >= 0 {
			w.Header().Set("X-Amzn-ErrorType", name)
			w.WriteHeader(status)
			return
		}
		service.ServeHTTP(w, r)
	}
}

// TestSeveralAuditsAtOnce share the quota of the stream, so that none is throttled.
func TestSeveralAuditsAtOnce(t *testing.T) {
	t.Parallel()
	a := newAudited(t, 24*365*10)
	a.record(3, 4)
	a.drain(a.uploader(a.withReceipts))
	done := make(chan error)
	for range 8 {
		go func() {
			report, err := a.all()
			if err == nil && report.Present != 12 {
				err = fmt.Errorf("%+v", report.Counts)
			}
			done <- err
		}()
	}
	for range 8 {
		must(t, <-done)
	}
}

// TestResendLeavesOutWhatIsDeleted meanwhile, and sends the rest beside a continuous upload.
func TestResendLeavesOutWhatIsDeleted(t *testing.T) {
	t.Parallel()
	a := newAudited(t, 24*365*10)
	a.record(3, 4)
	u := a.uploader(a.withReceipts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- u.Run(ctx) }()
	a.await(12)
	must(t, a.receipts.Flush(t.Context()))
	a.lose(a.want...)
	report, err := a.all()
	if err != nil || report.Missing != 12 {
		t.Fatalf("%+v: %v", report.Counts, err)
	}
	must(t, a.store.Delete(a.store.Segments(door, begin, a.next)[1].Key))
	if p := a.resend(u, report.Lost); p.Done != 8 || p.Total != 8 {
		t.Errorf("it ends with %+v", p)
	}
	if got := a.stored(); !slices.Equal(got, slices.Concat(a.want[:4], a.want[8:])) {
		t.Errorf("the cloud has %v", a.relative(got))
	}
	a.record(1, 2)
	a.await(14)
	cancel()
	must(t, <-done)
}
