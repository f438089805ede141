package precedence_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
)

// hub notes what runs, what was removed and which secrets are wanted.
type hub struct {
	running desired.Set
	removed []string
	secrets map[string]bool
	failing string
}

func (h *hub) Apply(_ context.Context, wanted desired.Set) (outcomes []desired.Outcome) {
	h.running = maps.Clone(wanted)
	for _, name := range wanted.Names() {
		var err error
		if name == h.failing {
			err = errors.New("no room")
		}
		outcomes = append(outcomes, desired.Outcome{Stream: name, Err: err})
	}
	return outcomes
}

func (h *hub) Remove(_ context.Context, stream string) error {
	delete(h.running, stream)
	h.removed = append(h.removed, stream)
	return nil
}

func (h *hub) has() string {
	var list []string
	for _, name := range h.running.Names() {
		list = append(list, name+" "+string(h.running[name].Origin))
	}
	return strings.Join(list, ", ")
}

func wanted(origin desired.Origin, names ...string) desired.Set {
	set := make(desired.Set)
	for _, name := range names {
		set[name] = desired.Stream{Name: name, Origin: origin, Media: desired.Media{SecretARN: name + " of " + string(origin)}}
	}
	return set
}

func isSet(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

func TestASourceWithPrecedenceComesAndGoes(t *testing.T) {
	t.Parallel()
	h, registry := &hub{failing: "gate"}, health.NewRegistry(time.Now)
	sources := precedence.New(precedence.Options{Streams: h, Secrets: func(arns map[string]bool) { h.secrets = arns }, Health: registry})
	files, cloud := sources.Add(), sources.Add()
	expect := func(when string, running string, outcomes []desired.Outcome, want ...desired.Outcome) {
		t.Helper()
		if got := h.has(); got != running {
			t.Errorf("%s: %s run, want %s", when, got, running)
		}
		if !slices.EqualFunc(outcomes, want, func(a, b desired.Outcome) bool {
			return a.Stream == b.Stream && a.OverruledBy == b.OverruledBy && (a.Err == nil) == (b.Err == nil)
		}) {
			t.Errorf("%s: outcomes %+v, want %+v", when, outcomes, want)
		}
	}
	expect("the cloud alone", "door kvs, gate kvs", cloud.Apply(t.Context(), wanted(desired.KVS, "door", "gate")),
		desired.Outcome{Stream: "door"}, desired.Outcome{Stream: "gate", Err: errors.New("x")})
	if isSet(cloud.Changed()) || isSet(files.Changed()) {
		t.Error("nobody is overruled")
	}
	expect("a file too", "door file, gate kvs, yard file", files.Apply(t.Context(), wanted(desired.File, "door", "yard")),
		desired.Outcome{Stream: "door"}, desired.Outcome{Stream: "yard"})
	if !isSet(cloud.Changed()) || isSet(files.Changed()) {
		t.Error("the cloud alone is to be notified")
	}
	if got := slices.Sorted(maps.Keys(h.secrets)); !slices.Equal(got, []string{"door of file", "door of kvs", "gate of kvs", "yard of file"}) {
		t.Errorf("wanted secrets: %q", got)
	}
	expect("the cloud again", "door file, gate kvs, yard file", cloud.Apply(t.Context(), wanted(desired.KVS, "door", "gate")),
		desired.Outcome{Stream: "door", OverruledBy: desired.File}, desired.Outcome{Stream: "gate", Err: errors.New("x")})
	told := func() (texts []string) {
		for _, c := range registry.Component("door", health.JobConfig).Snapshot().Conditions {
			texts = append(texts, c.Text)
		}
		return texts
	}
	if got := told(); len(got) != 1 || !strings.Contains(got[0], "A stream file decides about stream door; its configuration by the KVS control plane") {
		t.Errorf("of who is overruled it says %q", got)
	}
	expect("the file goes", "door kvs, gate kvs", files.Apply(t.Context(), nil))
	if !isSet(cloud.Changed()) {
		t.Error("the cloud is not told that it decides again")
	}
	if got := told(); len(got) > 0 {
		t.Errorf("nobody is overruled, but it says %q", got)
	}
}

// What a source wants before it applies anything is neither taken nor deleted by another one.
func TestWhatASourceWantsFromTheStartIsKept(t *testing.T) {
	t.Parallel()
	h := new(hub)
	sources := precedence.New(precedence.Options{Streams: h, Secrets: func(map[string]bool) {}, Health: health.NewRegistry(time.Now)})
	files, cloud := sources.Add(), sources.Add()
	files.Want(wanted(desired.File, "door"))
	cloud.Apply(t.Context(), wanted(desired.KVS, "door", "gate"))
	if got := h.has(); got != "door file, gate kvs" {
		t.Errorf("%s run", got)
	}
	if err := cloud.Remove(t.Context(), "door"); err != nil || len(h.removed) > 0 || h.has() != "door file, gate kvs" {
		t.Errorf("%s run, %q were removed: %v", h.has(), h.removed, err)
	}
}

// What the cloud deletes goes with its media, but not what another source wants.
func TestADeletionByOneSourceKeepsWhatAnotherWants(t *testing.T) {
	t.Parallel()
	h := new(hub)
	sources := precedence.New(precedence.Options{
		Streams: h, Secrets: func(arns map[string]bool) { h.secrets = arns }, Health: health.NewRegistry(time.Now),
	})
	files, cloud := sources.Add(), sources.Add()
	cloud.Apply(t.Context(), wanted(desired.KVS, "door", "gate"))
	files.Apply(t.Context(), wanted(desired.File, "door"))
	for _, name := range []string{"door", "gate", "unknown"} {
		if err := cloud.Remove(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if got := h.has(); got != "door file" || !slices.Equal(h.removed, []string{"gate", "unknown"}) {
		t.Errorf("%s run, %q were removed", got, h.removed)
	}
	if len(h.secrets) != 1 || !h.secrets["door of file"] {
		t.Errorf("wanted secrets: %v", h.secrets)
	}
}
