package deleteafter

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bench is Audits with a clock, a list of segments and a cloud that answers as a test says.
type bench struct {
	t        *testing.T
	audits   *Audits
	health   *health.Registry
	now      time.Time
	on, keep bool
	segments []segment.Info
	answer   audit.Counts // of each segment
	err      error
	sendErr  error
	asked    int
	resent   int
	wakes    int
}

func (b *bench) Streams() []string { return []string{conditiontest.Stream} }

func (b *bench) Walk(string, segment.Kinds) iter.Seq[segment.Info] { return slices.Values(b.segments) }

func newBench(t *testing.T) *bench {
	b := &bench{t: t, now: begin, on: true}
	b.health = health.NewRegistry(func() time.Time { return b.now })
	b.audits = New(Options{
		Store: b, On: func() bool { return b.on }, Health: b.health, Log: zap.NewNop(), Now: func() time.Time { return b.now },
		Policy:    func(string) (retention.Policy, bool) { return retention.Policy{DeleteAfterUpload: !b.keep}, true },
		Confirmed: func() { b.wakes++ },
		Audit: func(_ context.Context, _ string, keys []segment.Key) (audit.Segments, error) {
			b.asked++
			found := audit.Segments{Of: make(map[segment.Key]audit.Counts)}
			for _, k := range keys {
				found.Of[k] = b.answer
				for range b.answer.Missing {
					found.Lost = append(found.Lost, audit.Missing{ID: audit.ID{Segment: k}, Recorded: true, Bytes: 100})
				}
			}
			return found, b.err
		},
		Resend: func(_ context.Context, _ string, lost []audit.Missing) error {
			b.resent += len(lost)
			return b.sendErr
		},
	})
	return b
}

// add adds an uploaded segment that ended that long ago.
func (b *bench) add(ago time.Duration) segment.Key {
	k := segment.Key{Stream: conditiontest.Stream, Start: b.now.Add(-ago - time.Minute).UnixMilli()}
	b.segments = append(b.segments, segment.Info{Key: k, End: b.now.Add(-ago), State: segment.Uploaded})
	return k
}

func (b *bench) after(d time.Duration) {
	b.now = b.now.Add(d)
	b.audits.Round(b.t.Context())
}

func (b *bench) has(code string) bool {
	for _, c := range b.health.Component(conditiontest.Stream, health.JobRetention).Snapshot().Conditions {
		if c.Code == code {
			return true
		}
	}
	return false
}

