package status

import (
	"bytes"
	"fmt"
	"io"
)

// WriteTable writes the snapshot as a person likes to read it: a line for the agent, a row for
// each stream, and below them one sentence for everything that wants attention.
func WriteTable(w io.Writer, s Snapshot) error { return View{}.Write(w, s) }

// Write writes the snapshot. Where not all fits, what is wrong comes first and the rest is counted.
func (v View) Write(w io.Writer, s Snapshot) error {
	if v.Width > 0 {
		v.Width = max(v.Width, leastWidth)
	}
	if v.Height > 0 {
		v.Height = max(v.Height, leastHeight)
	}
	var b bytes.Buffer
	if v.Height > 0 {
		v.writeFitted(&b, s)
	} else {
		v.writeWhole(&b, s)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (v View) writeWhole(b *bytes.Buffer, s Snapshot) {
	for _, line := range v.head(s) {
		fmt.Fprintln(b, line)
	}
	fmt.Fprintln(b)
	if len(s.Streams) == 0 && len(s.Orphans) == 0 {
		b.WriteString("No stream is configured for this hub yet.\n")
	}
	for _, line := range v.rows(s, s.Streams) {
		fmt.Fprintln(b, line)
	}
	for i, sentence := range sentences(s) {
		if i == 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintln(b, v.paint(sentence.severity, sentence.text))
	}
}
