package writeback

import (
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the faults. What is about a stream has a slash and its name behind.
const (
	CodeCall    = "sitewise-write"         // no value can be written
	CodeRefused = "sitewise-write-refused" // those of a camera are refused
	CodeOld     = "sitewise-write-old"     // rows are too old to be changed
	CodeLate    = "sitewise-write-late"    // media was too old for a row when it was uploaded
	CodeState   = "sitewise-write-state"   // the journal cannot be read or written
)

const (
	scopeCall    health.Scope = "sitewise-write"
	scopeState   health.Scope = "sitewise-write-state"
	scopeRefused              = "sitewise-write-refused/"
	scopeLate                 = "sitewise-write-late/"
	scopeOld                  = "sitewise-write-old/"
)

// The codes of refused values. Source: API reference, BatchPutAssetPropertyError.
const (
	throttling         = "ThrottlingException"
	limitExceeded      = "LimitExceededException"
	internalFailure    = "InternalFailureException"
	serviceUnavailable = "ServiceUnavailableException"
	conflicting        = "ConflictingOperationException"
	invalidRequest     = "InvalidRequestException"
	notFound           = "ResourceNotFoundException"
	outOfRange         = "TimestampOutOfRangeException"
	accessDenied       = "AccessDeniedException"
)

// leastAfterDenial is the least wait after SiteWise refuses the hub: somebody has to change a policy first.
const leastAfterDenial = time.Minute

// isBusy reports whether SiteWise will take a value later.
func isBusy(r cloud.Refusal) bool {
	switch r.Code {
	case throttling, limitExceeded, internalFailure, serviceUnavailable:
		return true
	}
	return false
}

func scopeOf(prefix, stream string) health.Scope { return health.Scope(prefix + stream) }

func refusedCode(stream string) string { return CodeRefused + "/" + stream }
func oldCode(stream string) string     { return CodeOld + "/" + stream }
func lateCode(stream string) string    { return CodeLate + "/" + stream }

// scopeStream is the stream that a scope is about; "" for none.
func scopeStream(s health.Scope) string {
	_, stream, _ := strings.Cut(string(s), "/")
	return stream
}

func (w *Writer) report(scope health.Scope, severity health.Severity, f *health.Fault) {
	w.raised[scope] = true
	if w.o.Health.Report(scope, severity, f) {
		logevent.Condition(w.o.Log, f)
	}
}

func (w *Writer) ok(scope health.Scope) {
	if w.raised[scope] {
		delete(w.raised, scope)
		w.o.Health.OK(scope)
	}
}

// held reports whether values of a stream wait after a refusal.
func (w *Writer) held(stream string) bool {
	now := w.o.Now()
	for _, c := range w.o.Cameras() {
		if c.Stream != stream {
			continue
		}
		for _, property := range []string{c.Uploaded, c.Recorded, c.Cached} {
			if s := w.all[id{c.Asset, property}]; s != nil && now.Before(s.hold) {
				return true
			}
		}
	}
	return false
}

// reportFrozen reports how many rows of a stream are too old to be changed.
func (w *Writer) reportFrozen(stream string, n int) {
	if n == 0 {
		w.ok(scopeOf(scopeOld, stream))
		return
	}
	w.report(scopeOf(scopeOld, stream), health.Info, health.SystemFault(oldCode(stream), nil,
		"AWS IoT SiteWise keeps %d rows about the video of stream %s that are not right any more: they begin more than 7 days ago, and "+
			"SiteWise takes no changes of such values.", n, stream))
}

// lateFor is how long it is said that media was too old for a row when it was uploaded.
const lateFor = day

// reportLate reports that media of a stream was uploaded of which SiteWise takes no row any more.
func (w *Writer) reportLate(stream string, oldest int64) {
	w.mu.Lock()
	b := w.book(stream)
	late := b.late
	b.late = 0
	w.mu.Unlock()
	if late == 0 || late >= oldest*1000 {
		return
	}
	scope := scopeOf(scopeLate, stream)
	w.raised[scope] = true
	f := health.SystemFault(lateCode(stream), nil, "Video of stream %s of %s was uploaded, and players of AWS IoT SiteWise do not find "+
		"it: SiteWise takes no values of more than 7 days ago.", stream, health.Varying(time.UnixMilli(late).UTC().Format(time.RFC3339)))
	if w.o.Health.Note(scope, health.Info, f, lateFor) {
		logevent.Condition(w.o.Log, f)
	}
}

// callFault is the fault of a call that failed as a whole, with the least time until another.
func callFault(err error) (f *health.Fault, severity health.Severity, least time.Duration) {
	var fault *health.Fault // of the credentials, for example: it says more than we can
	if errors.As(err, &fault) {
		return fault.Recode(CodeCall, fault.Text), health.Degraded, 0
	}
	switch answer := meaningOf(err); {
	case answer.RightMissing():
		return health.UserFault(CodeCall, err, "The hub's role may not write to AWS IoT SiteWise which video there is: allow it "+
			"iotsitewise:BatchPutAssetPropertyValue."), health.Degraded, leastAfterDenial
	case answer.CredentialsRefused():
		return health.SystemFault(CodeCall, err, "AWS IoT SiteWise refuses the hub's credentials: check the role alias and the hub's clock."),
			health.Degraded, 0
	case answer.Kind == awserr.Unreachable:
		return health.SystemFault(CodeCall, err, "AWS IoT SiteWise cannot be reached to write which video there is: check the hub's internet "+
			"connection and firewall (port 443). It is written later."), health.Info, 0
	case answer.Kind == awserr.Throttled:
		return health.SystemFault(CodeCall, err, "AWS IoT SiteWise takes fewer requests now: which video there is will be written later."),
			health.Info, 0
	default:
		return health.SystemFault(CodeCall, err, "AWS IoT SiteWise answers with HTTP status %d when the hub writes which video there is; it is "+
			"written later.", answer.Status), health.Info, 0
	}
}

// busyFault is that of a value which SiteWise will take later.
func busyFault(why cloud.Refusal) *health.Fault {
	return health.SystemFault(CodeCall, nil, "AWS IoT SiteWise takes some values only later (%s): which video there is will be written then.",
		awserr.Clip(why.Code))
}

// refusalFault is that of a value which is refused.
func refusalFault(q want, why cloud.Refusal, now time.Time) *health.Fault {
	asset, property, stream := q.s.asset, q.s.property, q.stream
	switch why.Code {
	case accessDenied:
		return health.UserFault(refusedCode(stream), nil, "The hub's role may not write the values of asset %s of stream %s: allow it "+
			"iotsitewise:BatchPutAssetPropertyValue for this asset.", asset, stream)
	case notFound:
		return health.UserFault(refusedCode(stream), nil, "AWS IoT SiteWise has no property %s of asset %s of stream %s any more: which "+
			"video there is is not written.", property, asset, stream)
	case outOfRange:
		return health.SystemFault(refusedCode(stream), nil, "AWS IoT SiteWise does not accept the time %s of a value of stream %s: check the "+
			"hub's clock, which shows %s.", q.value().Time.Format(time.RFC3339), stream, health.Varying(now.UTC().Format(time.RFC3339)))
	default:
		return health.SystemFault(refusedCode(stream), nil, "AWS IoT SiteWise refuses a value of property %s of asset %s of stream %s (%s): %s",
			property, asset, stream, awserr.Clip(why.Code), awserr.Clip(why.Message))
	}
}

func streamField(stream string) zap.Field { return zap.String(logevent.KeyStream, stream) }

func errorField(err error) zap.Field { return zap.Error(err) }
