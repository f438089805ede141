// Command changelog assembles CHANGELOG.md from the entries in changelog/, a directory for each release and a file for each
// entry, so that two branches never change the same line:
//
//	go run ./deploy/changelog >CHANGELOG.md
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Stdout, "changelog"); err != nil {
		fmt.Fprintln(os.Stderr, "changelog:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, dir string) error {
	releases, err := read(dir)
	if err != nil {
		return err
	}
	return write(w, releases)
}

// write writes the whole changelog in Markdown.
func write(w io.Writer, releases []release) error {
	const head = "# Changelog\n\nAssembled by `make changelog` from the files in [changelog/](changelog/README.md): change those.\n"
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	for _, r := range releases {
		if _, err := io.WriteString(w, r.markdown()); err != nil {
			return err
		}
	}
	return nil
}
