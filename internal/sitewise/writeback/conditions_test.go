package writeback

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// answer is one of SiteWise.
func answer(status int, code, message string) error {
	return &cloud.Error{Operation: "BatchPutAssetPropertyValue", Err: errors.New(code), Meaning: awserr.Classify(status, code, message)}
}

// conditionRows are the conditions of the write-back.
var conditionRows = []conditiontest.Row{
	{Code: CodeCall, Job: health.JobSiteWise, Limit: 6 * time.Minute, Reason: "hubs that lose SiteWise at the same time spread their retries",
		Start: onHub(func(h *hub) (raise, repair func()) {
			denied := answer(403, accessDenied, "User: x is not authorized to perform: iotsitewise:BatchPutAssetPropertyValue")
			return func() { h.cloud.fail = denied }, func() { h.cloud.fail = nil }
		})},
	{Code: CodeRefused, Job: health.JobSiteWise, Limit: 6 * time.Minute, Reason: "each refusal costs a request",
		Start: onHub(func(h *hub) (raise, repair func()) {
			return func() { h.cloud.refuse = func(cloud.Entry) string { return accessDenied } }, func() { h.cloud.refuse = nil }
		})},
	{Code: CodeOld, Job: health.JobSiteWise, Limit: 4 * time.Hour, Reason: "SiteWise keeps the row until its media would be too old too",
		Start: onHub(func(h *hub) (raise, repair func()) {
			h.record(4 * time.Hour)
			h.pass(2 * time.Minute)
			h.now = begin.Add(7*24*time.Hour + time.Hour)
			return func() { h.segments = h.segments[min(len(h.segments), 30):] }, func() { h.segments = nil }
		})},
	{Code: CodeLate, Job: health.JobSiteWise, Limit: lateFor + time.Minute, Reason: "an event that cannot be undone; it is shown for a day",
		Start: onHub(func(h *hub) (raise, repair func()) {
			h.record(time.Minute)
			return func() { h.persist(h.now.Add(-8*day), h.now.Add(-8*day+time.Minute)) }, func() {}
		})},
	{Code: CodeState, Job: health.JobSiteWise, Start: onHub(func(h *hub) (raise, repair func()) {
		on := false
		h.files = full{on: &on}
		h.start()
		h.record(time.Minute)
		return func() { on = true }, func() { on = false }
	})},
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

// onHub has a pass each 15 s of an injected clock.
func onHub(arrange func(*hub) (raise, repair func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		h := hubOf(t)
		raise, repair := arrange(h)
		pass := func() { h.pass(passEvery) }
		return conditiontest.Case{Health: h.health, Now: func() time.Time { return h.now }, Pass: pass,
			Raise: func() { raise(); pass() }, Repair: repair}
	}
}

// TestRefusals: what is said of each answer, what is sent meanwhile, and that it ends.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const host = "Get \"https://data.iotsitewise.us-west-2.amazonaws.com\": proxyconnect"
	for name, row := range map[string]struct {
		fail    error
		refuse  string // of the values about uploads
		says    string
		written bool // the values of the other properties, meanwhile
		end     time.Duration
	}{
		"unreachable": {fail: errors.New(host), says: "cannot be reached", end: 6 * time.Minute},
		"throttled":   {fail: answer(429, "ThrottlingException", "Rate exceeded"), says: "takes fewer requests", end: 6 * time.Minute},
		"failing":     {fail: answer(500, "InternalFailureException", ""), says: "HTTP status 500", end: 6 * time.Minute},
		"without a right": {fail: answer(403, "AccessDeniedException", "no"), says: "allow it iotsitewise:BatchPutAssetPropertyValue.",
			end: 6 * time.Minute},
		"unknown credentials": {fail: answer(403, "UnrecognizedClientException", "no"), says: "refuses the hub's credentials",
			end: 6 * time.Minute},
		"credentials": {fail: health.SystemFault("credentials-network", nil, "The credentials endpoint cannot be reached."),
			says: "The credentials endpoint cannot be reached.", end: 6 * time.Minute},
		"too old or too new": {refuse: outOfRange, says: "does not accept the time", written: true, end: 6 * time.Minute},
		"one asset denied":   {refuse: accessDenied, says: "may not write the values of asset camera-1", written: true, end: 6 * time.Minute},
		"property gone":      {refuse: notFound, says: "has no property uploaded", written: true, end: 6 * time.Minute},
		"invalid":            {refuse: invalidRequest, says: "(InvalidRequestException): because", written: true, end: 61 * time.Minute},
		"of tomorrow":        {refuse: "TomorrowException", says: "(TomorrowException): because", written: true, end: 6 * time.Minute},
		"busy":               {refuse: throttling, says: "takes some values only later", written: true, end: 6 * time.Minute},
		"conflict":           {refuse: conflicting, written: true, end: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hubOf(t)
			h.record(10 * time.Minute)
			h.persist(begin, h.now)
			h.cloud.fail = row.fail
			h.cloud.refuse = func(v cloud.Entry) string {
				if v.Property == "uploaded" {
					return row.refuse
				}
				return ""
			}
			h.w.pass(context.Background())
			text := ""
			for _, c := range h.health.Component("", health.JobSiteWise).Snapshot().Conditions {
				text += c.Text
			}
			if !strings.Contains(text, row.says) || row.says == "" && text != "" {
				t.Errorf("it says %q", text)
			}
			if got := len(h.rows("cached")) > 0; got != row.written || len(h.rows("uploaded")) > 0 {
				t.Errorf("other values written: %t; refused ones: %v", got, h.rows("uploaded"))
			}
			calls := h.cloud.calls
			h.pass(time.Hour)
			if n := h.cloud.calls - calls; n > 130 {
				t.Errorf("in an hour %d calls were made", n)
			}
			h.cloud.fail, h.cloud.refuse = nil, nil
			h.pass(row.end)
			if got := h.conditions(); got != nil {
				t.Errorf("afterwards the conditions are %v", got)
			}
			h.check(begin, h.now)
		})
	}
}

