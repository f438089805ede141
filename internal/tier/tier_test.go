package tier

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// cloud answers what it is set to.
type cloud struct {
	mu    sync.Mutex
	tier  string
	hours int
	err   error
	calls map[string][]time.Time // of StorageTier, by stream
	hangs time.Duration          // how long a call takes
}

func (c *cloud) set(tier string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tier, c.err = tier, err
}

func (c *cloud) StorageTier(ctx context.Context, stream string) (string, error) {
	_ = backoff.Sleep(ctx, c.hangs)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = make(map[string][]time.Time)
	}
	c.calls[stream] = append(c.calls[stream], time.Now())
	return c.tier, errors.Join(c.err, ctx.Err())
}

func (c *cloud) Retention(ctx context.Context, _ string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hours, ctx.Err()
}

// count is how often a stream was asked about.
func (c *cloud) count(stream string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls[stream])
}

var denied = &kvs.RequestError{
	Operation: "DescribeStreamStorageConfiguration", Status: 400, Name: "AccessDeniedException", Meaning: awserr.Error{Kind: awserr.Denied},
}

// world is a watch that runs in a bubble of synctest.
type world struct {
	*Watch
	cloud   *cloud
	logged  *observer.ObservedLogs
	began   time.Time
	mu      sync.Mutex
	lengths Lengths
}

func (w *world) setLengths(l Lengths) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lengths = l
}

func start(t *testing.T, c *cloud, dir statefile.Dir, streams ...string) *world {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	w := &world{cloud: c, logged: logged, began: time.Now()}
	w.Watch = Open(Options{
		Cloud: c, Streams: func() []string { return streams }, Health: health.NewRegistry(time.Now), Dir: dir, Log: zap.New(core),
		Lengths: func(string) Lengths {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.lengths
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return w
}

func dirOf(t *testing.T) statefile.Dir {
	t.Helper()
	return statefile.At(filepath.Join(t.TempDir(), "state"), atomicfile.OS{})
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestEachStreamIsAskedAboutHourly, spread over the first five minutes and with jitter, and what is known outlives the
// process.
func TestEachStreamIsAskedAboutHourly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var streams []string
		for i := range 100 {
			streams = append(streams, fmt.Sprintf("s%d", i))
		}
		dir := dirOf(t)
		w := start(t, &cloud{tier: cost.Warm, hours: 24}, dir, streams...)
		pass(25 * time.Hour)
		var all []time.Time
		late := 0
		for _, stream := range streams {
			calls := w.cloud.calls[stream]
			if first := calls[0].Sub(w.began); first > spread+time.Minute {
				t.Errorf("%s is asked about first after %v", stream, first)
			} else if first > spread/2 {
				late++
			}
			if n := len(calls); n < 21 || n > 26 {
				t.Errorf("%s is asked about %d times in 25 h", stream, n)
			}
			all = append(all, calls...)
		}
		if late < 20 || late > 80 {
			t.Errorf("%d of the first questions are in the second half of %v", late, spread)
		}
		seconds := make(map[int64]int)
		for _, at := range all {
			if seconds[at.Unix()]++; seconds[at.Unix()] > 6 {
				t.Errorf("%d calls in a second", seconds[at.Unix()])
			}
		}
		if got := w.Of("s7"); got.Tier != cost.Warm || *got.RetentionHours != 24 {
			t.Errorf("it is known as %+v", got)
		}
		if again := Open(Options{Dir: dir}).Of("s7"); again.Tier != cost.Warm || *again.RetentionHours != 24 {
			t.Errorf("the next start knows %+v", again)
		}
	})
}

// TestADenialIsOneLine for all streams, and is asked about once a day.
func TestADenialIsOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &cloud{hours: 24, err: denied}, dirOf(t), "a", "b", "c")
		pass(73 * time.Hour)
		for _, stream := range []string{"a", "b", "c"} {
			if n := w.cloud.count(stream); n < 3 || n > 4 {
				t.Errorf("%s was asked about %d times in 73 h", stream, n)
			}
		}
		if lines := w.logged.All(); len(lines) != 1 || !strings.Contains(lines[0].Message, "no permission") {
			t.Errorf("these lines are logged: %v", lines)
		}
		if got := w.Of("a"); got.Tier != "" || *got.RetentionHours != 24 {
			t.Errorf("it is known as %+v", got)
		}
		w.cloud.set(cost.Hot, nil)
		pass(30 * time.Hour)
		if got := w.Of("a").Tier; got != cost.Hot || w.logged.Len() != 2 {
			t.Errorf("granted, the tier is %q: %v", got, w.logged.All())
		}
	})
}

