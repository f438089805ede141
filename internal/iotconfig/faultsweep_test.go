package iotconfig

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/faultdisk"
)

// stateRun is one change of configuration, or one start, with one fault of the disk.
type stateRun struct {
	dir   string
	disk  *faultdisk.Disk
	key   *sealer
	wrong []string
}

func (r *stateRun) hub(t *testing.T, streams ...string) *testHubSource {
	h := newTestHub(t, "", r.dir, nil, func(o *Options) { o.NoTLS, o.Files = "a test", r.disk })
	h.timing = defaultTiming()
	h.cameras.sealer = r.key
	h.cameras.load()
	var list []ListedConfig
	for i, stream := range streams {
		list = append(list, listedAs(t, stream, 1_700_000_000+float64(i), syncing))
	}
	h.kvs.set(list...)
	return h
}

// settle lets some time pass, after which nothing may be left to say.
func (r *stateRun) settle(h *testHubSource) {
	time.Sleep(3 * time.Minute)
	for _, c := range h.part.Snapshot().Conditions {
		if c.Severity > health.Info {
			r.wrong = append(r.wrong, "left: "+c.Text)
		}
	}
}

// stateScenarios are what a hub does with its state directory.
var stateScenarios = []struct {
	name string
	act  func(t *testing.T, r *stateRun, arm func()) (want []string)
}{
	{"first configuration", func(t *testing.T, r *stateRun, arm func()) []string {
		arm()
		h := r.hub(t, "cam")
		h.run()
		r.settle(h)
		h.stop()
		return []string{"cam"}
	}},
	{"reload", func(t *testing.T, r *stateRun, arm func()) []string {
		h := r.hub(t, "cam")
		h.run()
		time.Sleep(time.Minute)
		arm()
		h.kvs.set(listedAs(t, "cam", 1_700_000_100, syncing), listedAs(t, "yard", 1_700_000_000, syncing))
		h.requestListing()
		r.settle(h)
		h.stop()
		return []string{"cam", "yard"}
	}},
	{"restart", func(t *testing.T, r *stateRun, arm func()) []string {
		h := r.hub(t, "cam", "yard")
		h.run()
		time.Sleep(time.Minute)
		h.stop()
		arm()
		h = r.hub(t, "cam", "yard")
		h.run()
		r.settle(h)
		h.stop()
		return []string{"cam", "yard"}
	}},
}

// The n-th operation of the state directory fails, for each n and in each way: after that the hub has its
// configuration, says nothing more, and the next start has it without the cloud.
func TestFaultSweepOfTheState(t *testing.T) {
	t.Parallel()
	key := testSealer(t)
	total, table := 0, []string{}
	for _, sc := range stateScenarios {
		for _, fault := range faultdisk.Faults {
			runs, failed := 0, 0
			for n := 1; ; n++ {
				if !testtools.Long() {
					n += n
				}
				var struck string
				var wrong []string
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(27 * 365 * 24 * time.Hour)
					r := &stateRun{dir: filepath.Join(dir, "state"), disk: faultdisk.New(), key: key}
					if err := os.Mkdir(r.dir, dirMode); err != nil { // an agent that cannot make it ends, and is started again
						t.Fatal(err)
					}
					want := sc.act(t, r, func() { r.disk.Arm(fault, n, 1) })
					struck = r.disk.Struck()
					r.disk.Arm(fault, 0, 0)
					if err := r.disk.Evict(); err != nil {
						t.Fatal(err)
					}
					r.reopen(t, want)
					wrong = r.wrong
				})
				if struck == "" {
					break
				}
				if runs++; len(wrong) > 0 {
					failed++
					t.Errorf("%s, %s at operation %d (%s): %s", sc.name, fault, n, struck, strings.Join(wrong, "; "))
				}
			}
			total += runs
			table = append(table, fmt.Sprintf("%-20s %-21s %4d runs %4d failed", sc.name, fault, runs, failed))
		}
	}
	t.Logf("%d runs:\n%s", total, strings.Join(table, "\n"))
}

// reopen starts a hub that has no network.
func (r *stateRun) reopen(t *testing.T, want []string) {
	h := r.hub(t)
	if got := sortedNames(h.desired.streams); !slices.Equal(got, want) {
		r.wrong = append(r.wrong, fmt.Sprintf("the next start has %q, not %q", got, want))
	}
	if h.cameras.entry(testSecret).url.Empty() {
		r.wrong = append(r.wrong, "the next start has no camera URL")
	}
	files, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains([]string{lastGoodFile, camerasFile, uploadsFile}, f.Name()) {
			r.wrong = append(r.wrong, "left: "+f.Name())
		}
	}
}
