// Command testing writes what is generated in docs/testing.md and docs/track-record.md: the numbers, from the sources and from
// the rows of the page. Or it lists the fuzz targets with their inputs.
//
//	testing [-root DIRECTORY] [-fuzz]
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
	fuzz := flag.Bool("fuzz", false, "list the fuzz targets instead, with the inputs in files and the calls of Add in their code")
	flag.Parse()
	do := write
	if *fuzz {
		do = list
	}
	if err := do(*root); err != nil {
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

// list prints the fuzz targets.
func list(root string) error {
	s, err := figures.Read(root)
	for _, t := range s.Targets {
		fmt.Printf("%-50s %3d in files %3d in the code\n", t.Dir+"."+t.Name, t.Kept, t.Added)
	}
	return err
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
