package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// The variables of `make simulate`.
const (
	envSeeds = "KVS_EDGE_SIMULATE_SEEDS" // such as 7, 1-2000 or 3,5,9-12
	envTrace = "KVS_EDGE_SIMULATE_TRACE" // of one seed: the file is replayed if it exists, and else written
	envMost  = "KVS_EDGE_SIMULATE_MOST"  // how long a life may be
)

// month is how long the longest lives are.
const month = 30 * 24 * time.Hour

// outcome is the result of a life.
type outcome struct {
	Seed    uint64
	Hours   float64
	Cameras int
	Reached map[string]int
	Numbers tallies
	Wrong   []string
	Trace   string // where it is, when something is wrong
}

// life runs a seed in a bubble.
func life(t *testing.T, c *choices, most time.Duration, plant string) (o outcome) {
	t.Helper()
	parent := "/dev/shm" // files of a life are many, and small
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "simulate")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(c, dir, most)
		if err != nil {
			t.Fatal(err)
		}
		w.plant(plant)
		wrong := w.live()
		o = outcome{Seed: c.seed, Hours: w.lived.Hours(), Cameras: len(w.cameras), Reached: w.reached, Numbers: w.numbers, Wrong: wrong}
	})
	return o
}

// TestALifeInASeed runs the seeds that it is asked for, one after the other. A life is repeated as it was only where one goroutine
// runs at a time.
func TestALifeInASeed(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	seeds, most := seedsOf(t, "1"), mostOf(t, 3*time.Hour)
	if os.Getenv(envSeeds) != "" {
		most = mostOf(t, month)
	}
	path := os.Getenv(envTrace)
	for _, seed := range seeds {
		c := choicesOf(t, seed, path)
		o := life(t, c, most, "")
		if path != "" || len(o.Wrong) > 0 {
			o.Trace = path
			if path == "" {
				o.Trace = filepath.Join(os.TempDir(), fmt.Sprintf("simulate-%d.trace", seed))
			}
			if err := c.write(o.Trace); err != nil {
				t.Error(err)
			}
		}
		line, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("life: %s\n", line)
		for _, text := range o.Wrong {
			t.Errorf("seed %d: %s", o.Seed, text)
		}
	}
}

// choicesOf are those of a seed, or of a trace that exists.
func choicesOf(t *testing.T, seed uint64, trace string) *choices {
	t.Helper()
	var c *choices
	file, err := os.Open(trace)
	if err == nil {
		c, err = newChoices(seed, file)
		_ = file.Close()
	} else {
		c, err = newChoices(seed, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mostOf(t *testing.T, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(envMost)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Hour {
		t.Fatalf("%s is %q, but must be a length of time from 1h on", envMost, text)
	}
	return d
}

func seedsOf(t *testing.T, otherwise string) (seeds []uint64) {
	t.Helper()
	text := os.Getenv(envSeeds)
	if text == "" {
		text = otherwise
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		from, err := strconv.ParseUint(first, 10, 64)
		to := from
		if ranged && err == nil {
			to, err = strconv.ParseUint(last, 10, 64)
		}
		if err != nil || to < from {
			t.Fatalf("%s is %q, but must be such as 7, 1-2000 or 3,5,9-12", envSeeds, text)
		}
		for seed := from; seed <= to; seed++ {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// proofSize is how many lives there are, from seed 1 on, and how long each is at most.
type proofSize struct {
	Seeds string
	Most  time.Duration
	All   bool // each rare state must have been reached
}

// TestLivesInSeeds runs the lives of many hubs, each in a seed, as many at once as there are processors, and says which rare states
// they came to. A run that is to reach all of them fails when one was not.
func TestLivesInSeeds(t *testing.T) {
	size := testtools.Proof(t, "simulate", testtools.Sizes[proofSize]{
		Short: proofSize{"1-4", 2 * time.Hour, false}, Middle: proofSize{"1-32", 6 * time.Hour, true}, Long: proofSize{"1-2000", month, true},
	})
	if os.Getenv(envSeeds) != "" {
		size.Most, size.All = month, false
	}
	seeds := seedsOf(t, size.Seeds)
	most := mostOf(t, size.Most)
	outcomes := lives(t, seeds, most)
	reached := make(map[string]int)
	hours, units, failed := 0.0, 0, 0
	for _, o := range outcomes {
		hours += o.Hours
		units += o.Numbers.Synced
		for what, n := range o.Reached {
			reached[what] += n
		}
		if len(o.Wrong) > 0 {
			failed++
			t.Errorf("seed %d (make simulate SEED=%d MOST=%s TRACE=%s):\n%s", o.Seed, o.Seed, most, o.Trace, strings.Join(o.Wrong, "\n"))
		}
	}
	if len(outcomes) < len(seeds) {
		t.Errorf("%d of %d lives did not come to their end", len(seeds)-len(outcomes), len(seeds))
	}
	t.Logf("%d seeds, %.2f hub-years (%.0f hub-days), %d access units on disks, %d seeds failed\n%s", len(outcomes), hours/24/365,
		hours/24, units, failed, table(reached))
	for _, what := range rare {
		if reached[what] == 0 && size.All {
			t.Errorf("no life came to the state %q", what)
		}
	}
}

// table lists how often each state was reached.
func table(reached map[string]int) string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(reached)) {
		fmt.Fprintf(&b, "%8d  %s\n", reached[what], what)
	}
	return b.String()
}

// lives runs seeds in processes of their own, some in each.
func lives(t *testing.T, seeds []uint64, most time.Duration) (outcomes []outcome) {
	t.Helper()
	const together = 8
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	batches := make(chan []uint64)
	var group sync.WaitGroup
	for range runtime.NumCPU() {
		group.Go(func() {
			for batch := range batches {
				done := livesOf(t.Context(), program, batch, most, t.Logf)
				mu.Lock()
				outcomes = append(outcomes, done...)
				mu.Unlock()
			}
		})
	}
	for batch := range slices.Chunk(seeds, together) {
		batches <- batch
	}
	close(batches)
	group.Wait()
	slices.SortFunc(outcomes, func(a, b outcome) int { return int(int64(a.Seed) - int64(b.Seed)) })
	return outcomes
}

// hangs is after how much real time a process with some lives is taken to hang.
const hangs = 40 * time.Minute

// livesOf runs some seeds in a process. What it says is shown when a life is missing.
func livesOf(ctx context.Context, program string, seeds []uint64, most time.Duration, logf func(string, ...any)) (outcomes []outcome) {
	names := make([]string, len(seeds))
	for i, seed := range seeds {
		names[i] = strconv.FormatUint(seed, 10)
	}
	run := exec.CommandContext(ctx, program, "-test.run=^TestALifeInASeed$", "-test.timeout="+hangs.String())
	run.Env = append(os.Environ(), envSeeds+"="+strings.Join(names, ","), envMost+"="+most.String(), envTrace+"=")
	said, _ := run.CombinedOutput() // what is wrong is in the outcomes
	for line := range strings.Lines(string(said)) {
		var o outcome
		if text, ok := strings.CutPrefix(line, "life: "); ok && json.Unmarshal([]byte(text), &o) == nil {
			outcomes = append(outcomes, o)
		}
	}
	if len(outcomes) < len(seeds) {
		logf("of the seeds %v %d ended:\n%.20000s", seeds, len(outcomes), said)
	}
	return outcomes
}
