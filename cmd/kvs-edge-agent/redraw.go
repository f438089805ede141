package main

import (
	"bytes"
	"io"
)

// The terminal's sequences. Source: ECMA-48, and XTerm's for the alternate screen.
const (
	cursorHome   = "\x1b[H"
	eraseLine    = "\x1b[K"               // from the cursor on
	eraseDisplay = "\x1b[J"               // from the cursor on
	enterScreen  = "\x1b[?1049h\x1b[?25l" // the alternate screen, without a cursor
	leaveScreen  = "\x1b[?25h\x1b[?1049l"
)

// display gathers what is to be seen and shows it at once. On a terminal it replaces the previous one,
// line by line, so that nothing flickers.
type display struct {
	out    io.Writer
	redraw bool
	text   bytes.Buffer
}

// Write implements io.Writer.
func (f *display) Write(p []byte) (int, error) { return f.text.Write(p) }

// flush shows the picture.
func (f *display) flush() error {
	picture := f.text.Bytes()
	if f.redraw {
		lines := bytes.ReplaceAll(picture, []byte("\n"), []byte(eraseLine+"\n"))
		picture = append(append([]byte(cursorHome), lines...), eraseDisplay...)
	}
	_, err := f.out.Write(picture)
	return err
}
