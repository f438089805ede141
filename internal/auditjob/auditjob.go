// Package auditjob owns what an audit of the running agent does: it compares, prices, and has the missing fragments sent again. It must
// not know how any of it is done.
package auditjob

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// The codes of faults of requests for audits.
const (
	codeAuditRequest = "audit-request"
	codeAuditRepair  = "audit-repair"
)

// repairUnasked is how many bytes are sent again without an express yes.
const repairUnasked = 1_000_000_000

// Options of Jobs. All are required, but for Files, Cloud and Now.
type Options struct {
	Dir   string                // of the receipts
	Files atomicfile.FileSystem // for them; default the real one
	Store *segment.Store
	Cloud *kvs.Client // nil: nothing is uploaded
	Log   *zap.Logger
	// Policy returns what is kept of a stream.
	Policy func(stream string) (p retention.Policy, known bool)
	Now    func() time.Time // the wall clock; default time.Now
	// Trusted returns whether it can be trusted.
	Trusted func() bool
	// Configured lists the streams that are configured.
	Configured func() []string
	// Storage returns the storage tier of a stream, "" when it is not known.
	Storage func(stream string) (tier string, retentionHours *int)
	// On calls do with the uploader of a stream, while its job runs.
	On func(ctx context.Context, stream string, do func(context.Context, *uploader.Uploader) error) error
}

// Jobs runs audits for those who ask.
type Jobs struct {
	Receipts *receipt.Store

	o       Options
	auditor *audit.Auditor // nil without the cloud
}

// Open returns Jobs with the receipts of earlier runs.
func Open(o Options) *Jobs {
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &Jobs{o: o}
	a.Receipts = receipt.New(receipt.Options{Dir: o.Dir, Files: o.Files, Space: a.spaceOf, Log: o.Log})
	if o.Cloud != nil {
		a.auditor = audit.New(audit.Options{Store: o.Store, Cloud: o.Cloud, Receipts: a.Receipts, Now: o.Now, Trusted: o.Trusted})
	}
	return a
}

// Keep returns where the receipts of a stream go.
func (a *Jobs) Keep(stream string) func(receipt.Receipt) {
	return func(r receipt.Receipt) { a.Receipts.Note(stream, r) }
}

// Forget deletes the receipts of a stream whose recordings are deleted.
func (a *Jobs) Forget(stream string) {
	if err := a.Receipts.Forget(stream); err != nil {
		a.o.Log.Debug("receipts not deleted", zap.String("stream", stream), zap.Error(err))
	}
}

// numbersAhead is how much media the receipts are read for at once: evidence goes through a recording in order, and each reading
// takes a whole file of receipts.
const numbersAhead = 6 * time.Hour

// Numbers returns a function that finds the number that the cloud assigned to a fragment with a producer timestamp, when it last
// acknowledged it. It is fast for timestamps that rise, and not for use by several goroutines.
func (a *Jobs) Numbers() func(stream string, at time.Time) (number string, ok bool) {
	var (
		of       string
		from, to time.Time
		known    map[int64]receipt.Receipt
	)
	return func(stream string, at time.Time) (string, bool) {
		if known == nil || stream != of || at.Before(from) || !at.Before(to) {
			of, from, to = stream, at, at.Add(numbersAhead)
			known = make(map[int64]receipt.Receipt)
			err := a.Receipts.Read(of, from, to, func(r receipt.Receipt) {
				ms := r.Producer.UnixMilli()
				last, twice := known[ms]
				switch {
				case twice && last.Epoch != r.Epoch:
					last.Number = "" // of two recordings: which of them is asked for is not known
					known[ms] = last
				case !twice || last.Number != "" && r.Acked.After(last.Acked):
					known[ms] = r
				}
			})
			if err != nil {
				clear(known) // a number that was superseded would be wrong, and none only says less
			}
		}
		r := known[at.UnixMilli()]
		return r.Number, r.Number != ""
	}
}

// spaceOf is how many bytes the recordings of a stream may use; 0 when that is not known.
func (a *Jobs) spaceOf(stream string) int64 {
	if policy, _ := a.o.Policy(stream); policy.MaxBytes > 0 {
		return policy.MaxBytes
	}
	_, total, err := a.o.Store.DiskFree()
	if err != nil {
		return 0
	}
	return int64(total)
}

// ForPeer is how a peer of the local API asks for an audit. An error that is for the caller is a *health.Fault.
func (a *Jobs) ForPeer(ctx context.Context, r localapi.AuditRequest, each func(localapi.AuditProgress)) error {
	if r.Stream == "" || r.From.IsZero() || !r.From.Before(r.To) {
		return health.UserFault(codeAuditRequest, nil, "An audit needs a stream, and a start that is before its end.")
	}
	if a.auditor == nil {
		return health.UserFault(codeAuditRequest, nil, "Nothing is uploaded by this hub, as %s is off, so stream %s cannot be audited.",
			settings.EnvCloud, r.Stream)
	}
	if !slices.Contains(a.o.Configured(), r.Stream) && !a.o.Store.Holds(r.Stream) {
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
func (a *Jobs) repair(ctx context.Context, r localapi.AuditRequest, lost []queue.ID, p *localapi.AuditProgress,
	each func(localapi.AuditProgress)) error {
	if p.MissingBytes > repairUnasked && !r.Yes {
		return health.UserFault(codeAuditRepair, nil, "Sending %s of stream %s again takes %s of the line: ask for it with --yes.",
			humanize.Count(len(lost), "fragment"), r.Stream, humanize.Bytes(p.MissingBytes))
	}
	var last uploader.Progress
	err := a.resend(ctx, r.Stream, lost, func(now uploader.Progress) {
		last = now
		p.Repaired, p.RepairedBytes = now.Done-now.Refused, now.Bytes
		each(*p)
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

func (a *Jobs) resend(ctx context.Context, stream string, lost []queue.ID, each func(uploader.Progress)) error {
	return a.o.On(ctx, stream, func(ctx context.Context, u *uploader.Uploader) error { return u.Resend(ctx, lost, each) })
}

// Segments audits whole segments of a stream; see audit.Auditor.
func (a *Jobs) Segments(ctx context.Context, stream string, keys []segment.Key) (audit.Segments, error) {
	if a.auditor == nil {
		return audit.Segments{}, health.UserFault(audit.CodeNothing, nil, "Nothing is uploaded by this hub, as %s is off, so stream %s cannot "+
			"be audited.", settings.EnvCloud, stream)
	}
	return a.auditor.Segments(ctx, stream, keys)
}

// Resend sends missing fragments again that are still recorded.
func (a *Jobs) Resend(ctx context.Context, stream string, lost []audit.Missing) error {
	return a.resend(ctx, stream, recorded(lost), func(uploader.Progress) {})
}

// price says what sending fragments again costs.
func (a *Jobs) price(p *localapi.AuditProgress, fragments int) {
	if fragments == 0 {
		return
	}
	prices := cost.Embedded()
	p.StorageTier, _ = a.o.Storage(p.Stream)
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
