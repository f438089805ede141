package logfile

import (
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

const (
	// firstSilence is how long a failure is not logged again; it doubles up to lastSilence while the
	// failure lasts.
	firstSilence = time.Minute
	lastSilence  = time.Hour
	// maxFailures bounds what is remembered; more kinds of failures than that are all logged.
	maxFailures = 1000
	// repeatedKey is the field with the number of equal lines that were left out before this one.
	repeatedKey = "repeated"
)

// dedup leaves out warnings and errors that repeat: a camera that is off for a week must not
// push everything else out of the log. What is left out is counted in the next line that is not.
func dedup(core zapcore.Core, now func() time.Time) zapcore.Core {
	return &deduper{Core: core, seen: &failures{now: now, known: make(map[string]*failure)}}
}

// deduper is a core with the fields of its logger, which help to distinguish failures.
type deduper struct {
	zapcore.Core
	key  string
	seen *failures
}

// With implements zapcore.Core.
func (c *deduper) With(fields []zapcore.Field) zapcore.Core {
	return &deduper{Core: c.Core.With(fields), key: c.key + keyOf(fields), seen: c.seen}
}

// Check implements zapcore.Core.
func (c *deduper) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return checked
	}
	return checked.AddCore(e, c)
}

// Write implements zapcore.Core.
func (c *deduper) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.Level < zapcore.WarnLevel || e.Level > zapcore.ErrorLevel || c.Enabled(zapcore.DebugLevel) {
		return c.Core.Write(e, fields)
	}
	write, leftOut := c.seen.note(e.Level.String() + e.Message + c.key + keyOf(fields))
	if !write {
		return nil
	}
	if leftOut > 0 {
		fields = append(fields[:len(fields):len(fields)], zap.Int(repeatedKey, leftOut))
	}
	return c.Core.Write(e, fields)
}

// keyOf takes the texts among the fields, such as stream and job, and the error. What caused it,
// numbers and times differ every time.
func keyOf(fields []zapcore.Field) string {
	var b strings.Builder
	for _, f := range fields {
		switch f.Type {
		case zapcore.StringType:
			b.WriteString("\x00" + f.Key + "=" + f.String)
		case zapcore.ErrorType:
			if f.Key == logevent.KeyError {
				b.WriteString("\x00" + f.Key + "=" + identityOf(f.Interface))
			}
		}
	}
	return b.String()
}

// identityOf returns what distinguishes an error from others. Sentences that differ in their numbers only are of the same failure.
func identityOf(value any) string {
	var fault *health.Fault
	switch err, ok := value.(error); {
	case !ok || err == nil:
		return ""
	case errors.As(err, &fault) && fault != nil && err == error(fault):
		return fault.Identity()
	default:
		return shownError(err)
	}
}

// failures remembers what was logged when.
type failures struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]*failure // guarded by mu
}

type failure struct {
	written time.Time
	silence time.Duration
	leftOut int
}

// note returns whether to write a line now, and how many like it were left out before.
func (f *failures) note(key string) (write bool, leftOut int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	known := f.known[key]
	if known == nil || now.Before(known.written) || now.Sub(known.written) > 2*lastSilence {
		if known == nil && len(f.known) >= maxFailures {
			f.forget(now)
		}
		if known != nil {
			leftOut = known.leftOut
		}
		if len(f.known) < maxFailures {
			f.known[key] = &failure{written: now, silence: firstSilence}
		}
		return true, leftOut
	}
	if now.Sub(known.written) < known.silence {
		known.leftOut++
		return false, 0
	}
	leftOut = known.leftOut
	*known = failure{written: now, silence: min(2*known.silence, lastSilence)}
	return true, leftOut
}

// forget drops what has not been logged for long.
func (f *failures) forget(now time.Time) {
	for key, known := range f.known {
		if now.Sub(known.written) > known.silence {
			delete(f.known, key)
		}
	}
}