// TestOtherFailuresAreTriedAgain with growing waits, in silence, while the last answer stays.
func TestOtherFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &cloud{tier: cost.Warm}, dirOf(t), "door")
		pass(10 * time.Minute)
		w.cloud.set("", errors.New("no network"))
		before := w.cloud.count("door")
		pass(5 * time.Hour)
		if n := w.cloud.count("door") - before; n < 30 || n > 150 {
			t.Errorf("it was tried %d times in 5 h", n)
		}
		if got := w.Of("door").Tier; got != cost.Warm || w.logged.Len() > 0 {
			t.Errorf("the tier is %q: %v", got, w.logged.All())
		}
		w.cloud.set(cost.Hot, nil)
		pass(10 * time.Minute)
		if got := w.Of("door").Tier; got != cost.Hot {
			t.Errorf("the tier is %q", got)
		}
	})
}

// TestAStreamThatIsMissing has no tier, even if one of that name had one; a new one is found soon.
func TestAStreamThatIsMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &cloud{tier: cost.Warm, hours: 24}, dirOf(t), "door")
		w.setLengths(Lengths{Day: time.Second, Recent: time.Second})
		pass(10 * time.Minute)
		dear := func() int { return len(w.o.Health.Component("door", health.JobUploader).Snapshot().Conditions) }
		if dear() != 1 {
			t.Errorf("%d conditions", dear())
		}
		w.cloud.set("", &kvs.RequestError{
			Operation: "DescribeStreamStorageConfiguration", Status: 404, Name: "ResourceNotFoundException",
			Meaning: awserr.Error{Kind: awserr.NotFound},
		})
		pass(2 * time.Hour)
		if got := w.Of("door"); got.Tier != "" || got.RetentionHours != nil || dear() != 0 || w.logged.Len() != 2 {
			t.Errorf("it is known as %+v, %d conditions: %v", got, dear(), w.logged.All())
		}
		w.cloud.set(cost.Hot, nil)
		pass(10 * time.Minute)
		if got := w.Of("door"); got.Tier != cost.Hot || *got.RetentionHours != 24 {
			t.Errorf("the new one is known as %+v", got)
		}
	})
}

// TestCallsThatHangDelayNothingElse: what many streams wait for has no influence on what is said of their fragments.
func TestCallsThatHangDelayNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var streams []string
		for i := range 100 {
			streams = append(streams, fmt.Sprintf("s%d", i))
		}
		dir := dirOf(t)
		if err := dir.Write(file, map[string]Storage{"s50": {Tier: cost.Warm}}); err != nil {
			t.Fatal(err)
		}
		w := start(t, &cloud{err: errors.New("no network"), hangs: 10 * time.Second}, dir, streams...)
		pass(10 * time.Minute)
		w.setLengths(Lengths{Day: time.Second, Recent: time.Second})
		pass(judgeEvery + 11*time.Second)
		if n := len(w.o.Health.Component("s50", health.JobUploader).Snapshot().Conditions); n != 1 {
			t.Errorf("after %v there are %d conditions", judgeEvery, n)
		}
	})
}

// TestTheSameAnswerIsNotWritten, to spare the flash, unless somebody has removed the file.
func TestTheSameAnswerIsNotWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := dirOf(t)
		w := start(t, &cloud{tier: cost.Warm, hours: 24}, dir, "a", "b")
		pass(10 * time.Minute)
		path := filepath.Join(dir.Path(), file)
		if err := os.WriteFile(path, []byte("as it was"), 0o600); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Hour)
		if data, err := os.ReadFile(path); err != nil || string(data) != "as it was" {
			t.Errorf("it is written: %s, %v", data, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Hour)
		if known := Read(dir, zap.NewNop()); known["a"].Tier != cost.Warm || len(known) != 2 {
			t.Errorf("when it was removed it has %v", known)
		}
		w.cloud.set(cost.Hot, nil)
		pass(2 * time.Hour)
		if known := Read(dir, zap.NewNop()); known["a"].Tier != cost.Hot || *known["b"].RetentionHours != 24 {
			t.Errorf("after a change it has %v", known)
		}
	})
}

