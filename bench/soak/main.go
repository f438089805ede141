// Command soak lets one agent live through everything at once, for hours: cameras that fail, a cloud and a line that fail, storms of
// configurations, deletions, exports, viewers, events, holds, audits. It samples what the agent takes, and judges at the end whether that
// stays flat and whether the cloud has what the cameras sent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/keep"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
)

// options of a run.
type options struct {
	agent  string        // our binary
	dir    string        // where everything lies; empty = a new temporary directory
	out    string        // file that gets the samples as JSON lines; empty = none
	length time.Duration // how long everything happens at once
	warmUp time.Duration // after which the agent is to be flat; 0 = half of the length, at most 75 minutes
	every  time.Duration // between two samples
	table  time.Duration // between two tables
	round  time.Duration // how long everything happens between two rests
	seed   uint64        // of what happens when; 0 = by the clock
	// haste divides the pauses and lengths of all that happens, for short runs.
	haste float64
}

// errVerdict is the error of a run that found something.
var errVerdict = errors.New("the verdict is: failed")

func main() {
	var o options
	flag.StringVar(&o.agent, "agent", "bin/kvs-edge-agent", "our binary")
	flag.StringVar(&o.dir, "dir", "", "where media and logs are written (default: a new temporary directory, removed after a good verdict)")
	flag.StringVar(&o.out, "out", "", "write the samples and the verdict as JSON lines to this file")
	flag.DurationVar(&o.length, "for", 8*time.Hour, "how long everything happens at once")
	flag.DurationVar(&o.warmUp, "warm-up", 0, "from when on the agent has to be flat (default: half of the time, at most 75 minutes)")
	flag.DurationVar(&o.every, "sample", 10*time.Second, "time between two samples")
	flag.DurationVar(&o.table, "table", 10*time.Minute, "time between two tables")
	flag.DurationVar(&o.round, "round", 10*time.Minute, "how long everything happens between two rests")
	flag.Uint64Var(&o.seed, "seed", 0, "of what happens when (default: by the clock)")
	flag.Float64Var(&o.haste, "haste", 1, "divides the pauses and lengths of all that happens, for short runs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run is a whole soak; its error is errVerdict for what the agent did wrong.
func run(ctx context.Context, o options, out printer) (err error) {
	if o.warmUp == 0 {
		o.warmUp = min(o.length/2, 75*time.Minute)
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	dir, remove, err := keep.Directory(o.dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "A soak of %s, of which %s to warm up, with seed %d, in %s.\n", o.length, o.warmUp, o.seed, dir)
	s, err := start(ctx, o, dir)
	if err != nil {
		return err
	}
	defer s.close()
	s.out = out
	s.await(ctx, "the first answer of the agent", s.lookAtStatus)
	if err := s.configureAll(ctx); err != nil {
		return err
	}
	s.live(ctx)
	s.settle(ctx)
	good := s.verdict()
	s.close()
	if !good || ctx.Err() != nil {
		fmt.Fprintf(out, "Everything is kept in %s.\n", dir)
		return errVerdict
	}
	remove()
	return nil
}

// live has everything happen at once for the length of the run, in rounds with rests between them, while samples are taken.
func (s *soak) live(ctx context.Context) {
	s.began = time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.o.length)
	defer cancel()
	for s.round(ctx); ctx.Err() == nil && !s.ended(); s.round(ctx) {
		s.rest(ctx)
		s.reopenWindows(ctx)
	}
	if s.ended() {
		s.found("the agent ended by itself")
	}
}

// round has everything happen at once, for a while.
func (s *soak) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.short(s.o.round))
	defer cancel()
	var all sync.WaitGroup
	for _, d := range s.deeds {
		all.Go(func() { s.repeat(ctx, d) })
	}
	s.watch(ctx, 0)
	all.Wait()
}

// watch samples the agent, in a rest unless that is 0, and prints a table from time to time, until ctx ends or the agent does.
func (s *soak) watch(ctx context.Context, rest int) {
	for backoff.Sleep(ctx, s.o.every) == nil && !s.ended() {
		s.sample(ctx, rest)
		if at := time.Since(s.began); at >= s.nextTable {
			s.nextTable = at.Truncate(s.o.table) + s.o.table
			s.countMedia()
			s.printTable(at)
		}
	}
}

// settle ends all faults, waits until the agent has nothing to complain of and nothing left to upload, and stops it.
func (s *soak) settle(ctx context.Context) {
	if s.ended() || ctx.Err() != nil {
		return
	}
	s.rest(ctx)
	for _, c := range s.cameras {
		c.Unplug()
	}
	s.await(ctx, "the end of the recordings", s.noneRecorded)
	s.await(ctx, "the upload of everything", s.allUploaded)
	if err := s.stopAgent(); err != nil {
		s.found("%v", err)
	}
	s.countMedia()
}

// await waits until done returns nil, or ctx ends; what it says at last, in time, is a finding.
func (s *soak) await(ctx context.Context, what string, done func(context.Context) error) {
	const patience, poll = 12 * time.Minute, 500 * time.Millisecond
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := done(waiting)
		if err == nil {
			return
		}
		if backoff.Sleep(waiting, poll) != nil {
			if ctx.Err() == nil {
				s.found("%s did not come within %s: %v", what, patience, err)
			}
			return
		}
	}
}

// path of something in the directory of the run.
func (s *soak) path(name string) string { return filepath.Join(s.dir, name) }
