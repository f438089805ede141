package socket

import (
	"net/http"
	"time"
)

// Answer is an answer whose reader may stop reading for as long as Stall says, and no longer.
type Answer struct {
	http.ResponseWriter
	Stall time.Duration

	connection *http.ResponseController
}

// NewAnswer returns an answer that is written to w.
func NewAnswer(w http.ResponseWriter, stall time.Duration) *Answer {
	return &Answer{w, stall, http.NewResponseController(w)}
}

// Write implements io.Writer.
func (w *Answer) Write(p []byte) (int, error) {
	_ = w.connection.SetWriteDeadline(time.Now().Add(w.Stall))
	return w.ResponseWriter.Write(p)
}

// Unwrap returns what http.ResponseController acts on.
func (w *Answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
