// Package refusal owns the line that the stand-in writes about each request, message or fragment
// that it refuses: what was refused, where the fault is, and why. It must not know who refuses.
package refusal

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Refusal is one thing that was not accepted. Its texts may hold what a client sent.
type Refusal struct {
	What  string // operation or message, such as PutMedia, CreateStream or MQTT CONNECT
	Of    string // what it was about: a stream, secret or topic; "" = unknown
	By    string // who asked: a thing, or "user"; "" = unknown
	Code  string // name of the error as the client sees it, with its number if it has one
	Where string // byte, element, header or member at fault; "" = the whole
	Why   string // rule that was broken, without a full stop
}

// maxText bounds each text of a line, in bytes.
const maxText = 300

// String is the line, without a line end.
func (r Refusal) String() string {
	return Line(Part{"refused ", r.What}, Part{" of ", r.Of}, Part{" by ", r.By}, Part{": ", r.Code}, Part{" at ", r.Where}, Part{": ", r.Why})
}

// Part is a text of a line, with its label.
type Part struct{ Label, Text string }

// Line joins texts that clients may have sent; a part without a text is left out.
func Line(parts ...Part) string {
	var b strings.Builder
	for _, part := range parts {
		if part.Text != "" {
			b.WriteString(part.Label + clean(part.Text))
		}
	}
	return b.String()
}

// clean keeps a text on its line, and short: control characters and what is not UTF-8 become question marks.
func clean(text string) string {
	if len(text) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, text)
}

// Log writes refusals to one writer, a line each. A nil Log writes nothing. Its methods may be
// called at any time from any goroutine.
type Log struct {
	mu sync.Mutex
	w  io.Writer
}

// NewLog returns a Log that writes to w; with a nil w nothing is written.
func NewLog(w io.Writer) *Log {
	if w == nil {
		return nil
	}
	return &Log{w: w}
}

// Add writes the line of a refusal.
func (l *Log) Add(r Refusal) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintln(l.w, r.String()) // there is nobody else to report a failure to
}
