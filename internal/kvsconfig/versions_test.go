package kvsconfig

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired/edgestream"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

const hubARN = "arn:aws:iot:us-west-2:123456789012:thing/hub-1"

var epochStart = time.Unix(1_700_000_000, 0)

func at(n int) time.Time { return epochStart.Add(time.Duration(n) * time.Second) }

func version(stream string, n int) edgeconfig.StreamConfig {
	return edgeconfig.StreamConfig{StreamName: stream, LastUpdated: at(n), Config: edgeconfig.EdgeConfig{HubDeviceArn: hubARN}}
}

// put is update with what the version wants.
func (d *versions) put(c edgeconfig.StreamConfig, now time.Time) freshness {
	wanted := desired.Stream{Name: c.StreamName, Version: desired.VersionOf(c.LastUpdated)}
	if s, err := edgestream.Of(c, desired.KVS); err == nil {
		wanted = s
	}
	return d.update(c, wanted, now)
}

// whole is a version with all that a configuration needs.
func whole(stream string, n int) edgeconfig.StreamConfig {
	c := version(stream, n)
	c.StreamARN = "arn:aws:kinesisvideo:us-west-2:123456789012:stream/" + stream + "/1600000000000"
	c.Config.RecorderConfig.MediaSourceConfig = edgeconfig.MediaSourceConfig{
		MediaUriSecretArn: "arn:aws:secretsmanager:us-west-2:123456789012:secret:camera-1-a1B2c3", MediaUriType: edgeconfig.RTSP,
	}
	return c
}

func TestTheNewestVersionWinsInEveryOrderOfArrival(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	type step struct {
		remove bool
		n      int
	}
	for round := range 200 {
		steps := []step{{false, 1}, {false, 2}, {true, 3}, {false, 4}, {false, 5}}
		last := 5
		if round%2 == 1 {
			steps, last = steps[:3], 3 // ends with a deletion
		}
		steps = append(steps, steps...) // each twice
		random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		d := newVersions()
		for _, s := range steps {
			if s.remove {
				if d.remove(version("cam", s.n), at(100)) == accepted {
					d.removed("cam", at(100))
				}
			} else {
				d.put(version("cam", s.n), at(100))
			}
		}
		if last == 3 {
			if got := d.wanted(); len(got) != 0 {
				t.Fatalf("%v: the stream is back with version %v", steps, got["cam"].Version.Time())
			}
			continue
		}
		if got := d.wanted(); len(got) != 1 || !got["cam"].Version.Time().Equal(at(last)) {
			t.Fatalf("%v: got %v, want version %d", steps, got, last)
		}
	}
}

func TestEachVersionIsNewRepeatedOrStale(t *testing.T) {
	t.Parallel()
	d := newVersions()
	for i, row := range []struct {
		got, want freshness
	}{
		{d.put(version("cam", 10), at(0)), accepted},
		{d.put(version("cam", 10), at(0)), repeated},
		{d.put(version("cam", 9), at(0)), stale},
		{d.put(version("cam", 11), at(0)), accepted}, // the same content, newer: jobs are to restart
		{d.refuse("cam", at(20)), accepted},
		{d.refuse("cam", at(20)), repeated},
		{d.refuse("cam", at(15)), stale},
		{d.put(version("cam", 15), at(0)), stale}, // older than what was refused
		{d.remove(version("cam", 5), at(0)), stale},
		{d.remove(version("cam", 11), at(0)), accepted}, // the deletion of that very version
	} {
		if row.got != row.want {
			t.Errorf("step %d: got freshness %d, want %d", i, row.got, row.want)
		}
	}
	d.removed("cam", at(0))
	if v := d.remove(version("cam", 11), at(0)); v != repeated {
		t.Errorf("the deletion again: got %d, want %d", v, repeated)
	}
	if v := d.put(version("cam", 11), at(0)); v != repeated {
		t.Errorf("the deleted version again: got %d, want %d", v, repeated)
	}
	if v := d.remove(version("never-seen", 1), at(0)); v != accepted || !slices.Equal(d.removals(), []string{"never-seen"}) {
		t.Errorf("an unknown stream: got %d, removals %v: there may be media of it", v, d.removals())
	}
}

