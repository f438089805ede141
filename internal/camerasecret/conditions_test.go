package camerasecret

import (
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// world is a cache that runs, with all around it faked.
type world struct {
	*Cache
	path    string
	secrets *fakeSecrets
}

// conditionRows are the conditions of cameras' secrets, in synctest's time.
var conditionRows = []conditiontest.Row{
	{Code: "camera-secret", Job: health.JobConfig, Limit: rereadFailed * 6 / 5, Reason: "each answer costs money; a reload reads it at once",
		Start: running(func(w *world) (undo func()) {
			w.secrets.fail(health.UserFault("secret-not-found", nil, "The secret does not exist."))
			w.ReadNow()
			return func() { w.secrets.set(testSecret, cameraURL) }
		})},
	{Code: "camera-store", Job: health.JobConfig, Start: running(func(w *world) (undo func()) {
		w.mu.Lock()
		w.unsaved = true
		w.mu.Unlock()
		removeState(w.path)
		return func() { _ = os.Remove(w.path) }
	})},
}

// storeKey seals in the rows; made outside of synctest, once.
var storeKey func() *sealer

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	storeKey = sync.OnceValue(func() *sealer { return testSealer(t) })
	storeKey()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, way) })
			})
		}
	}
}

// removeState puts a file in the place of the state directory: root writes anywhere else.
func removeState(path string) {
	_ = os.RemoveAll(path)
	_ = os.WriteFile(path, nil, 0o600)
}

func running(arrange func(*world) (undo func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		registry := health.NewRegistry(time.Now)
		w := &world{path: t.TempDir(), secrets: newFakeSecrets()}
		dir, err := statefile.Open(w.path, atomicfile.OS{})
		if err != nil {
			t.Fatal(err)
		}
		w.secrets.set(testSecret, cameraURL)
		w.Cache = &Cache{
			secrets: w.secrets, dir: dir, sealer: storeKey(), now: time.Now, log: zap.NewNop(), health: registry.Component("", health.JobConfig),
			wake: signal.New(), entries: make(map[string]*cached), wanted: map[string]bool{testSecret: true},
		}
		var group sync.WaitGroup
		group.Go(func() { w.Run(t.Context()) })
		t.Cleanup(group.Wait)
		time.Sleep(time.Second)
		var undo func()
		return conditiontest.Case{
			Health: registry, Now: time.Now, Step: time.Second,
			Raise: func() {
				if undo == nil {
					undo = arrange(w)
				}
			},
			Repair: func() { undo() },
			Ways: map[conditiontest.Way]func(){
				conditiontest.Reload:        func() { w.ReadNow() },
				conditiontest.Configuration: func() { w.ReadNow(testSecret) },
			},
		}
	}
}
