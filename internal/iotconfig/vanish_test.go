package iotconfig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// What somebody removes from the state directory while the agent runs is written again. What stands in its
// place is named, and the condition ends once it is moved away.
func TestTheStateComesBackByItself(t *testing.T) {
	t.Parallel()
	for _, file := range []string{lastGoodFile, camerasFile, uploadsFile} {
		for name, harm := range map[string]struct {
			do   func(dir, path string) error
			mend func(dir, path string) error
			says string // while it lasts; "": it heals by itself
		}{
			"the file removed":      {do: func(_, path string) error { return os.Remove(path) }},
			"the directory removed": {do: func(dir, _ string) error { return os.RemoveAll(dir) }},
			"the file replaced by a directory": {
				do: func(_, path string) error {
					return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700))
				},
				mend: func(_, path string) error { return os.RemoveAll(path) }, says: "in the place of",
			},
			"the directory replaced by a file": {
				do:   func(dir, _ string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
				mend: func(dir, _ string) error { return os.Remove(dir) }, says: "in the place of",
			},
		} {
			t.Run(file+"/"+name, func(t *testing.T) {
				t.Parallel()
				key := testSealer(t)
				synctest.Test(t, func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "state")
					path := filepath.Join(dir, file)
					h := newTestHub(t, "", dir, nil, func(o *Options) { o.NoTLS = "a test" })
					h.timing = defaultTiming()
					h.cameras.sealer = key
					h.kvs.set(listedAs(t, "cam", 1_700_000_000, syncing))
					h.run()
					time.Sleep(time.Second)
					h.uploads.mu.Lock()
					h.uploads.kept = append(h.uploads.kept, uploadRequest{RequestID: "r1"})
					h.uploads.mu.Unlock()
					h.saveUploads()
					time.Sleep(time.Minute)
					before, err := os.ReadFile(path)
					if err := errors.Join(err, harm.do(dir, path)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * saveEvery)
					worst, _ := h.part.Snapshot().Worst()
					if harm.says != "" {
						if file != uploadsFile && !strings.Contains(worst.Text, harm.says) { // that one is only logged
							t.Errorf("it says %q", worst.Text)
						}
						if err := harm.mend(dir, path); err != nil {
							t.Fatal(err)
						}
						time.Sleep(2 * saveEvery)
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

// The sentence about a file that cannot be written is that of its cause.
func TestTheAdviceIsThatOfTheCause(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := stateDir{path: dir, files: atomicfile.OS{}}
	if err := os.MkdirAll(filepath.Join(dir, "a.json.new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := d.write("a.json", secret.String{})
	if got := d.advice("a.json", err); err == nil || !strings.Contains(got, "a.json.new, move it away") {
		t.Errorf("%v: %q", err, got)
	}
}
