// Command budgets prints, for each budget of the project, what the last measurements in
// bench/results say of it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	dir := flag.String("results", "bench/results", "where the figures are kept")
	readme := flag.Bool("readme", false, "print the table of figures in README.md")
	flag.Parse()
	if err := run(*dir, *readme); err != nil {
		fmt.Fprintln(os.Stderr, "budgets:", err)
		os.Exit(1)
	}
}

func run(dir string, readme bool) error {
	r, err := read(dir)
	if err != nil {
		return err
	}
	if readme {
		_, err := fmt.Print(readmeTable(r))
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tmeasured\tbudget\t")
	for _, b := range budgets {
		value, ok := b.value(r)
		measured, verdict := fmt.Sprintf("%.3g %s", value, b.unit), "holds"
		switch {
		case !ok:
			measured, verdict = "-", "not measured"
		case value > b.most:
			verdict = "MISSED"
		}
		fmt.Fprintf(t, "%s\t%s\t≤ %g %s\t%s\n", b.what, measured, b.most, b.unit, verdict)
	}
	return t.Flush()
}

// budget is the most that something may take.
type budget struct {
	what  string
	most  float64
	unit  string
	value func(results) (value float64, measured bool)
}

var budgets = []budget{
	{"CPU of 16 cameras, to ffmpeg", 0.5, "×", func(r results) (float64, bool) { return r.cpu(16, "ffmpeg") }},
	{"CPU of 1 camera, to the floor", 1, "×", func(r results) (float64, bool) { return r.cpu(1, "floor") }},
	{"CPU of 16 cameras, to the floor", 0.45, "×", func(r results) (float64, bool) { return r.cpu(16, "floor") }},
	{"CPU of 64 cameras, to the floor", 0.22, "×", func(r results) (float64, bool) { return r.cpu(64, "floor") }},
	{"CPU of 16 cameras over UDP, to TCP", 1.5, "×", func(r results) (float64, bool) { return r.ratio(16, "udp", "agent") }},
	{"CPU of 16 cameras over TLS, to TCP", 1.5, "×", func(r results) (float64, bool) { return r.ratio(16, "rtsps", "agent") }},
	{"resident memory with 16 cameras", 30, "MB", func(r results) (float64, bool) { return r.memory(16) }},
	{"resident memory with 64 cameras", 55, "MB", func(r results) (float64, bool) { return r.memory(64) }},
	{"resident memory of each further camera", 1, "MB", func(r results) (float64, bool) {
		few, ok := r.recording[subject{16, "agent"}]
		many, also := r.recording[subject{64, "agent"}]
		return (many.RSS - few.RSS) / 1e6 / (64 - 16), ok && also
	}},
	{"frames missing of 64 cameras", 0, "", func(r results) (float64, bool) {
		f, ok := r.recording[subject{64, "agent"}]
		return f.Missing, ok && f.Frames > 0
	}},
	{"allocations for each RTP packet, less than a hundredth", 0.01, "",
		func(r results) (float64, bool) { return r.allocations, r.allocationsKnown }},
	{"bytes written per byte of media", 1.02, "", func(r results) (float64, bool) {
		f, ok := r.recording[subject{16, "agent"}]
		return f.Written / f.Media, ok && f.Media > 0
	}},
	{"CPU of a GB uploaded, to curl -T", 0.9, "×", func(r results) (float64, bool) {
		v, ok := r.upload["ours to curl without a limit"]
		return v, ok
	}},
	{"rate of 16 curl, to 16 streams with fragments of several GOPs", 1.11, "×", func(r results) (float64, bool) {
		v, ok := r.upload["16 streams to as many curl"]
		return 1 / v, ok
	}},
	{"CPU of a GB without its G.711, to the same whole", 1.3, "×", func(r results) (float64, bool) {
		v, ok := r.upload["G.711 left out to whole, 1 Mbit/s"]
		return v, ok
	}},
	{"start to the first frame, 138,000 segments", 1.5, "s", func(r results) (float64, bool) {
		return r.firstFrame / 1e3, r.firstFrame > 0
	}},
	{"resident memory of the idle agent", 20, "MB", func(r results) (float64, bool) { return r.idle.RSS / 1e6, r.idle.Seconds > 0 }},
	{"CPU of the idle agent, less than a tenth of a percent", 0.0999, "%", func(r results) (float64, bool) {
		return r.idle.percent(), r.idle.Seconds > 0
	}},
	{"size of the program", 32, "MB", func(r results) (float64, bool) { return r.idle.Program / 1e6, r.idle.Program > 0 }},
}

// results are the last figures of each kind.
type results struct {
	recording  map[subject]recording
	upload     map[string]float64
	firstFrame float64 // ms
	idle       idle

	allocations      float64
	allocationsKnown bool
}

type subject struct {
	cameras int
	name    string
}

type recording struct {
	Subject string  `json:"subject"`
	Cameras int     `json:"cameras"`
	Seconds float64 `json:"seconds"`
	User    float64 `json:"cpu_user_s"`
	System  float64 `json:"cpu_system_s"`
	RSS     float64 `json:"rss_bytes"`
	Written float64 `json:"written_bytes"`
	Media   float64 `json:"media_bytes"`
	Frames  float64 `json:"frames"`
	Missing float64 `json:"missing"`
}

type idle struct {
	Seconds float64 `json:"seconds"`
	User    float64 `json:"cpu_user_s"`
	System  float64 `json:"cpu_system_s"`
	RSS     float64 `json:"rss_bytes"`
	Program float64 `json:"program_bytes"`
}

// cpu is what the agent took, as a multiple of what another took.
func (r results) cpu(cameras int, other string) (float64, bool) {
	return r.ratio(cameras, "agent", other)
}

// ratio is what one took of the processor, as a multiple of what another took.
func (r results) ratio(cameras int, one, other string) (float64, bool) {
	a, ok := r.recording[subject{cameras, one}]
	b, also := r.recording[subject{cameras, other}]
	return a.percent() / b.percent(), ok && also
}

// memory is what the agent has in memory, in MB.
func (r results) memory(cameras int) (float64, bool) {
	f, ok := r.recording[subject{cameras, "agent"}]
	return f.RSS / 1e6, ok
}

func read(dir string) (r results, err error) {
	if log, err := os.ReadFile(filepath.Join(dir, "allocations.txt")); err == nil {
		if found := allocationsLine.FindSubmatch(log); found != nil {
			r.allocations, err = strconv.ParseFloat(string(found[1]), 64)
			r.allocationsKnown = err == nil
		}
	}
	r.recording, r.upload = make(map[subject]recording), make(map[string]float64)
	return r, errors.Join(
		each(filepath.Join(dir, "recording.jsonl"), func(f recording) { r.recording[subject{f.Cameras, f.Subject}] = f }),
		each(filepath.Join(dir, "upload.jsonl"), func(f struct {
			What  string  `json:"what"`
			Value float64 `json:"value"`
		}) {
			r.upload[f.What] = f.Value
		}),
		each(filepath.Join(dir, "startup.jsonl"), func(f struct {
			Milliseconds float64 `json:"first_frame_ms"`
		}) {
			r.firstFrame = f.Milliseconds
		}),
		each(filepath.Join(dir, "idle.jsonl"), func(f idle) { r.idle = f }),
	)
}

// allocationsLine is what the recorder's test logs.
var allocationsLine = regexp.MustCompile(`([0-9.]+) allocations and`)

// each reads a file of JSON lines; one that is missing is empty.
func each[T any](path string, take func(T)) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		var value T
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		take(value)
	}
	return nil
}
