package uploader

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// struckFragment is the one at which the faults of the table strike, where they strike at one.
const struckFragment = 1

// moment is when a fault strikes.
type moment struct {
	name  string
	point media.Point
}

var moments = []moment{
	{"before the response", media.BeforeResponse},
	{"mid-fragment", media.MidFragment},
	{"between fragments", media.AtFragmentStart},
	{"after RECEIVED", media.AfterReceived},
}

func (m moment) skip() int {
	if m.point == media.BeforeResponse {
		return 0
	}
	return struckFragment
}

// endSession ends the first session at that moment, so that another has to be opened, and returns how
// many sessions precede that one. Before the response there is none to end.
func (m moment) endSession(w *rig) (before int) {
	if m.point == media.BeforeResponse {
		return 0
	}
	w.service.Faults().Inject(door, media.ResetAt(m.point).Skip(m.skip()).Times(1))
	return 1
}

// faultCase is a line of the fault table.
type faultCase struct {
	name   string
	rule   rules.Rule
	named  bool // an ERROR that names its fragment, but before the response
	inject func(w *rig, m moment)
	change func(*Options)
}

// faultTable has every rule of the documentation, and the faults of a network.
func faultTable() []faultCase {
	var table []faultCase
	all := rules.All()
	acks := slices.IndexFunc(all, func(r rules.Rule) bool { return r.Status != 0 })
	responses := slices.IndexFunc(all, func(r rules.Rule) bool { return r.Name == "any other HTTP status" }) + 1
	for _, r := range all[:acks] {
		ack := kvs.Ack{EventType: kvs.Error, ErrorID: r.ID, ErrorCode: r.Name}
		if r.ID == 0 && r.Name != "MIN_FRAGMENT_DURATION_REACHED" {
			ack = kvs.Ack{EventType: kvs.Error, ErrorID: 4321} // of no rule
		}
		table = append(table, faultCase{name: r.Title(), rule: r, named: true, inject: func(w *rig, m moment) {
			fault := media.ErrorAt(m.point, ack.ErrorID)
			if ack.ErrorID == 0 {
				fault = media.NamedErrorAt(m.point, ack.ErrorCode)
			}
			w.service.Faults().Inject(door, fault.Skip(m.skip()).Times(1))
		}})
	}
	answer := func(name string, status int, exception string) {
		rule := rules.OfResponse(awserr.Classify(status, exception, ""))
		table = append(table, faultCase{name: name, rule: rule, change: oneByOne, inject: func(w *rig, m moment) {
			w.service.Faults().Inject(door, media.Refuse(status, exception).Skip(m.endSession(w)).Times(2))
		}})
	}
	for _, r := range all[acks:responses] {
		switch r.Status {
		case 0:
			answer(r.Title(), 418, "")
		case 599: // any of 5xx
			answer("HTTP 500", 500, "InternalFailure")
			answer("HTTP 502", 502, "")
			answer("HTTP 503", 503, "")
		default:
			answer(r.Title(), r.Status, r.Name)
		}
	}
	answer("HTTP 400 of an unknown name", 400, "NewException")
	answer("HTTP 403 ExpiredTokenException", 403, "ExpiredTokenException")
	return append(table, networkFaults()...)
}

