package agent

import (
	"context"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// The codes of faults of requests for audits.
const (
	codeAuditRequest = "audit-request"
	codeAuditRepair  = "audit-repair"
)

const (
	// receiptsName is the directory of receipts in the state directory.
	receiptsName = "receipts"
	// repairUnasked is how many bytes are sent again without an express yes.
	repairUnasked = 1_000_000_000
)

// openReceipts opens the receipts, and builds what compares with them.
func (a *Agent) openReceipts(dir statefile.Dir) {
	a.receipts = receipt.New(receipt.Options{Dir: filepath.Join(dir.Path(), receiptsName), Space: a.spaceOf, Log: a.log})
	if a.kvs != nil {
		a.auditor = audit.New(audit.Options{
			Store: a.store, Cloud: a.kvs, Receipts: a.receipts, Now: time.Now, Trusted: a.hubClock.Trusted,
		})
	}
}

// spaceOf is how many bytes the recordings of a stream may use; 0 when that is not known.
func (a *Agent) spaceOf(stream string) int64 {
	if policy, _ := a.retention.PolicyOf(stream); policy.MaxBytes > 0 {
		return policy.MaxBytes
	}
	_, total, err := a.store.DiskFree()
	if err != nil {
		return 0
	}
	return int64(total)
}

// forgetReceipts deletes those of a stream whose recordings are deleted.
func (a *Agent) forgetReceipts(stream string) {
	if err := a.receipts.Forget(stream); err != nil {
		a.log.Debug("receipts not deleted", zap.String("stream", stream), zap.Error(err))
	}
}

// auditForPeer is how a peer of the local API asks for an audit. An error that is for the caller is a *health.Fault.
func (a *Agent) auditForPeer(ctx context.Context, r localapi.AuditRequest, each func(localapi.AuditProgress)) error {
	if r.Stream == "" || r.From.IsZero() || !r.From.Before(r.To) {
		return health.UserFault(codeAuditRequest, nil, "An audit needs a stream, and a start that is before its end.")
	}
	if a.auditor == nil {
		return health.UserFault(codeAuditRequest, nil, "Nothing is uploaded by this hub, as %s is off, so stream %s cannot be audited.",
			settings.EnvCloud, r.Stream)
	}
	if a.streams.get(r.Stream) == nil && !a.store.Holds(r.Stream) {
		return health.UserFault(codeAuditRequest, nil, "This hub has no stream %s; `kvs-edge-agent status` lists those it has.", r.Stream)
	}
	p := localapi.AuditProgress{Stream: r.Stream, Phase: localapi.AuditComparing}
	report, err := a.auditor.Run(ctx, audit.Range{Stream: r.Stream, From: r.From, To: r.To}, func(c audit.Counts) {
		count(&p, c)
		each(p)
	})
	if err != nil {
		return err
	}
	count(&p, report.Counts)
	p.RetentionHours = report.RetentionHours
	lost := recorded(report.Lost)
	a.price(&p, len(lost))
	p.Lost = lostFragments(report.Lost)
	p.Phase, p.Finished = localapi.AuditDone, !r.Repair || len(lost) == 0
	if !p.Finished {
		p.Phase = localapi.AuditRepairing
	}
	each(p)
	if p.Finished {
		return nil
	}
	p.Lost = nil
	return a.repair(ctx, r, lost, &p, each)
}

// repair sends missing fragments again.
func (a *Agent) repair(ctx context.Context, r localapi.AuditRequest, lost []queue.ID, p *localapi.AuditProgress,
	each func(localapi.AuditProgress)) error {
	if p.MissingBytes > repairUnasked && !r.Yes {
		return health.UserFault(codeAuditRepair, nil, "Sending %s of stream %s again takes %s of the line: ask for it with --yes.",
			humanize.Count(len(lost), "fragment"), r.Stream, humanize.Bytes(p.MissingBytes))
	}
	var last uploader.Progress
	err := a.onDemand.on(ctx, r.Stream, func(ctx context.Context, u *uploader.Uploader) error {
		return u.Resend(ctx, lost, func(now uploader.Progress) {
			last = now
			p.Repaired, p.RepairedBytes = now.Done-now.Refused, now.Bytes
			each(*p)
		})
	})
	if err != nil {
		return err
	}
	if left := len(lost) - (last.Done - last.Refused); left > 0 {
		return health.SystemFault(codeAuditRepair, nil, "%d of %d missing fragments of stream %s are not in the cloud: the hub deleted them "+
			"meanwhile, or the service does not accept them now.", left, len(lost), r.Stream)
	}
	p.Phase, p.Finished = localapi.AuditDone, true
	each(*p)
	return nil
}

// price says what sending fragments again costs.
func (a *Agent) price(p *localapi.AuditProgress, fragments int) {
	if fragments == 0 {
		return
	}
	prices := cost.Embedded()
	p.StorageTier, _ = a.storage(p.Stream)
	p.IngestPrice, p.Currency = prices.Ingest(p.StorageTier, int64(fragments), p.MissingBytes), prices.Currency
}

// recorded are the missing fragments that can be sent again.
func recorded(lost []audit.Missing) (list []queue.ID) {
	for _, m := range lost {
		if m.Recorded {
			list = append(list, queue.ID{Segment: m.ID.Segment, Fragment: m.ID.Start})
		}
	}
	return list
}

// count copies the counts of an audit.
func count(p *localapi.AuditProgress, c audit.Counts) {
	p.Fragments, p.WithReceipt, p.Present, p.Missing = c.Fragments, c.WithReceipt, c.Present, c.Missing
	p.Pending, p.Expired, p.MissingBytes = c.Pending, c.Expired, c.MissingBytes
	p.NotUploaded, p.Refused, p.UnreadableSegments, p.Listed = c.NotUploaded, c.Refused, c.Unreadable, c.Listed
	p.Gone, p.GonePresent, p.GoneMissing = c.Gone, c.GonePresent, c.GoneMissing
}

// lostFragments are the first of the missing fragments.
func lostFragments(lost []audit.Missing) (list []localapi.LostFragment) {
	for _, m := range lost[:min(len(lost), localapi.MaxLost)] {
		one := localapi.LostFragment{Start: m.Producer, Seconds: m.Length.Seconds(), Bytes: m.Bytes, FragmentNumber: m.Number,
			Recorded: m.Recorded}
		if m.Recorded {
			one.Segment = m.ID.Segment.ID().String()
		}
		list = append(list, one)
	}
	return list
}
