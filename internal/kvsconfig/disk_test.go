package kvsconfig

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

func testDir(t *testing.T) statefile.Dir {
	t.Helper()
	dir, err := statefile.Open(filepath.Join(t.TempDir(), "state"), atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// noControlPlane is not asked.
type noControlPlane struct{ ControlPlane }

// noApplier is not asked.
type noApplier struct{ Applier }

// notingApplier keeps what it was asked last.
type notingApplier struct {
	applied desired.Set
	removed []string
}

func (a *notingApplier) Apply(_ context.Context, wanted desired.Set) []desired.Outcome {
	a.applied = wanted
	return nil
}

func (a *notingApplier) Remove(_ context.Context, stream string) error {
	a.removed = append(a.removed, stream)
	return nil
}

func TestADeletionInterruptedByAPowerCutIsFinishedAtTheNextStart(t *testing.T) {
	t.Parallel()
	dir, applier := testDir(t), new(notingApplier)
	o := Options{ThingName: "hub-1", KVS: noControlPlane{}, Applier: applier, Dir: dir}
	before, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	before.mergeUpdate(whole("cam", 0), nil, "")
	before.mergeDelete(version("cam", 1), nil)
	before.save()

	after, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	after.ApplyLastGood(t.Context())
	if len(applier.applied) > 0 || len(applier.removed) != 1 || applier.removed[0] != "cam" {
		t.Errorf("applied %v, removed %v", applier.applied, applier.removed)
	}
}

func TestTheLastGoodConfigurationsAreOnlyLookedAt(t *testing.T) {
	t.Parallel()
	d := testDir(t)
	if _, err := LastGood(d.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without any: %v", err)
	}
	doc := lastGood{Version: lastGoodVersion, Streams: []lastGoodStream{{StreamName: "door", EdgeConfig: []byte(`{"HubDeviceArn":"x"}`)}}}
	if err := d.Write(lastGoodFile, doc); err != nil {
		t.Fatal(err)
	}
	text, err := LastGood(d.Path())
	if err != nil || !strings.Contains(string(text), `"StreamName": "door"`) || !strings.Contains(string(text), `"HubDeviceArn": "x"`) {
		t.Errorf("%s, %v", text, err)
	}
	path := filepath.Join(d.Path(), lastGoodFile)
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LastGood(d.Path()); !errors.Is(err, statefile.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("it was set aside: %v", err)
	}
}

// A run as root leaves files that the agent's user may not read: they are not damaged.
func TestAConfigurationThatCannotBeReadIsNotCalledDamaged(t *testing.T) {
	t.Parallel()
	d := testDir(t)
	path := filepath.Join(d.Path(), lastGoodFile)
	if err := os.Symlink(lastGoodFile, path); err != nil { // leads to itself: nobody can open it
		t.Fatal(err)
	}
	s, err := New(Options{ThingName: "hub-1", KVS: noControlPlane{}, Applier: noApplier{}, Dir: d})
	if err != nil {
		t.Fatal(err)
	}
	worst, _ := s.o.Health.Snapshot().Worst()
	if !strings.Contains(worst.Text, path) || !strings.Contains(worst.Text, "cannot be read: give it to the agent's user") ||
		strings.Contains(worst.Text, "damaged") {
		t.Errorf("it says %q", worst.Text)
	}
}
