package iotconfig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

// What somebody removes from the state directory while the agent runs is written again. A condition names the path that
// something else occupies, and ends once it is moved away.
func TestTheStateComesBackByItself(t *testing.T) {
	t.Parallel()
	for _, file := range []string{lastGoodFile, camerasFile, uploadsFile} {
		for name, harm := range map[string]struct {
			do   func(dir, path string) error
			undo func(dir, path string) error
			says string // while it lasts; "": it heals by itself
		}{
			"the file removed":      {do: func(_, path string) error { return os.Remove(path) }},
			"the directory removed": {do: func(dir, _ string) error { return os.RemoveAll(dir) }},
			"the file replaced by a directory": {
				do: func(_, path string) error {
					return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700))
				},
				undo: func(_, path string) error { return os.RemoveAll(path) }, says: "in the place of",
			},
			"the directory replaced by a file": {
				do:   func(dir, _ string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
				undo: func(dir, _ string) error { return os.Remove(dir) }, says: "in the place of",
			},
		} {
			t.Run(file+"/"+name, func(t *testing.T) {
				t.Parallel()
				key := iottest.NewAuthority(t).Device(testThing)
				synctest.Test(t, func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "state")
					path := filepath.Join(dir, file)
					h := newTestHub(t, "", dir, nil, func(o *hubOptions) {
						o.noTLS, o.sealing, o.timing = "a test", key, kvsconfig.DefaultTiming()
						o.upload = func(ctx context.Context, _ string, _, _ time.Time, _ func(done, total int)) error {
							<-ctx.Done()
							return ctx.Err()
						}
					})
					h.kvs.Set(configtest.Listed(t, "cam", 1_700_000_000, configtest.Syncing))
					h.run()
					time.Sleep(time.Second)
					request := []byte(`{"RequestId":"r1","StreamName":"cam","From":1,"To":2}`)
					h.uploads.put(message{topic: h.topics.uploadRequest, payload: request, ack: func() {}})
					time.Sleep(time.Minute)
					before, err := os.ReadFile(path)
					if err := errors.Join(err, harm.do(dir, path)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Second)
					worst, _ := h.part.Snapshot().Worst()
					if harm.says != "" {
						if file != uploadsFile && !strings.Contains(worst.Text, harm.says) { // that one is only logged
							t.Errorf("it says %q", worst.Text)
						}
						if err := harm.undo(dir, path); err != nil {
							t.Fatal(err)
						}
						time.Sleep(10 * time.Second)
						worst, _ = h.part.Snapshot().Worst()
					}
					if after, err := os.ReadFile(path); err != nil || file != camerasFile && string(after) != string(before) {
						t.Errorf("after it: %v, %q, %q before", err, after, before)
					}
					if worst.Severity > health.Info {
						t.Errorf("left: %+v", worst)
					}
				})
			})
		}
	}
}
