// Package patience bounds how long a client may take to send the body of a request, and to read the answer. It must not know
// what is asked.
package patience

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// bodyKey is the key of a request's body in its context.
type bodyKey struct{}

// Body is the body of a request that came through WholeBodies.
func Body(r *http.Request) []byte {
	body, _ := r.Context().Value(bodyKey{}).([]byte)
	return body
}

// WholeBodies reads the body of each request before it is served, so that none is waited for without end. The answer may
// take as long as it is read. refuse answers a body that is larger than most bytes, or else did not come within timeout.
func WholeBodies(
	next http.Handler, most int64, timeout time.Duration, refuse func(w http.ResponseWriter, large bool),
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(time.Now().Add(timeout))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			refuse(w, true)
			return
		case err != nil:
			w.Header().Set("Connection", "close")
			refuse(w, false)
			return
		}
		_ = connection.SetReadDeadline(time.Time{})
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, body)))
	})
}

// Writer is an answer whose reader may stall for so long and no longer.
type Writer struct {
	http.ResponseWriter
	Stall      time.Duration
	connection *http.ResponseController
}

// NewWriter returns the answer w, whose reader may stall for that time.
func NewWriter(w http.ResponseWriter, stall time.Duration) *Writer {
	return &Writer{w, stall, http.NewResponseController(w)}
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	_ = w.connection.SetWriteDeadline(time.Now().Add(w.Stall))
	return w.ResponseWriter.Write(p)
}

// Unwrap returns what http.ResponseController acts on.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