// TestALengthNearTheLimit does not begin and end the condition with each fragment.
func TestALengthNearTheLimit(t *testing.T) {
	t.Parallel()
	w := Open(Options{Health: health.NewRegistry(time.Now), Lengths: func(string) Lengths { return Lengths{} }, Dir: dirOf(t)})
	w.known["door"] = Storage{Tier: cost.Warm}
	for i, row := range []struct {
		seconds float64
		want    int
	}{{5.1, 0}, {4.9, 1}, {5.1, 1}, {4.9, 1}, {5.4, 1}, {5.6, 0}, {5.1, 0}} {
		mean := time.Duration(row.seconds * float64(time.Second))
		w.o.Lengths = func(string) Lengths { return Lengths{Day: mean, Recent: mean} }
		w.judge("door")
		if n := len(w.o.Health.Component("door", health.JobUploader).Snapshot().Conditions); n != row.want {
			t.Errorf("step %d, %v s: %d conditions, want %d", i, row.seconds, n, row.want)
		}
	}
}

func TestAFileThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	minus := -1
	for name, write := range map[string]func(dir statefile.Dir) error{
		"damaged": func(dir statefile.Dir) error {
			return os.WriteFile(filepath.Join(dir.Path(), file), []byte("x"), 0o600)
		},
		"impossible": func(dir statefile.Dir) error {
			return dir.Write(file, map[string]Storage{"a": {Tier: strings.Repeat("x", 99)}, "b": {RetentionHours: &minus}})
		},
	} {
		dir := dirOf(t)
		if err := os.MkdirAll(dir.Path(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := write(dir); err != nil {
			t.Fatal(err)
		}
		if known := Read(dir, zap.NewNop()); len(known) != 0 {
			t.Errorf("%s: %v", name, known)
		}
	}
}

// TestWhereFragmentsAreDear names the costs, and the setting that helps.
func TestWhereFragmentsAreDear(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		tier    string
		lengths Lengths
		want    string
	}{
		"short":           {cost.Warm, Lengths{Day: time.Second, Recent: time.Second}, "$25.92, and with 10 s they cost $2.59"},
		"after a restart": {cost.Warm, Lengths{Day: 2 * time.Second}, "with fragments of 2.0 s on average those of 30 days of video cost $12.96"},
		"live": {cost.Warm, Lengths{Day: time.Second, Live: true},
			"Longer ones (of a live upload they arrive later by as much) are made with"},
		"long":           {cost.Warm, Lengths{Day: 5 * time.Second, Recent: 5 * time.Second}, ""},
		"changed since":  {cost.Warm, Lengths{Day: time.Second, Recent: 9 * time.Second}, ""},
		"never uploaded": {cost.Warm, Lengths{}, ""},
		"hot":            {cost.Hot, Lengths{Day: time.Second, Recent: time.Second}, ""},
		"not known":      {"", Lengths{Day: time.Second, Recent: time.Second}, ""},
	} {
		registry := health.NewRegistry(time.Now)
		w := Open(Options{Health: registry, Lengths: func(string) Lengths { return row.lengths }, Dir: dirOf(t)})
		w.known["door"] = Storage{Tier: row.tier}
		w.judge("door")
		conditions := registry.Component("door", health.JobUploader).Snapshot().Conditions
		switch {
		case row.want == "" && len(conditions) > 0, row.want != "" && len(conditions) != 1:
			t.Errorf("%s: %v", name, conditions)
		case row.want != "" && (!strings.Contains(conditions[0].Text, row.want) ||
			!strings.Contains(conditions[0].Text, "AWS_KVS_EDGE_FRAGMENT_DURATION") || !strings.Contains(conditions[0].Text, "kvs-edge:fragment")):
			t.Errorf("%s: %s, want %s", name, conditions[0].Text, row.want)
		}
	}
}

var conditionRows = []conditiontest.Row{
	{Code: "fragment-cost", Job: health.JobUploader, Start: dearFragments},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, way) })
			})
		}
	}
}

// dearFragments are short ones in the WARM tier, which then get longer.
func dearFragments(t *testing.T) conditiontest.Case {
	w := start(t, &cloud{tier: cost.Warm}, dirOf(t), conditiontest.Stream)
	return conditiontest.Case{
		Health: w.o.Health, Now: time.Now, Step: time.Minute,
		Raise:  func() { w.setLengths(Lengths{Day: time.Second, Recent: time.Second}); pass(spread) },
		Repair: func() { w.setLengths(Lengths{Day: time.Second, Recent: 10 * time.Second}) },
	}
}
