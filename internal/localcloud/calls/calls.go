// Package calls owns the lines about what the stand-in was asked and what it refused, and the answers to requests.
package calls

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// Call is one request or MQTT packet, for the line about it. It holds names only: no body, header or
// query of a request goes into it, so that neither secrets nor signatures can.
type Call struct {
	ID        string // of the request
	Began     time.Time
	Service   string // as in signatures, or mqtt
	Operation string
	Resource  string // stream, secret, namespace, topic or client id
	Caller    string // thing, or user; "" = unknown
	Outcome   string // HTTP status or name of the error; of MQTT the code of the acknowledgement
	In, Out   int64  // bytes of bodies or payloads

	Success     int    // HTTP status of an answer without an error; 0 = 200
	Thing       string // that called; "" = the user
	Certificate bool   // and showed its certificate instead of a signature
}

func (e *Call) line(now time.Time) string {
	line := refusal.Line(
		refusal.Part{Text: e.Began.UTC().Format("2006-01-02T15:04:05.000Z")},
		refusal.Part{Label: " ", Text: cmp.Or(e.Service, "-")}, refusal.Part{Label: " ", Text: cmp.Or(e.Operation, "-")},
		refusal.Part{Label: " of ", Text: e.Resource}, refusal.Part{Label: " by ", Text: e.Caller}, refusal.Part{Label: ": ", Text: e.Outcome},
	)
	return fmt.Sprintf("%s, %d bytes in, %d bytes out, %d ms\n", line, e.In, e.Out, now.Sub(e.Began).Milliseconds())
}

// Options of a Log.
type Options struct {
	Lines    io.Writer    // gets a line for each call; nil = none
	Refusals *refusal.Log // gets a line for each refusal; nil = none
	Failures *zap.Logger  // gets what failed in the stand-in itself
}

// Log writes the lines about calls and refusals. Its methods may be called at any time from any goroutine.
type Log struct {
	o  Options
	mu sync.Mutex
}

// NewLog returns a Log.
func NewLog(o Options) *Log { return &Log{o: o} }

// Add writes the line of a call.
func (l *Log) Add(e *Call) {
	if l.o.Lines == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.o.Lines, e.line(time.Now())) // there is nobody else to report a failure to
}

// AddRefusal writes the line of a refusal that does not answer a request.
func (l *Log) AddRefusal(r refusal.Refusal) { l.o.Refusals.Add(r) }

type callKey struct{}

// Of returns the call that a request belongs to.
func Of(ctx context.Context) *Call {
	if e, ok := ctx.Value(callKey{}).(*Call); ok {
		return e
	}
	return new(Call)
}
