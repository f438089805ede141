package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// judged are the samples after the warm-up.
func (s *soak) judged() []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.samples {
		if one.Seconds >= s.o.warmUp.Seconds() {
			return append([]sample(nil), s.samples[i:]...)
		}
	}
	return nil
}

// keepLine appends a line of JSON to the file of the run.
func (s *soak) keepLine(line any) error {
	if s.o.out == "" {
		return nil
	}
	f, err := os.OpenFile(s.o.out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(f).Encode(line); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// printTable prints how the agent is doing, with the trend so far.
func (s *soak) printTable(at time.Duration) {
	s.mu.Lock()
	all := append([]sample(nil), s.samples...)
	last := s.last
	s.mu.Unlock()
	if len(all) == 0 {
		return
	}
	now := all[len(all)-1]
	fmt.Fprintf(s.out, "\n%s after %s\n", time.Now().UTC().Format(time.DateTime), at.Round(time.Second))
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tnow\tmedian\tmost\ttrend an hour\t")
	judged := s.judged()
	since := "the warm-up"
	if len(judged) < 8 {
		judged, since = all, "the start, as it warms up"
	}
	for _, t := range traits {
		j := t.judge(judged)
		most := max(j.Maxima[0], j.Maxima[1], j.Maxima[2], j.Maxima[3])
		fmt.Fprintf(table, "%s %s\t%.1f\t%.1f\t%.1f\t%+.2f\t\n",
			t.name, t.unit, t.of(now)/t.scale, j.Median/t.scale, most/t.scale, j.PerHour/t.scale)
	}
	_ = table.Flush()
	first := all[max(0, len(all)-1-int(s.o.table/s.o.every))]
	cpu := 0.0
	if now.Seconds > first.Seconds {
		cpu = 100 * (now.CPU - first.CPU) / (now.Seconds - first.Seconds)
	}
	sent, cloud := 0, 0
	for _, c := range s.cameras {
		for _, session := range c.Sessions() {
			sent += session.Frames
		}
		cloud += len(c.media.seen)
	}
	fmt.Fprintf(s.out, "since %s; %.1f %% of a CPU; %d frames sent, %d in the cloud, %d reported lost; %d conditions\n",
		since, cpu, sent, cloud, last.lost, len(last.conditions))
}

// printDeeds prints what was done how often.
func (s *soak) printDeeds() {
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what happened\ttimes\tfailed\tthe last failure")
	for _, d := range s.deeds {
		done, failed, text := d.figures()
		const most = 150
		fmt.Fprintf(table, "%s\t%d\t%d\t%.*s\n", d.name, done, failed, most, text)
		if done > 4 && failed == done {
			s.found("%s never succeeded: %s", d.name, text)
		}
	}
	_ = table.Flush()
}

// verdict judges the run, and prints why.
func (s *soak) verdict() (good bool) {
	fmt.Fprintln(s.out, "\n=== the verdict ===")
	s.printDeeds()
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\nstream\tsessions\tsent\tin the cloud\tcut\tdeleted\tmissing\treported lost\ttwice\tfaults\t")
	var tallies []tally
	for _, c := range s.cameras {
		t := s.compare(c)
		tallies = append(tallies, t)
		missing := fmt.Sprint(t.Missing)
		if c.partly {
			missing = "on request"
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t\n",
			t.Stream, t.Sessions, t.Sent, t.InCloud, t.Cut, t.Deleted, missing, t.Lost, t.Repeated, t.Faults)
		if t.Wrong != "" {
			s.found("stream %s: %s", t.Stream, t.Wrong)
		}
	}
	_ = table.Flush()
	judgements := s.judgeAll()
	if s.last.deletedEarly > 0 {
		s.found("%d bytes were deleted before they were uploaded", s.last.deletedEarly)
	}
	s.mu.Lock()
	findings := append([]string{}, s.findings...)
	s.mu.Unlock()
	good = len(findings) == 0
	for _, text := range findings {
		fmt.Fprintln(s.out, "FOUND:", text)
	}
	switch {
	case !good:
		fmt.Fprintln(s.out, "The verdict is: failed.")
	case len(s.unjudged()) == 0:
		fmt.Fprintln(s.out, "The verdict is: what the agent takes stays flat, and the cloud has what the cameras sent.")
	default:
		fmt.Fprintf(s.out, "The verdict is: the cloud has what the cameras sent. The time was too short to see whether these stay flat: %s.\n",
			strings.Join(s.unjudged(), ", "))
	}
	_ = s.keepLine(map[string]any{"verdict": good, "seed": s.o.seed, "findings": findings, "streams": tallies, "traits": judgements})
	return good
}

// The time in which it can be seen whether something grows, by all samples, and by rests.
const leastJudged, leastOfRests = 20 * time.Minute, time.Hour

// canJudge says whether the run was long enough to see whether a trait grows.
func (s *soak) canJudge(t trait) bool {
	least := leastJudged
	if t.rests {
		least = leastOfRests
	}
	return s.o.length-s.o.warmUp >= least
}

// unjudged are the traits that should be flat, and about which a run of this length says nothing.
func (s *soak) unjudged() (names []string) {
	for _, t := range traits {
		if !t.free && !s.canJudge(t) {
			names = append(names, t.name)
		}
	}
	return names
}

// judgeAll prints the table of all traits.
func (s *soak) judgeAll() (all []judgement) {
	samples := s.judged()
	fmt.Fprintf(s.out, "\nafter the warm-up of %s, %d samples; memory, goroutines, descriptors and threads are compared in %d rests\n",
		s.o.warmUp, len(samples), restsIn(samples))
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tmedian\tgrowth\tmost in the quarters\t\t\t\tflat\t")
	for _, t := range traits {
		j := t.judge(samples)
		all = append(all, j)
		flat := "yes"
		switch {
		case t.free || !s.canJudge(t):
			flat = "not judged"
		case j.Wrong != "":
			flat = "NO"
			s.found("%s: %s", t.name, j.Wrong)
		}
		fmt.Fprintf(table, "%s %s\t%.1f\t%+.2f\t", t.name, t.unit, j.Median/t.scale, j.Growth/t.scale)
		for _, m := range j.Maxima {
			fmt.Fprintf(table, "%.1f\t", m/t.scale)
		}
		fmt.Fprintf(table, "%s\t\n", flat)
	}
	_ = table.Flush()
	return all
}
