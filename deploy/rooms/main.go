// Command rooms prints how large each package of a module is, and how much its files hang on each other:
// lines and files without tests, arrows, and those that run up. An arrow: a file uses a name that another file
// of its package declares (a function, type, variable, constant, method or field). Up: against the order of the
// files in which the fewest do, so only what lies on a circle.
//
//	rooms [-all] [directory of a module]
package main

import (
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
)

func main() {
	all := flag.Bool("all", false, "name the arrows that run up")
	flag.Parse()
	dir := "."
	if flag.NArg() > 0 {
		dir = flag.Arg(0)
	}
	if err := run(dir, *all); err != nil {
		fmt.Fprintln(os.Stderr, "rooms:", err)
		os.Exit(1)
	}
}

func run(dir string, all bool) error {
	rooms, err := load(dir)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "lines\tfiles\tarrows\tup\t  package")
	var total room
	up := 0
	for _, r := range rooms {
		back := r.up()
		fmt.Fprintf(out, "%d\t%d\t%d\t%d\t  %s\n", r.lines, len(r.files), len(r.arrows), len(back), r.name)
		if all {
			for _, a := range back {
				fmt.Fprintf(out, "\t\t\t\t    %s\n", a)
			}
		}
		total.lines += r.lines
		total.files = append(total.files, r.files...)
		total.arrows = append(total.arrows, r.arrows...)
		up += len(back)
	}
	fmt.Fprintf(out, "%d\t%d\t%d\t%d\t  in all\n", total.lines, len(total.files), len(total.arrows), up)
	return out.Flush()
}
