// Package audit owns the comparison of what the hub uploaded with what Kinesis Video Streams lists: which fragments must still be in
// the cloud, and which of these are not. It must not know how fragments are sent, nor who asks.
package audit

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// What is judged by time.
const (
	// PendingFor is how long after its acknowledgement a fragment need not be listed yet: AWS says that most are within a second.
	PendingFor = 5 * time.Minute
	// ExpiryMargin is how long before the end of the stream's retention a fragment is no longer looked for.
	ExpiryMargin = time.Hour
)

// The codes of faults of an audit that is not possible.
const (
	CodeDenied   = "audit-denied"   // the hub's role lacks a right
	CodeNothing  = "audit-nothing"  // the stream keeps nothing, or is not in the cloud
	CodeClock    = "audit-clock"    // the hub's clock is not trusted
	CodeCloud    = "audit-cloud"    // the cloud did not answer
	CodeReceipts = "audit-receipts" // the receipts cannot be read
	CodeUnknown  = "audit-unknown"  // who answers does not know the operation
)

// Store is the recording directory; see segment.Store.
type Store interface {
	Segments(stream string, from, to time.Time) []segment.Info
	OpenSegmentWhile(ctx context.Context, k segment.Key) (*segment.Reader, error)
	Offsets(k segment.Key, at time.Duration) (wire, recorded time.Duration)
	Done(k segment.Key, fragmentStart time.Duration) bool
	Refused(stream string) []segment.Refused
}

// Cloud is Kinesis Video Streams; see kvs.Client.
type Cloud interface {
	Retention(ctx context.Context, stream string) (hours int, err error)
	StoredFragments(ctx context.Context, stream string, from, to time.Time, page func([]kvs.StoredFragment)) error
}

// Receipts are what the service acknowledged; see receipt.Store.
type Receipts interface {
	Flush(ctx context.Context) error
	Read(stream string, from, to time.Time, each func(receipt.Receipt)) error
}

// Options of an Auditor. All are required.
type Options struct {
	Store    Store
	Cloud    Cloud
	Receipts Receipts
	Now      func() time.Time // the wall clock
	// Trusted returns whether the wall clock can be trusted: by it is decided what has expired.
	Trusted func() bool
}

// Auditor runs audits, also several at once.
type Auditor struct{ o Options }

// New returns an Auditor.
func New(o Options) *Auditor { return &Auditor{o: o} }

// Range is what is audited: the media of a stream recorded from (inclusive) to (exclusive).
type Range struct {
	Stream   string
	From, To time.Time
}

// ID is a fragment of the hub.
type ID struct {
	Segment segment.Key
	Start   time.Duration // in the segment
}

// Missing is a fragment that must be in the cloud and is not.
type Missing struct {
	ID       ID        // zero when it is not recorded any more
	Recorded bool      // it is still on the hub
	Producer time.Time // of its first frame
	Length   time.Duration
	Bytes    int64
	Number   string // of its last receipt, "" without one
}

// Counts are the results of an audit, in fragments.
type Counts struct {
	// Fragments are those on the hub that are uploaded: the sum of Present, Missing, Pending and Expired. WithReceipt of them are
	// compared by their numbers.
	Fragments, WithReceipt             int
	Present, Missing, Pending, Expired int
	MissingBytes                       int64
	// NotUploaded wait for their upload, and Refused are not accepted by the service; neither is in Fragments.
	NotUploaded, Refused int
	// Gone are acknowledged fragments that are not recorded any more on the hub; GoneMissing of them must be in the cloud and are not.
	Gone, GonePresent, GoneMissing int
	// Unreadable are segments that could not be read, so that nothing is known of their fragments.
	Unreadable int
	// Listed counts the fragments that the cloud listed.
	Listed int
}

// Report is the result of an audit.
type Report struct {
	Counts
	RetentionHours int
	// Lost are the missing fragments, by the time of their recording: those on the hub, and up to MaxGone that are not.
	Lost []Missing
}

// MaxGone bounds how many fragments a report names that are not recorded any more.
const MaxGone = 1000

// Run audits a range and calls each with the counts so far. An error is a *health.Fault, or that of ctx.
func (a *Auditor) Run(ctx context.Context, r Range, each func(Counts)) (Report, error) {
	u, err := a.begin(ctx, r, each)
	if err != nil {
		return Report{}, err
	}
	err = u.run()
	return u.report, err
}

// begin finds out whether an audit is possible, as far as that is known before it.
func (a *Auditor) begin(ctx context.Context, r Range, each func(Counts)) (*auditing, error) {
	if !a.o.Trusted() {
		return nil, health.SystemFault(CodeClock, nil, "Stream %s is not audited while the hub's clock is not set: what the cloud must "+
			"still have is decided by it.", r.Stream)
	}
	hours, err := a.o.Cloud.Retention(ctx, r.Stream)
	if err != nil {
		return nil, a.fault(ctx, r.Stream, err)
	}
	if hours == 0 {
		return nil, health.UserFault(CodeNothing, nil, "Stream %s keeps nothing in the cloud (DataRetentionInHours is 0), so nothing "+
			"can be audited: raise it with UpdateDataRetention if it should.", r.Stream)
	}
	if err := a.o.Receipts.Flush(ctx); err != nil {
		return nil, err
	}
	now := a.o.Now()
	return &auditing{
		Auditor: a, ctx: ctx, of: r, now: now, each: each,
		expired: now.Add(ExpiryMargin - time.Duration(hours)*time.Hour),
		report:  Report{RetentionHours: hours},
	}, nil
}

// fault says why the cloud cannot be asked.
func (a *Auditor) fault(ctx context.Context, stream string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var known *health.Fault
	if errors.As(err, &known) {
		return known
	}
	var answer *kvs.RequestError
	switch {
	case errors.As(err, &answer) && answer.Meaning.RightMissing():
		return health.UserFault(CodeDenied, err, "Stream %s cannot be audited, as the hub's role may not ask for it: allow %s on the stream.",
			stream, answer.Meaning.Permission("kinesisvideo:"+answer.Operation))
	case errors.As(err, &answer) && (answer.Meaning.Kind == awserr.NoSuchPath || answer.Name == "UnknownOperationException"):
		return health.UserFault(CodeUnknown, err, "Stream %s cannot be audited, as the service that answers has no operation %s: check the "+
			"endpoints of AWS.", stream, answer.Operation)
	case kvs.IsMissing(err):
		return health.UserFault(CodeNothing, err, "Stream %s does not exist in Kinesis Video Streams, so nothing can be audited: create it.",
			stream)
	}
	failed := "did not answer"
	if answer != nil {
		failed = "did not list its fragments"
	}
	return health.SystemFault(CodeCloud, err, "The audit of stream %s ended early, as Kinesis Video Streams %s: %s. Start it again later.",
		stream, failed, err)
}