// TestWhatMayBeDeleted by the answer of the first audit and of the one after it.
func TestWhatMayBeDeleted(t *testing.T) {
	t.Parallel()
	fault := func(code string) error { return health.UserFault(code, nil, "No audit.") }
	for name, row := range map[string]struct {
		first, then    audit.Counts
		err, thenErr   error
		sendErr        error
		may, mayThen   bool
		resent         int
		code, codeThen string
	}{
		"present":              {first: audit.Counts{Fragments: 3, Present: 3}, may: true, mayThen: true},
		"pending":              {first: audit.Counts{Fragments: 3, Present: 2, Pending: 1}, mayThen: true},
		"missing, then not":    {first: audit.Counts{Fragments: 3, Missing: 2}, resent: 2, mayThen: true},
		"missing twice":        {first: audit.Counts{Missing: 2}, then: audit.Counts{Missing: 2}, resent: 2, codeThen: codeLost},
		"missing and not sent": {first: audit.Counts{Missing: 2}, then: audit.Counts{Missing: 2}, sendErr: errors.New("no"), resent: 4},
		"unreadable":           {first: audit.Counts{Unreadable: 1}, then: audit.Counts{Unreadable: 1}, code: codeDamaged, codeThen: codeDamaged},
		"expired":              {first: audit.Counts{Expired: 1}, may: true, mayThen: true, code: codeImpossible},
		"expired and missing":  {first: audit.Counts{Expired: 1, Missing: 1}, resent: 1, mayThen: true},
		"refused meanwhile":    {first: audit.Counts{Refused: 1}, then: audit.Counts{Refused: 1}},
		"no right": {err: fault(audit.CodeDenied), thenErr: fault(audit.CodeDenied), may: true, mayThen: true, code: codeImpossible,
			codeThen: codeImpossible},
		"retention 0":          {err: fault(audit.CodeNothing), may: true, mayThen: true, code: codeImpossible},
		"no such operation":    {err: fault(audit.CodeUnknown), may: true, mayThen: true, code: codeImpossible},
		"receipts unreadable":  {err: fault(audit.CodeReceipts), may: true, mayThen: true, code: codeImpossible},
		"unreachable":          {err: fault(audit.CodeCloud), mayThen: true},
		"unreachable for long": {err: fault(audit.CodeCloud), thenErr: fault(audit.CodeCloud), codeThen: codeWaiting},
		"the clock is not set": {err: fault(audit.CodeClock), thenErr: fault(audit.CodeClock), codeThen: codeWaiting},
		"an error of its own":  {err: errors.New("no"), thenErr: errors.New("no"), codeThen: codeWaiting},
		"no right, then gone": {err: fault(audit.CodeDenied), thenErr: fault(audit.CodeCloud), may: true, mayThen: true,
			code: codeImpossible, codeThen: codeImpossible}, // what is said stays until it is known to be over, or fails for long
	} {
		b := newBench(t)
		k := b.add(time.Minute)
		b.after(0)
		if b.asked != 0 || b.audits.May(k) {
			t.Errorf("%s: a segment that ended a minute ago is audited (%d), or may be deleted", name, b.asked)
		}
		check := func(when string, may bool, code string) {
			t.Helper()
			if got := b.audits.May(k); got != may {
				t.Errorf("%s, %s: it may be deleted: %v, want %v", name, when, got, may)
			}
			for _, one := range []string{codeImpossible, codeLost, codeDamaged, codeWaiting} {
				if b.has(one) != (one == code) {
					t.Errorf("%s, %s: condition %s: %v", name, when, one, b.has(one))
				}
			}
		}
		b.answer, b.err, b.sendErr = row.first, row.err, row.sendErr
		b.after(audit.PendingFor)
		check("at first", row.may, row.code)
		b.answer, b.err = row.then, row.thenErr
		b.after(audit.PendingFor)
		check("then", row.mayThen, row.codeThen)
		if b.resent != row.resent {
			t.Errorf("%s: %d fragments were sent again, want %d", name, b.resent, row.resent)
		}
	}
}

// TestOthersNeedNoAudit: streams without DeleteAfterUpload are not audited, and without the setting all may be deleted.
func TestOthersNeedNoAudit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep = true
	k := b.add(time.Hour)
	b.after(0)
	b.keep, b.on = false, false
	b.after(time.Hour)
	if b.asked != 0 || !b.audits.May(k) {
		t.Errorf("%d audits; may be deleted: %v", b.asked, b.audits.May(k))
	}
}

// TestWhatWasMissingTwiceIsLookedForEachHour, and may be deleted once it is found.
func TestWhatWasMissingTwiceIsLookedForEachHour(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	k := b.add(time.Hour)
	b.answer = audit.Counts{Missing: 1}
	b.after(0)
	b.after(audit.PendingFor)
	asked := b.asked
	b.answer = audit.Counts{Present: 1}
	b.after(lookAgain - time.Second)
	if b.asked != asked || b.audits.May(k) {
		t.Errorf("%d audits, want %d", b.asked, asked)
	}
	if b.after(time.Second); !b.audits.May(k) || b.has(codeLost) || b.resent != 1 {
		t.Errorf("may be deleted: %v, condition: %v, %d sent again", b.audits.May(k), b.has(codeLost), b.resent)
	}
}

// TestAClockThatWasAheadDelaysNothing: what was to be done in a future that is cancelled is done now.
func TestAClockThatWasAheadDelaysNothing(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer audit.Counts
		err    error
	}{
		"pending":     {answer: audit.Counts{Pending: 1}},
		"unreachable": {err: errors.New("no")},
		"no right":    {err: health.UserFault(audit.CodeDenied, nil, "No audit.")},
	} {
		const year = 365 * 24 * time.Hour
		b := newBench(t)
		k := b.add(time.Hour)
		b.after(year)
		b.answer, b.err = row.answer, row.err
		b.after(0)
		b.answer, b.err = audit.Counts{Present: 1}, nil
		b.after(-year)
		b.after(audit.PendingFor)
		if !b.audits.May(k) || b.has(codeImpossible) || b.has(codeWaiting) {
			t.Errorf("%s: may be deleted: %v, conditions: %v, %v", name, b.audits.May(k), b.has(codeImpossible), b.has(codeWaiting))
		}
	}
}

