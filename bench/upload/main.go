// Command upload measures uploading: how near a hub with a backlog comes to the rate that the
// service allows (also with a day's backlog, which takes half an hour), what a gigabyte costs beside
// `curl -T` of the same files over TLS, what it costs to leave a track out, what memory each further stream
// takes, how long a live frame takes from the camera to the acknowledgement, and how long an event takes on a thin line. The service
// is the local cloud with its limits, in this process; what is measured runs in processes of its own, in one run.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/keep"
)

// options of a run.
type options struct {
	agent     string
	beside    string
	parts     string
	streams   int
	fragments int
	size      int
	day       time.Duration
	length    time.Duration
	waiting   time.Duration
	megabytes int
	cameras   int
	measure   time.Duration
	events    int
	live      int
	behind    time.Duration
	dir       string
	out       string
}

// figure is one line of the result.
type figure struct {
	Part   string  `json:"part"`
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Beside string  `json:"beside,omitempty"` // what it is to be compared with
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "drain" {
		if err := drain(os.Args[2], os.Args[3], os.Args[4:]); err != nil {
			fmt.Fprintln(os.Stderr, "upload:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		if err := bare(os.Args[2], costFragment, os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, "upload:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.agent, "agent", "bin/kvs-edge-agent", "our binary, for the live part")
	flag.StringVar(&o.beside, "beside", "", "live: another binary of the agent, measured in turns with the first")
	flag.StringVar(&o.parts, "parts", "rate,long,cost,filter,memory,live,events", "what is measured, in this order; also: day")
	flag.IntVar(&o.streams, "streams", 16, "rate, day: number of streams with a backlog")
	flag.IntVar(&o.fragments, "fragments", 150, "rate: fragments of each")
	flag.IntVar(&o.size, "size", 100_000, "rate: bytes of a fragment; above 2500000 they bound the rate")
	flag.DurationVar(&o.day, "day", 24*time.Hour, "day: how much media waits for its upload")
	flag.DurationVar(&o.length, "length", 10*time.Second, "day: length of a fragment")
	flag.DurationVar(&o.waiting, "waiting", 30*time.Minute, "long: how much media of one stream waits; of each of several: a fifth of it")
	flag.IntVar(&o.megabytes, "megabytes", 1000, "cost: how much is sent; filter: a quarter of it")
	flag.IntVar(&o.cameras, "cameras", 4, "live: number of cameras")
	flag.DurationVar(&o.measure, "measure", 30*time.Second, "live: how long")
	flag.IntVar(&o.events, "events", 48, "events: how many")
	flag.IntVar(&o.live, "live", 0, "events: how many of the other streams are live")
	flag.DurationVar(&o.behind, "behind", 24*time.Hour, "events: how much media of one stream waits for its upload")
	flag.StringVar(&o.dir, "dir", "", "where media is written (default: a new temporary directory)")
	flag.StringVar(&o.out, "out", "", "append the figures as JSON lines to this file")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "upload:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	dir, remove, err := keep.Directory(o.dir)
	if err != nil {
		return err
	}
	defer remove()
	o.dir = dir
	parts := map[string]func(options) ([]figure, error){
		"rate": rate, "long": long, "day": day, "cost": cost, "filter": filter, "memory": memory, "live": live, "events": events,
	}
	var all []figure
	for _, name := range strings.Split(o.parts, ",") {
		part, ok := parts[name]
		if !ok {
			return fmt.Errorf("there is no part %q", name)
		}
		one := o
		one.dir = filepath.Join(o.dir, name)
		figures, err := part(one)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		_ = os.RemoveAll(one.dir)
		for i := range figures {
			figures[i].Part = name
		}
		all = append(all, figures...)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range all {
		fmt.Fprintf(t, "%s\t%s\t%.3f %s\t%s\n", f.Part, f.What, f.Value, f.Unit, f.Beside)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return keep.Append(o.out, all)
}
