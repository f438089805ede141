package meter

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// bubble is the clock of a bubble of synctest.
type bubble struct{}

func (bubble) Time() (time.Time, bool) { return time.Now(), true }

func (bubble) Now() time.Time { return time.Now() }

// openIn opens a meter in a bubble.
func openIn(t *testing.T, path, cap string) *Meter {
	t.Helper()
	c, err := Parse(cap)
	must(t, err)
	dir, err := statefile.Open(path, atomicfile.OS{})
	must(t, err)
	return Open(Options{Dir: dir, Clock: bubble{}, Cap: c, Zone: time.UTC})
}

// A meter that runs notices the end of a day at once, and writes what was counted.
func TestAMeterRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		r := openIn(t, dir, "10MB/day, overhead=1")
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = r.Run(ctx) })
		defer func() { cancel(); group.Wait() }()
		synctest.Wait()
		changes, stop := r.Watch()
		defer stop()
		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		time.Sleep(time.Until(midnight) - time.Second)
		r.add(&r.sent, &r.received, 9*mega)
		synctest.Wait()
		for len(changes) > 0 {
			<-changes
		}
		if got := r.Take(Backlog, mega); got != Refused {
			t.Fatalf("the backlog is answered with %d", got)
		}
		<-changes
		if late := time.Since(midnight); late < 0 || late > 100*time.Millisecond {
			t.Errorf("the period ends %s after midnight", late)
		}
		synctest.Wait()
		got := r.Take(Backlog, mega)
		for ; got == Later; got = r.Take(Backlog, mega) { // than a write to the disk
			<-changes
		}
		if got != Granted {
			t.Errorf("on the next day the backlog is answered with %d", got)
		}
		r.add(&r.sent, &r.received, mega)
		r.Return(mega)
		synctest.Wait()
		kept := openIn(t, dir, "10MB/day, overhead=1").State()
		if most := int64(mega + 3*mega); kept.Sent < mega || kept.Sent > most {
			t.Errorf("after a kill %d bytes are counted, want %d to %d", kept.Sent, mega, most)
		}
	})
}