func networkFaults() []faultCase {
	// unreachable fails three connections, the first or those after the session broke off.
	unreachable := func(dial func(context.Context) (net.Conn, error)) func(*rig, moment) {
		return func(w *rig, m moment) {
			w.cloud.trouble(m.endSession(w), 3, func() { w.network.breakDown(dial) }, func() { w.network.breakDown(nil) })
		}
	}
	with := func(err error) func(context.Context) (net.Conn, error) {
		return func(context.Context) (net.Conn, error) { return nil, err }
	}
	credentials, connect, disk := rules.OfOpen(kvs.ErrCredentials).Rule, rules.OfOpen(syscall.ECONNREFUSED).Rule,
		rules.OfEnd(&kvs.MediaError{}).Rule
	stalled, broken := rules.Stalled().Rule, rules.OfEnd(nil).Rule
	impatient := func(o *Options) { o.StallTimeout, o.MaxInFlight = 400*time.Millisecond, 1 }
	return []faultCase{
		{name: broken.Title(), rule: broken, change: oneByOne, inject: func(w *rig, m moment) {
			// Before the response it is the next one's. The first fragment comes when the response is read:
			// a reset sooner than that may take the response with it.
			point := max(m.point, media.AtFragmentStart)
			w.service.Faults().Inject(door, media.ResetAt(point).Skip(m.skip()).Times(2))
		}},
		{name: stalled.Title(), rule: stalled, change: impatient, inject: func(w *rig, m moment) {
			point := max(m.point, media.BeforeBody)
			w.service.Faults().Inject(door, media.BlackHoleAt(point).Skip(m.skip()).Times(1))
		}},
		{name: "1 kB/s", change: oneByOne, inject: func(w *rig, m moment) {
			m.endSession(w)
			w.service.Faults().Inject(door, media.Slow(1000))
		}},
		{name: "reset before the response", rule: connect, change: oneByOne, inject: func(w *rig, m moment) {
			w.service.Faults().Inject(door, media.ResetAt(media.BeforeResponse).Skip(m.endSession(w)).Times(2))
		}},
		{name: "DNS failure", rule: connect, change: oneByOne,
			inject: unreachable(with(&net.DNSError{Err: "no such host", Name: "s-1.kinesisvideo.us-west-2.amazonaws.com", IsNotFound: true}))},
		{name: "TCP refused", rule: connect, change: oneByOne,
			inject: unreachable(with(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}))},
		{name: "untrusted CA", rule: rules.OfOpen(x509.UnknownAuthorityError{}).Rule, change: oneByOne,
			inject: unreachable(with(fmt.Errorf("PutMedia: %w", x509.UnknownAuthorityError{})))},
		{name: "TLS failure", rule: connect, change: oneByOne, inject: unreachable(notTLS)},
		{name: credentials.Title(), rule: credentials, change: oneByOne, inject: func(w *rig, m moment) {
			w.cloud.trouble(m.endSession(w), 2, func() {
				w.cloud.Client.InvalidateCredentials() // as if they had expired
				w.keys.lost.Store(true)
			}, func() { w.keys.lost.Store(false) })
		}},
		{name: disk.Title(), rule: disk, change: oneByOne, inject: func(w *rig, m moment) {
			w.cloud.trouble(m.endSession(w), 1, w.tear, nil)
		}},
	}
}

// notTLS is a connection to something that does not speak TLS.
func notTLS(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		_, _ = far.Read(make([]byte, 1))
		go func() { _, _ = io.Copy(io.Discard, far) }()
		_, _ = io.WriteString(far, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_ = far.Close()
	}()
	return near, nil
}

// TestRows has what clouds do wrong, by its name in the recorder's TestRows.
func TestRows(t *testing.T) {
	t.Parallel()
	t.Run("creds-expire", func(t *testing.T) { t.Parallel(); atEveryMoment(t, ofCredentials) })
}

func ofCredentials(f faultCase) bool { return f.rule.Action == rules.NewCredentials || f.rule.Renew }

// Whatever fails, and whenever: at the end every fragment is persisted exactly once, or counted as
// its rule says.
func TestEveryFaultAtEveryMoment(t *testing.T) {
	t.Parallel()
	atEveryMoment(t, func(f faultCase) bool { return !ofCredentials(f) })
}

func atEveryMoment(t *testing.T, these func(faultCase) bool) {
	for _, c := range faultTable() {
		if !these(c) {
			continue
		}
		for _, m := range moments {
			t.Run(c.name+" "+m.name, func(t *testing.T) {
				t.Parallel()
				w := newRig(t, 24, roomy)
				for range 2 {
					writer := w.create(640)
					for range 3 {
						w.fragment(writer, 2*time.Second, 100)
					}
					must(t, writer.Seal())
				}
				c.inject(w, m)
				change := c.change
				if change == nil {
					change = func(*Options) {}
				}
				w.drain(w.uploader(change))
				w.expectConsequence(c.rule, c.named && m.point != media.BeforeResponse)
			})
		}
	}
}

// expectConsequence checks what a rule did; named says that the error named the second fragment.
func (w *rig) expectConsequence(rule rules.Rule, named bool) {
	w.t.Helper()
	refused := int64(0)
	if rule.Action == rules.Refuse && named {
		refused = 1
		w.expectAll(w.want[1])
		w.expectUploaded(1)
		if !w.sawCondition(codeRefused, health.SystemError) {
			w.t.Error("the refused fragment is not reported")
		}
	} else {
		w.expectOnce()
		w.expectUploaded(0)
	}
	if n := w.number(health.FragmentsRefused); n != refused {
		w.t.Errorf("%d fragments were refused, want %d", n, refused)
	}
	if rule.Action != rules.Refuse && rule.Action != 0 && !w.sawCondition(codeUpload, rule.Class()) {
		w.t.Errorf("no condition of class %s was raised", rule.Class())
	}
	endpoints, credentials := w.cloud.counts()
	if (rule.Action == rules.NewEndpoint || rule.Action == rules.AskUser) != (endpoints > 0) ||
		(rule.Action == rules.NewCredentials || rule.Renew) != (credentials > 0) {
		w.t.Errorf("the endpoint was asked for %d times again and credentials %d times, the rule says %q", endpoints, credentials, rule.Action)
	}
	for _, c := range w.health.Component(door, health.JobUploader).Snapshot().Conditions {
		if c.Code == codeUpload {
			w.t.Errorf("the condition is still there at the end: %s", c.Text)
		}
	}
}