// TestAbsenceNeverRemoves is for a stream that moved to another hub, and for a control plane with a fault.
func TestAbsenceNeverRemoves(t *testing.T) {
	t.Parallel()
	d := newVersions()
	d.put(version("cam", 2), at(10))
	if a := d.absences(nil, at(9), at(11)); a.unsure {
		t.Error("a listing that began before the message counts")
	}
	both, none := map[string]bool{"cam": true}, map[string]bool{}
	if a := d.absences(both, at(12), at(12)); a.unsure || len(a.left) > 0 {
		t.Fatalf("with the stream listed: %+v", a)
	}
	if a := d.absences(none, at(20), at(20)); !a.unsure || len(a.left) > 0 {
		t.Fatalf("first absence: %+v; want one more listing", a)
	}
	d.absences(both, at(30), at(30)) // it was a hiccup
	if a := d.absences(none, at(40), at(40)); !a.unsure || len(a.left) > 0 {
		t.Fatalf("first absence after it came back: %+v", a)
	}
	if a := d.absences(none, at(50), at(50)); !slices.Equal(a.left, []string{"cam"}) {
		t.Fatalf("second absence: %+v, want that it leaves", a)
	}
	if left, going := d.wanted().Names(), d.removals(); len(left)+len(going) > 0 {
		t.Errorf("still there: %v; to be removed with the media: %v", left, going)
	}
	if v := d.put(version("cam", 2), at(60)); v != repeated {
		t.Errorf("the message that comes twice brought it back: %d", v)
	}
	d.relist("cam")
	if v := d.put(version("cam", 2), at(60)); v != accepted {
		t.Errorf("a listing that shows it again was not believed: %d", v)
	}
	d.absences(none, at(70), at(70))
	d.absences(none, at(80), at(80))
	if v := d.remove(version("cam", 1), at(90)); v != stale {
		t.Errorf("the deletion of a version before: %d", v)
	}
	if v := d.remove(version("cam", 2), at(90)); v != accepted || !slices.Equal(d.removals(), []string{"cam"}) {
		t.Errorf("its deletion is not followed: %d", v)
	}
}

// An earlier version of the agent removed a stream for its absence; an update must not complete that.
func TestARemovalForAbsenceThatAVersionBeforeBeganDeletesNothing(t *testing.T) {
	t.Parallel()
	var doc lastGood
	text := `{"Version":1,"Streams":[{"StreamName":"cam","LastUpdated":"2026-11-21T04:00:00Z","Listed":true,"Removing":true,"ByAbsence":true},
		{"StreamName":"deleted","LastUpdated":"2026-11-21T04:00:00Z","Listed":true,"Removing":true}]}`
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	d := newVersions()
	if out := d.restore(doc, at(0), func(string) bool { return true }); len(out) > 0 {
		t.Fatal(out)
	}
	if got := d.removals(); !slices.Equal(got, []string{"deleted"}) {
		t.Errorf("to be removed: %v", got)
	}
	if _, ok := d.gone["cam"]; !ok {
		t.Error("nothing keeps an old message from bringing it back")
	}
}

func TestAListingThatBeganBeforeAChangeSaysNothingAboutIt(t *testing.T) {
	t.Parallel()
	d := newVersions()
	d.put(version("cam", 1), at(0))
	d.absences(map[string]bool{"cam": true}, at(1), at(1))
	d.absences(nil, at(2), at(2))
	d.put(version("cam", 10), at(10))
	if a := d.absences(nil, at(9), at(11)); a.unsure || len(a.left) > 0 {
		t.Errorf("%+v", a)
	}
}

func TestTheSetSurvivesTheDisk(t *testing.T) {
	t.Parallel()
	d := newVersions()
	d.put(whole("kept", 1), at(0))
	d.absences(map[string]bool{"kept": true}, at(1), at(1))
	d.put(whole("going", 1), at(0))
	d.remove(version("going", 2), at(0))
	d.remove(version("going-unknown", 2), at(0))
	d.remove(version("gone", 3), at(0))
	d.removed("gone", at(3))
	doc, err := d.document(at(4))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var back lastGood
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	other := newVersions()
	ours := func(arn string) bool { return arn == hubARN }
	if leftOut := other.restore(back, at(4), ours); len(leftOut) > 0 {
		t.Fatalf("left out: %v", leftOut)
	}
	if diff := cmp.Diff(d.wanted(), other.wanted(), cmp.Comparer(func(a, b desired.Stream) bool { return a == b })); diff != "" {
		t.Errorf("configurations (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(d.removals(), other.removals()); diff != "" {
		t.Errorf("removals (-before +after):\n%s", diff)
	}
	if v := other.put(version("gone", 3), at(5)); v != repeated {
		t.Errorf("the deletion is forgotten: freshness %d", v)
	}

	elsewhere := newVersions()
	if leftOut := elsewhere.restore(back, at(4), func(string) bool { return false }); len(leftOut) != 2 ||
		len(elsewhere.wanted()) > 0 {
		t.Errorf("on another hub: left out %v, kept %v", leftOut, elsewhere.wanted().Names())
	}
	old, err := d.document(at(4).Add(forgetAfter))
	if err != nil || len(old.Gone) != 0 {
		t.Errorf("old deletions are kept for ever: %v, %v", old.Gone, err)
	}
}

func TestTheMemoryOfDeletionsIsBounded(t *testing.T) {
	t.Parallel()
	d := newVersions()
	for i := range maxTombstones + 50 {
		name := fmt.Sprintf("cam-%d", i)
		d.remove(version(name, i), at(i))
		d.removed(name, at(i))
	}
	if len(d.gone) != maxTombstones {
		t.Errorf("%d deletions are remembered, want %d", len(d.gone), maxTombstones)
	}
	if _, ok := d.gone["cam-0"]; ok {
		t.Error("the oldest is still remembered")
	}
}
