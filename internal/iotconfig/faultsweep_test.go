package iotconfig

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/faultdisk"
)

// stateRun is one change of configuration, or one start, with one fault of the disk.
type stateRun struct {
	dir   string
	disk  *faultdisk.Disk
	key   *tls.Config // seals the cameras' URLs
	wrong []string
}

func (r *stateRun) hub(t *testing.T, streams ...string) *testHubSource {
	h := newTestHub(t, "", r.dir, nil, func(o *hubOptions) {
		o.noTLS, o.files, o.sealing, o.timing = "a test", r.disk, r.key, kvsconfig.DefaultTiming()
	})
	var list []kvsconfig.ListedConfig
	for i, stream := range streams {
		list = append(list, configtest.Listed(t, stream, 1_700_000_000+float64(i), configtest.Syncing))
	}
	h.kvs.Set(list...)
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
		h.kvs.Set(configtest.Listed(t, "cam", 1_700_000_100, configtest.Syncing), configtest.Listed(t, "yard", 1_700_000_000, configtest.Syncing))
		h.syncer.RequestListing()
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
	key := iottest.NewAuthority(t).Device(testThing)
	total, table := 0, []string{}
	growth := testtools.Proof(t, "faults", testtools.Sizes[int]{Short: 100, Middle: 20, Long: 0}) // of n, in per cent
	for _, sc := range stateScenarios {
		for _, fault := range faultdisk.Faults {
			runs, failed := 0, 0
			for n := 1; ; n++ {
				n += n * growth / 100
				var struck string
				var wrong []string
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(27 * 365 * 24 * time.Hour)
					r := &stateRun{dir: filepath.Join(dir, "state"), disk: faultdisk.New(), key: key}
					if err := os.Mkdir(r.dir, 0o700); err != nil { // an agent that cannot make it ends, and is started again
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
	h.syncer.ApplyLastGood(t.Context())
	if got := (<-h.applier.Applied).Names(); !slices.Equal(got, want) {
		r.wrong = append(r.wrong, fmt.Sprintf("the next start has %q, not %q", got, want))
	}
	h.secrets.err = errors.New("there is no network")
	if url, err := h.cameras.URL(t.Context(), testSecret); err != nil || url.Empty() {
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