// sentence is that of a condition.
func (b *bench) sentence(code string) string {
	for _, c := range b.health.Component(conditiontest.Stream, health.JobRetention).Snapshot().Conditions {
		if c.Code == code {
			return c.Text
		}
	}
	return ""
}

// TestWhatIsSaid about recordings that stay on the hub.
func TestWhatIsSaid(t *testing.T) {
	t.Parallel()
	const stream = conditiontest.Stream
	for name, row := range map[string]struct {
		recordings int
		answer     audit.Counts
		err        error
		code, want string
	}{
		"one is lost": {recordings: 1, answer: audit.Counts{Missing: 1}, code: codeLost, want: "1 recording of stream " + stream +
			" stays on the hub until its age or size, as an audit did not find all of it in the cloud, also after it was sent again: " +
			"`kvs-edge-agent audit` says what is missing."},
		"two cannot be read": {recordings: 2, answer: audit.Counts{Unreadable: 1}, code: codeDamaged, want: "2 recordings of stream " + stream +
			" stay on the hub until their age or size, as they cannot be read, so no audit can say whether the cloud has all of them: " +
			"`kvs-edge-agent verify` says which."},
		"a bad answer": {recordings: 1, err: health.SystemFault(audit.CodeCloud, errors.New("HTTP status 400"), "The audit ended early."),
			code: codeWaiting, want: "Recordings of stream " + stream + " stay on the hub after their upload, as they cannot be audited now: HTTP " +
				"status 400. It is tried again each minute."},
	} {
		b := newBench(t)
		for range row.recordings {
			b.add(time.Hour + time.Duration(len(b.segments))*time.Minute)
		}
		b.answer, b.err = row.answer, row.err
		b.after(0)
		b.after(failingFor)
		if got := b.sentence(row.code); got != row.want {
			t.Errorf("%s: it says %q, want %q", name, got, row.want)
		}
	}
}

func (b *bench) testCase(raise, repair func()) conditiontest.Case {
	return conditiontest.Case{
		Health: b.health, Now: func() time.Time { return b.now }, Raise: func() { raise(); b.after(every) }, Repair: repair,
		Pass: func() { b.after(every) },
	}
}

var conditionRows = []conditiontest.Row{
	{
		Code: "deleted-without-audit", Job: health.JobRetention, Limit: audit.PendingFor + time.Minute,
		Reason: "the service has a quota, so it is asked each five minutes whether an audit is possible",
		Start: func(t *testing.T) conditiontest.Case {
			b := newBench(t)
			b.add(time.Hour)
			b.err = health.UserFault(audit.CodeDenied, nil, "The right kinesisvideo:ListFragments is missing.")
			return b.testCase(func() {}, func() { b.err, b.segments = nil, nil })
		},
	},
	{
		Code: "waits-for-audit", Job: health.JobRetention, Limit: retryAfter + every, Reason: "the cloud is asked once a minute",
		Start: func(t *testing.T) conditiontest.Case {
			b := newBench(t)
			b.add(time.Hour)
			b.err = health.SystemFault(audit.CodeCloud, errors.New("HTTP status 400"), "The audit ended early.")
			b.after(0)
			return b.testCase(func() { b.after(failingFor) }, func() { b.err = nil })
		},
	},
	{Code: "unreadable-not-audited", Job: health.JobRetention, Start: func(t *testing.T) conditiontest.Case {
		b := newBench(t)
		b.add(time.Hour)
		b.answer = audit.Counts{Unreadable: 1}
		return b.testCase(func() {}, func() { b.segments = nil })
	}},
	{Code: "missing-in-cloud", Job: health.JobRetention, Start: func(t *testing.T) conditiontest.Case {
		b := newBench(t)
		b.add(time.Hour)
		b.answer = audit.Counts{Missing: 1}
		b.after(0)
		return b.testCase(func() { b.after(audit.PendingFor) }, func() { b.segments = nil })
	}},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				conditiontest.Check(t, row, way)
			})
		}
	}
}
