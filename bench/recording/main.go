// Command recording measures what recording N cameras costs: our agent (over TCP, UDP and TLS, and beside
// another binary of it), ffmpeg with one process per camera, GStreamer's splitmuxsink in one process, and a floor that only
// copies the same bytes from sockets to files. All read from a camera server in a process of its own, one after the
// other in the same run and in as many rounds as wanted, so that their ratios mean something on a shared machine.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/keep"
	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
)

// figures is what a subject took in the measured time, all its processes together.
type figures struct {
	Subject string  `json:"subject"`
	Cameras int     `json:"cameras"`
	Seconds float64 `json:"seconds"`
	proc.Figures
	SyncsPerMinute float64 `json:"syncs_per_minute"`
	MediaBytes     int64   `json:"media_bytes"` // what the files grew by
	// Of the agents alone: what their files hold, and what is missing between their first and last frames.
	Frames  int64 `json:"frames,omitempty"`
	Missing int64 `json:"missing"`
}

// options of a run.
type options struct {
	agent    string
	beside   string
	cameras  int
	bitrate  int
	measure  time.Duration
	warmUp   time.Duration
	trace    time.Duration
	subjects string
	rounds   int
	dir      string
	out      string
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "serve":
			serve(os.Args[2:])
			return
		case "floor":
			floor(os.Args[2], os.Args[3:])
			return
		}
	}
	var o options
	flag.StringVar(&o.agent, "agent", "bin/kvs-edge-agent", "our binary")
	flag.StringVar(&o.beside, "beside", "", "another binary of the agent, which the subject beside is")
	flag.IntVar(&o.cameras, "cameras", 16, "number of cameras")
	flag.IntVar(&o.bitrate, "bitrate", 4_000_000, "bits per second of each camera")
	flag.DurationVar(&o.measure, "measure", time.Minute, "how long each subject is measured")
	flag.DurationVar(&o.warmUp, "warm-up", 10*time.Second, "how long each subject runs before")
	flag.DurationVar(&o.trace, "trace", 10*time.Second, "how long calls of sync are counted afterwards; 0 leaves it out")
	flag.StringVar(&o.subjects, "subjects", "agent,ffmpeg,gstreamer,floor,udp,rtsps,srtp", "what is measured, in this order; also: beside")
	flag.IntVar(&o.rounds, "rounds", 1, "how often all of them are measured; the figures are their sums")
	flag.StringVar(&o.dir, "dir", "", "where media is written (default: a new temporary directory)")
	flag.StringVar(&o.out, "out", "", "append the figures as JSON lines to this file")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
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
	names := strings.Split(o.subjects, ",")
	urls := make(map[kind][]string)
	for _, name := range names {
		s, ok := subjects[name]
		if !ok {
			return fmt.Errorf("there is no subject %q", name)
		}
		if urls[s.from] == nil {
			list, stop, err := startServer(o, s.from)
			if err != nil {
				return err
			}
			defer stop()
			urls[s.from] = list
		}
	}
	results := make([]figures, len(names))
	for round := range o.rounds {
		for i, name := range names {
			s := subjects[name]
			f, err := measure(o, name, s, urls[s.from])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			results[i] = results[i].and(f)
			fmt.Fprintf(os.Stderr, "round %d: %s took %.2f s of CPU a minute\n", round+1, name, f.CPU()/f.Seconds*60)
		}
	}
	if err := keep.Append(o.out, results); err != nil {
		return err
	}
	return print(o, results)
}

// and is what a subject took in all of its rounds; the memory is the most of them.
func (f figures) and(next figures) figures {
	if f.Seconds == 0 {
		return next
	}
	f.Seconds += next.Seconds
	f.Figures = f.Figures.And(next.Figures)
	f.SyncsPerMinute = max(f.SyncsPerMinute, next.SyncsPerMinute)
	f.MediaBytes += next.MediaBytes
	f.Frames += next.Frames
	f.Missing += next.Missing
	return f
}

// startServer runs cameras in a process of their own.
func startServer(o options, of kind) (urls []string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, "serve", fmt.Sprint(o.cameras), fmt.Sprint(o.bitrate))
	if of != plain {
		cmd.Args = append(cmd.Args, string(of), o.certificate(of))
	}
	return proc.Cameras(cmd, o.cameras)
}

// measure runs one subject and reads from /proc what it took.
func measure(o options, name string, s subject, urls []string) (figures, error) {
	dir := filepath.Join(o.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return figures{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	commands, err := s.start(o, dir, urls)
	if err != nil {
		return figures{}, err
	}
	stop := sync.OnceFunc(func() { proc.End(commands) })
	defer stop()
	start := (*exec.Cmd).Start
	if s.ours {
		start = proc.StartAsService
	}
	for _, c := range commands {
		if err := start(c); err != nil {
			return figures{}, err
		}
	}
	<-time.After(o.warmUp)
	before, err := proc.ReadAll(commands)
	if err != nil {
		return figures{}, err
	}
	mediaBefore := bytesUnder(dir)
	began := time.Now()
	<-time.After(o.measure)
	after, err := proc.ReadAll(commands)
	if err != nil {
		return figures{}, err
	}
	f := figures{Subject: name, Cameras: o.cameras, Seconds: time.Since(began).Seconds(), Figures: after.Since(before)}
	f.MediaBytes = bytesUnder(dir) - mediaBefore
	if o.trace > 0 {
		syncs, err := proc.Syncs(commands, o.trace)
		if err != nil {
			return figures{}, err
		}
		f.SyncsPerMinute = float64(syncs) / o.trace.Minutes()
	}
	stop()
	if s.ours {
		if f.Frames, f.Missing, err = countFrames(dir); err != nil {
			return figures{}, err
		}
	}
	return f, nil
}

func bytesUnder(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

func print(o options, results []figures) error {
	ratio := func(f figures, to string) string {
		for _, r := range results {
			if r.Subject == to && r.CPU() > 0 {
				return fmt.Sprintf("%.2f", f.CPU()/r.CPU())
			}
		}
		return "-"
	}
	fmt.Printf("%d cameras, 1080p25, %.1f Mbit/s each; per minute of recording\n", o.cameras, float64(o.bitrate)/1e6)
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "subject\tCPU s\tuser\tsystem\tRSS MB\tpeak MB\tswitches\twrites\tsyncs\twritten/media\tto ffmpeg\tto floor\t")
	for _, f := range results {
		minutes := f.Seconds / 60
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t%.3f\t%s\t%s\t\n",
			f.Subject, f.CPU()/minutes, f.User/minutes, f.System/minutes, float64(f.RSS)/1e6, float64(f.PeakRSS)/1e6,
			float64(f.Switches)/minutes, float64(f.Writes)/minutes, f.SyncsPerMinute, float64(f.WrittenBytes)/float64(max(f.MediaBytes, 1)),
			ratio(f, "ffmpeg"), ratio(f, "floor"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range results {
		if f.Frames > 0 {
			fmt.Printf("the files of %s hold %d frames; %d are missing between the first and the last of each camera\n", f.Subject, f.Frames,
				f.Missing)
		}
	}
	return nil
}
