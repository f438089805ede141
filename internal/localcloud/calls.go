package localcloud

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// call is one request or MQTT packet, for the line about it. It holds names only: no body, header or
// query of a request goes into it, so that neither secrets nor signatures can.
type call struct {
	id        string // of the request
	began     time.Time
	service   string // as in signatures, or mqtt
	operation string
	resource  string // stream, secret, namespace, topic or client id
	caller    string // thing, or user; "" = unknown
	outcome   string // HTTP status or name of the error; of MQTT the code of the acknowledgement
	in, out   int64  // bytes of bodies or payloads

	thing       string // that called; "" = the user
	certificate bool   // and showed its certificate instead of a signature
}

func (e *call) line(now time.Time) string {
	line := refusal.Line(
		refusal.Part{Text: e.began.UTC().Format("2006-01-02T15:04:05.000Z")},
		refusal.Part{Label: " ", Text: cmp.Or(e.service, "-")}, refusal.Part{Label: " ", Text: cmp.Or(e.operation, "-")},
		refusal.Part{Label: " of ", Text: e.resource}, refusal.Part{Label: " by ", Text: e.caller}, refusal.Part{Label: ": ", Text: e.outcome},
	)
	return fmt.Sprintf("%s, %d bytes in, %d bytes out, %d ms\n", line, e.in, e.out, now.Sub(e.began).Milliseconds())
}

// callLog writes a line for each call. A nil callLog writes nothing.
type callLog struct {
	mu sync.Mutex
	w  io.Writer
}

func newCallLog(w io.Writer) *callLog {
	if w == nil {
		return nil
	}
	return &callLog{w: w}
}

func (l *callLog) add(e *call) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.w, e.line(time.Now())) // there is nobody else to report a failure to
}

type callKey struct{}

// callOf is the call that a request belongs to.
func callOf(ctx context.Context) *call {
	if e, ok := ctx.Value(callKey{}).(*call); ok {
		return e
	}
	return new(call)
}

// observed runs a handler and writes the line of its call when it has ended, also by a panic, which
// is how handlers cut connections.
func (c *Cloud) observed(handler func(http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := &call{id: requestID(), began: time.Now()}
		w.Header().Set("x-amzn-RequestId", e.id)
		body, answer := &countingBody{ReadCloser: r.Body}, &countingWriter{ResponseWriter: w}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, e))
		r.Body = body
		defer func() {
			e.in, e.out = body.n, answer.n
			if e.outcome == "" {
				e.outcome = "cut"
				if answer.status != 0 {
					e.outcome = cmp.Or(answer.Header().Get("x-amzn-ErrorType"), strconv.Itoa(answer.status))
				}
			}
			c.calls.add(e)
		}()
		handler(answer, r)
	}
}

// countingBody counts what was read of a body.
type countingBody struct {
	io.ReadCloser
	n int64
}

// Read implements io.Reader.
func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

// countingWriter counts what was answered.
type countingWriter struct {
	http.ResponseWriter
	status int
	n      int64
}

// Unwrap lets an http.ResponseController find the writer below.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *countingWriter) WriteHeader(status int) {
	if status >= http.StatusOK && w.status == 0 { // 100 Continue is no answer
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *countingWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	return n, err
}
