// Command testing writes what is generated in docs/testing.md and docs/track-record.md: the numbers, from the sources and from
// the rows of the page.
//
//	testing [-root DIRECTORY]
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/deploy/testing/figures"
)

func main() {
	root := flag.String("root", ".", "the `directory` of the module")
	flag.Parse()
	if err := write(*root); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(root string) error {
	s, err := figures.Read(root)
	if err != nil {
		return err
	}
	if err := fill(filepath.Join(root, "docs", "testing.md"), func(string) (string, error) { return s.Table(), nil }); err != nil {
		return err
	}
	return fill(filepath.Join(root, "docs", "track-record.md"), func(page string) (string, error) {
		bugs, faults := s.Record(page)
		if len(faults) > 0 {
			return "", fmt.Errorf("%d rows cannot be read; the first: %s", len(faults), faults[0])
		}
		return figures.Counts(bugs), nil
	})
}

// fill replaces the generated part of a page.
func fill(path string, generate func(page string) (string, error)) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	generated, err := generate(string(page))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	text, err := figures.Fill(string(page), generated)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
