package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// terminal is what is known of a command's output. The zero value is not a terminal.
type terminal struct {
	present       bool
	width, height int  // 0 when not known
	color         bool // it shows colours, and the user wants them
}

// terminalOf returns what is known of a writer.
func terminalOf(w io.Writer) terminal {
	file, ok := w.(*os.File)
	if !ok {
		return terminal{}
	}
	fd := int(file.Fd())
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil || os.Getenv("TERM") == "dumb" {
		return terminal{}
	}
	t := terminal{present: true, color: os.Getenv("NO_COLOR") == ""} // no-color.org
	if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
		t.width, t.height = int(size.Col), int(size.Row)
	}
	return t
}
