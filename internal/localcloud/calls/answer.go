package calls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// Answer writes the answer to a request: the body, or in the protocol's shape an error, which is also a line.
func (l *Log) Answer(w http.ResponseWriter, e *Call, p awsapi.Protocol, body []byte, err error) {
	h := w.Header()
	h.Set("Content-Type", p.ContentType)
	status := cmp.Or(e.Success, http.StatusOK)
	if err != nil {
		refused := l.errorOf(err)
		l.Refuse(e, refused)
		status, body = refused.Status, p.Refuse(h, refused, e.ID)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody else to report to
}

// NotFound is what an endpoint of IoT answers that has nothing at a path.
func (l *Log) NotFound(w http.ResponseWriter, e *Call) {
	e.Operation = "request of a path that is not here"
	l.Answer(w, e, awsapi.IoTREST, nil, &awsapi.Error{Status: http.StatusNotFound, Message: "Not Found", Where: "the path"})
}

// Refuse writes the line about a call that is refused.
func (l *Log) Refuse(e *Call, err *awsapi.Error) {
	e.Outcome = err.Name
	if e.Outcome == "" {
		e.Outcome = fmt.Sprint(err.Status)
	}
	what := strings.TrimSpace(e.Service + " " + e.Operation)
	l.AddRefusal(refusal.Refusal{What: what, Of: e.Resource, By: e.Caller, Code: e.Outcome, Where: err.Where,
		Why: strings.TrimSuffix(err.Message, ".")})
}

// errorOf makes an answer of any error.
func (l *Log) errorOf(err error) *awsapi.Error {
	var answer *awsapi.Error
	if errors.As(err, &answer) {
		return answer
	}
	logevent.InternalFailure.Log(l.o.Failures, zap.Error(err))
	return &awsapi.Error{Status: http.StatusInternalServerError, Name: "InternalFailure", Message: err.Error()}
}

// Observe returns a handler that writes the line of its call when it has ended, also by a panic, which
// is how handlers cut connections.
func (l *Log) Observe(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := &Call{ID: awsapi.RequestID(), Began: time.Now()}
		w.Header().Set("x-amzn-RequestId", e.ID)
		body, answer := &countingBody{ReadCloser: r.Body}, &countingWriter{ResponseWriter: w}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, e))
		r.Body = body
		defer func() {
			e.In, e.Out = body.n, answer.n
			if e.Outcome == "" {
				e.Outcome = "cut"
				if answer.status != 0 {
					e.Outcome = cmp.Or(answer.Header().Get("x-amzn-ErrorType"), strconv.Itoa(answer.status))
				}
			}
			l.Add(e)
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
	if status >= http.StatusOK && w.status == 0 { // 100 Continue is not an answer
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
