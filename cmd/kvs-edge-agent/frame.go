package main

import (
	"bytes"
	"io"
	"os"
)

// The terminal's sequences. Source: ECMA-48.
const (
	cursorHome   = "\x1b[H"
	eraseLine    = "\x1b[K" // from the cursor on
	eraseDisplay = "\x1b[J" // from the cursor on
)

// frame gathers a picture and shows it at once. On a terminal it is drawn over the one before,
// line by line, so that nothing flickers.
type frame struct {
	out    io.Writer
	redraw bool
	text   bytes.Buffer
}

// Write implements io.Writer.
func (f *frame) Write(p []byte) (int, error) { return f.text.Write(p) }

// flush shows the picture.
func (f *frame) flush() error {
	picture := f.text.Bytes()
	if f.redraw {
		lines := bytes.ReplaceAll(picture, []byte("\n"), []byte(eraseLine+"\n"))
		picture = append(append([]byte(cursorHome), lines...), eraseDisplay...)
	}
	_, err := f.out.Write(picture)
	return err
}

// isTerminal reports whether a person may be looking.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
