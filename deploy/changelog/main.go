// Command changelog assembles CHANGELOG.md from the entries in changelog/, a directory for each release and a file for each
// entry. What is not released is read, checked and left out, so that branches with entries of their own never conflict:
//
//	go run ./deploy/changelog >CHANGELOG.md
//	go run ./deploy/changelog -unreleased
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	pending := flag.Bool("unreleased", false, "print what is not released instead")
	flag.Parse()
	if err := run(os.Stdout, "changelog", *pending); err != nil {
		fmt.Fprintln(os.Stderr, "changelog:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, dir string, pending bool) error {
	releases, err := read(dir)
	if err != nil {
		return err
	}
	if !pending {
		const head = "# Changelog\n\nAssembled by `make changelog` from the files in [changelog/](changelog/README.md): change those. " +
			"What is not released yet is in\n[changelog/unreleased](changelog/unreleased).\n"
		if _, err := io.WriteString(w, head); err != nil {
			return err
		}
	}
	for _, r := range releases {
		if (r.date == "") != pending {
			continue
		}
		if _, err := io.WriteString(w, r.markdown()); err != nil {
			return err
		}
	}
	return nil
}