// TestOneWrongValue: a request that SiteWise refuses as a whole costs only the value that is wrong.
func TestOneWrongValue(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.record(30 * time.Minute)
	h.w.o.Put = wrong{h.cloud}
	h.pass(2 * time.Minute)
	if got := h.rows("cached"); len(got) != 6 {
		t.Errorf("about the disk %v is written", got)
	}
	if got := h.conditions(); !slices.Equal(got, []string{CodeRefused + "/" + stream}) {
		t.Errorf("conditions %v", got)
	}
}

// wrong refuses each request with a value about recordings.
type wrong struct{ *siteWise }

func (w wrong) Put(ctx context.Context, values []cloud.Entry) ([]cloud.Refusal, error) {
	if slices.ContainsFunc(values, func(v cloud.Entry) bool { return v.Property == "recorded" }) {
		return nil, answer(400, invalidRequest, "a property is wrong")
	}
	return w.siteWise.Put(ctx, values)
}

// TestACameraThatIsRemoved takes its conditions along, and one that comes back continues.
func TestACameraThatIsRemoved(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.record(10 * time.Minute)
	h.cloud.refuse = func(cloud.Entry) string { return notFound }
	h.pass(time.Minute)
	if h.conditions() == nil {
		t.Error("without a condition")
	}
	h.cameras = nil
	h.pass(time.Minute)
	if got := h.conditions(); got != nil {
		t.Errorf("conditions %v", got)
	}
	h.cameras, h.cloud.refuse = []Camera{camera}, nil
	h.pass(7 * time.Minute)
	h.check(begin, h.now)
}

// TestAClockThatIsNotTrusted: nothing is written by it.
func TestAClockThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.trusted = false
	h.record(10 * time.Minute)
	h.pass(2 * time.Minute)
	if h.cloud.calls > 0 {
		t.Error("values were written")
	}
	h.trusted = true
	h.pass(2 * time.Minute)
	h.check(begin, h.now)
}
