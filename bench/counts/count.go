package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	mostSpread = 0.005 // of runs of the same program
	mostChange = 0.03  // to the figure that is kept
)

// environment makes what is counted depend on the film alone: one processor, no collection of memory, no preemption. Of the features of
// processors, valgrind claims to have rdtscp where it does not, and erms decides how memory is copied, which others need not
// have.
var environment = []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1,cpu.rdtscp=off,cpu.erms=off"}

// counted is a figure: instructions per byte, the median of some runs.
type counted struct {
	value  float64
	spread float64 // of the runs, as a part of the value
}

// count counts a subject several times.
func count(o options, s subject) (c counted, err error) {
	var values []float64
	rounds := cmp.Or(o.rounds, s.rounds)
	for range max(o.runs, 1) {
		few, fewBytes, err := instructions(o, s, 1)
		if err != nil {
			return c, err
		}
		many, manyBytes, err := instructions(o, s, 1+rounds)
		if err != nil {
			return c, err
		}
		values = append(values, float64(many-few)/float64(manyBytes-fewBytes))
	}
	slices.Sort(values)
	c.value = values[len(values)/2]
	c.spread = (values[len(values)-1] - values[0]) / c.value
	return c, nil
}

// steady returns an error if the runs differ by more than they may.
func (c counted) steady(s subject) error {
	if c.spread <= mostSpread {
		return nil
	}
	return fmt.Errorf("%s: runs of the same program differ by %.2f %%, at most %.1f %%: it does something that is not the same each time",
		s.name, 100*c.spread, 100*mostSpread)
}

// against compares with the figure that is kept.
func (c counted) against(s subject, kept float64) error {
	if err := c.steady(s); err != nil {
		return err
	}
	switch change := c.value/kept - 1; {
	case change > mostChange:
		return fmt.Errorf("%s takes %.4f instructions per byte, %.1f %% more than the %.4f that are kept: find out why, or keep the new "+
			"figure with `make bench-counts-keep` and say in the commit what it is for", s.name, c.value, 100*change, kept)
	case change < -mostChange:
		return fmt.Errorf("%s takes %.4f instructions per byte, %.1f %% less than the %.4f that are kept: keep the new figure with "+
			"`make bench-counts-keep`, so that it is not lost again", s.name, c.value, -100*change, kept)
	}
	return nil
}

// collected is how valgrind's tool reports the instructions of a whole run.
var collected = regexp.MustCompile(`(?m)^==\d+== Collected : (\d+)`)

// instructions runs a subject under valgrind, and returns how many instructions and bytes that were.
func instructions(o options, s subject, rounds int) (n, handled int64, err error) {
	cmd := exec.Command("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
		o.harness, "-film", o.film, "feed", s.name, strconv.Itoa(rounds))
	cmd.Env = append(os.Environ(), environment...)
	var out, report bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &report
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("valgrind: %w: %s", err, report.String())
	}
	found := collected.FindSubmatch(report.Bytes())
	if found == nil {
		return 0, 0, fmt.Errorf("valgrind says no count of instructions: %s", report.String())
	}
	if n, err = strconv.ParseInt(string(found[1]), 10, 64); err != nil {
		return 0, 0, err
	}
	handled, err = strconv.ParseInt(strings.TrimSpace(out.String()), 10, 64)
	return n, handled, err
}
