package precedence_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
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

// nobody hears what is known.
func nobody(precedence.Known) {}

// row is that of a source, with what it wanted before.
func row(restored desired.Set, origins ...desired.Origin) precedence.Row {
	return precedence.Row{
		Origins: origins, Restored: restored, Await: "wait for " + string(origins[0]), Refused: "correct " + string(origins[0]),
		Sync: func(stream string) edgeconfig.SyncStatus {
			return edgeconfig.SyncStatus{StreamName: stream, Status: string(origins[0])}
		},
		Deletion: func(stream string) string { return "ask " + string(origins[0]) + " for " + stream },
	}
}

// fileAndCloud adds both sources.
func fileAndCloud(t *testing.T, sources *precedence.Sources, restored desired.Set) (files, cloud *precedence.Source) {
	t.Helper()
	err := errors.Join(
		sources.Add(func(s *precedence.Source) (precedence.Row, error) { files = s; return row(restored, desired.File), nil }),
		sources.Add(func(s *precedence.Source) (precedence.Row, error) {
			cloud = s
			return row(nil, desired.KVS, desired.MQTT), nil
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return files, cloud
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
	sources := precedence.New(precedence.Options{Streams: h, Secrets: func(arns map[string]bool) { h.secrets = arns }, Known: nobody,
		Health: registry})
	files, cloud := fileAndCloud(t, sources, nil)
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
	const want = "A stream file decides about stream door; its configuration by the KVS control plane"
	if got := told(); len(got) != 1 || !strings.Contains(got[0], want) {
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
	sources := precedence.New(precedence.Options{Streams: h, Secrets: func(map[string]bool) {}, Known: nobody,
		Health: health.NewRegistry(time.Now)})
	files, cloud := fileAndCloud(t, sources, wanted(desired.File, "door"))
	if !cloud.Others() || files.Others() {
		t.Error("the files alone want something")
	}
	cloud.Apply(t.Context(), wanted(desired.KVS, "door", "gate"))
	if got := h.has(); got != "door file, gate kvs" {
		t.Errorf("%s run", got)
	}
	if err := cloud.Remove(t.Context(), "door"); err != nil || len(h.removed) > 0 || h.has() != "door file, gate kvs" {
		t.Errorf("%s run, %q were removed: %v", h.has(), h.removed, err)
	}
}

// A source that somebody chose is there for the others before it wants a stream, and does not miss those that want none.
func TestAChosenSourceCountsWithoutStreams(t *testing.T) {
	t.Parallel()
	sources := precedence.New(precedence.Options{Streams: new(hub), Secrets: func(map[string]bool) {}, Known: nobody,
		Health: health.NewRegistry(time.Now)})
	add := func(chosen bool, origins ...desired.Origin) (source *precedence.Source) {
		err := sources.Add(func(s *precedence.Source) (precedence.Row, error) {
			source = s
			return precedence.Row{Origins: origins, Chosen: chosen, Await: "wait", Refused: "correct it",
				Sync:     func(string) edgeconfig.SyncStatus { return edgeconfig.SyncStatus{} },
				Deletion: func(string) string { return "" }}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	files, assets, cloud := add(false, desired.File), add(true, desired.SiteWise), add(false, desired.KVS, desired.MQTT)
	if !cloud.Others() || !files.Others() || assets.Others() {
		t.Errorf("others of the cloud %t, of the files %t, of SiteWise %t", cloud.Others(), files.Others(), assets.Others())
	}
}

// What the cloud deletes goes with its media, but not what another source wants.
func TestADeletionByOneSourceKeepsWhatAnotherWants(t *testing.T) {
	t.Parallel()
	h := new(hub)
	sources := precedence.New(precedence.Options{
		Streams: h, Secrets: func(arns map[string]bool) { h.secrets = arns }, Known: nobody,
		Health: health.NewRegistry(time.Now),
	})
	files, cloud := fileAndCloud(t, sources, nil)
	cloud.Apply(t.Context(), wanted(desired.KVS, "door", "gate"))
	files.Apply(t.Context(), wanted(desired.File, "door"))
	for _, name := range []string{"door", "gate", "unknown"} {
		if !files.Others() && name != "unknown" {
			t.Errorf("before %s is deleted nobody but the files wants a stream", name)
		}
		if err := cloud.Remove(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if files.Others() || !cloud.Others() {
		t.Error("the files alone want a stream")
	}
	if got := h.has(); got != "door file" || !slices.Equal(h.removed, []string{"gate", "unknown"}) {
		t.Errorf("%s run, %q were removed", got, h.removed)
	}
	if len(h.secrets) != 1 || !h.secrets["door of file"] {
		t.Errorf("wanted secrets: %v", h.secrets)
	}
}

// TestARowSaysAllOfItsSource has a third source, and one whose origin nobody has added.
func TestARowSaysAllOfItsSource(t *testing.T) {
	t.Parallel()
	sources := precedence.New(precedence.Options{Streams: new(hub), Secrets: func(map[string]bool) {}, Known: nobody,
		Health: health.NewRegistry(time.Now)})
	for _, r := range []precedence.Row{row(nil, desired.File), row(nil, desired.SiteWise), row(nil, desired.KVS, desired.MQTT)} {
		if err := sources.Add(func(*precedence.Source) (precedence.Row, error) { return r, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for origin, of := range map[desired.Origin]string{
		desired.File: "file", desired.SiteWise: "sitewise", desired.KVS: "kvs", desired.MQTT: "kvs", "nowhere": "",
	} {
		stream := desired.Stream{Name: "door", Origin: origin}
		if got := sources.SyncOf(stream).Status; got != of {
			t.Errorf("%s: sync status of %q, want %q", origin, got, of)
		}
		if got := sources.Deletion(stream); of != "" && got != "ask "+of+" for door" || !strings.Contains(got, "door") {
			t.Errorf("%s: %s", origin, got)
		}
	}
	var rows []desired.Origin
	for _, r := range sources.Rows() {
		rows = append(rows, r.Origins[0])
	}
	if !slices.Equal(rows, []desired.Origin{desired.File, desired.SiteWise, desired.KVS}) {
		t.Errorf("the rows of %v", rows)
	}
}

// TestPlacesOfURLs has two sources of which one holds the URLs itself.
func TestPlacesOfURLs(t *testing.T) {
	t.Parallel()
	sources := precedence.New(precedence.Options{Streams: new(hub), Secrets: func(map[string]bool) {}, Known: nobody,
		Health: health.NewRegistry(time.Now)})
	files := row(nil, desired.File)
	files.Place = func(stream string) address.Place { return address.InFile(stream + ".json") }
	for _, r := range []precedence.Row{files, row(nil, desired.KVS)} {
		if err := sources.Add(func(*precedence.Source) (precedence.Row, error) { return r, nil }); err != nil {
			t.Fatal(err)
		}
	}
	own := desired.Media{URL: secret.New("rtsp://10.0.0.7/")}
	const ofSecret, ofFile = "Correct the secret's MediaURI.", "Correct the MediaURI in the stream file door.json."
	for name, c := range map[string]struct {
		stream desired.Stream
		want   string
	}{
		"in the file":                         {desired.Stream{Name: "door", Origin: desired.File, Media: own}, ofFile},
		"in a secret that the file names":     {desired.Stream{Name: "door", Origin: desired.File}, ofSecret},
		"in the secret of a configuration":    {desired.Stream{Name: "door", Origin: desired.KVS}, ofSecret},
		"of a source that knows of no places": {desired.Stream{Name: "door", Origin: desired.KVS, Media: own}, ofSecret},
		"of a source that is gone":            {desired.Stream{Name: "door", Origin: "nowhere", Media: own}, ofSecret},
	} {
		if got := sources.Place(c.stream).Text(ofSecret); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestWhatIsNoSource adds rows that are not complete, or in the wrong order.
func TestWhatIsNoSource(t *testing.T) {
	t.Parallel()
	bad := errors.New("it cannot be built")
	for name, c := range map[string]struct {
		edit func(*precedence.Row)
		err  error
	}{
		"it cannot be built":         {err: bad, edit: func(*precedence.Row) {}},
		"no origin":                  {edit: func(r *precedence.Row) { r.Origins = nil }},
		"an origin without a rank":   {edit: func(r *precedence.Row) { r.Origins = []desired.Origin{"nowhere"} }},
		"origins of two sources":     {edit: func(r *precedence.Row) { r.Origins = append(r.Origins, desired.SiteWise) }},
		"one that was added already": {edit: func(r *precedence.Row) { r.Origins = []desired.Origin{desired.SiteWise} }},
		"one that comes before":      {edit: func(r *precedence.Row) { r.Origins = []desired.Origin{desired.File} }},
		"no sync status":             {edit: func(r *precedence.Row) { r.Sync = nil }},
		"no sentence of a deletion":  {edit: func(r *precedence.Row) { r.Deletion = nil }},
		"nothing to wait for":        {edit: func(r *precedence.Row) { r.Await = "" }},
		"nothing to correct":         {edit: func(r *precedence.Row) { r.Refused = "" }},
	} {
		sources := precedence.New(precedence.Options{Streams: new(hub), Secrets: func(map[string]bool) {}, Known: nobody,
			Health: health.NewRegistry(time.Now)})
		first := sources.Add(func(*precedence.Source) (precedence.Row, error) { return row(nil, desired.SiteWise), nil })
		next := row(nil, desired.KVS)
		c.edit(&next)
		if err := sources.Add(func(*precedence.Source) (precedence.Row, error) { return next, c.err }); first != nil || err == nil {
			t.Errorf("%s: %v, %v", name, first, err)
		}
	}
}

// TestItIsKnownWhatAllWantWhenEachSaysSo takes two sources from nothing to all, and back to what is unclear.
func TestItIsKnownWhatAllWantWhenEachSaysSo(t *testing.T) {
	t.Parallel()
	var said []string
	sources := precedence.New(precedence.Options{
		Streams: new(hub), Secrets: func(map[string]bool) {}, Health: health.NewRegistry(time.Now),
		Known: func(k precedence.Known) { said = append(said, fmt.Sprint(k.Started, k.All, k.Unclear)) },
	})
	files, cloud := fileAndCloud(t, sources, nil)
	for i, step := range []struct {
		source  *precedence.Source
		all     bool
		unclear []string
		said    string // "": nothing new
		yard    string
	}{
		{files, false, nil, "false false []", "wait for file; and wait for kvs"},
		{files, false, nil, "", "wait for file; and wait for kvs"},
		{cloud, false, nil, "true false []", "wait for file; and wait for kvs"},
		{cloud, true, []string{"yard", "door"}, "true false [door yard]", "wait for file; and correct kvs"},
		{cloud, true, []string{"door", "yard"}, "", "wait for file; and correct kvs"}, // in whatever order
		{files, true, []string{"door"}, "true true [door yard]", "correct kvs"},
		{files, false, []string{"door"}, "", "correct kvs"}, // what was known stays known
		{cloud, false, nil, "true true [door]", ""},
		{files, true, nil, "true true []", ""},
		{files, true, []string{"yard"}, "true true [yard]", "correct file"},
		{cloud, true, []string{"yard"}, "true true [yard]", "correct file; and correct kvs"},
	} {
		said = nil
		step.source.Applied(step.all, step.unclear)
		if got := strings.Join(said, "; "); got != step.said {
			t.Errorf("step %d: it says %q, want %q", i, got, step.said)
		}
		if got := sources.Unknown("yard"); got != step.yard {
			t.Errorf("step %d: of yard it says %q, want %q", i, got, step.yard)
		}
	}
}
