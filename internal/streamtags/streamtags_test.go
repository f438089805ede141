package streamtags_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamtags"
)

func dirOf(t *testing.T) statefile.Dir {
	t.Helper()
	dir, err := statefile.Open(filepath.Join(t.TempDir(), "state"), atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTagsOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := dirOf(t)
	m := streamtags.Open(dir, nil)
	if _, known := m.Of("door"); known {
		t.Error("tags that were never read are known")
	}
	wanted := desired.Tags{Upload: "on-request", MainOf: "door-sub", Camera: "entrance"}
	m.Read("door", wanted)
	m.Read("yard", desired.Tags{}) // it has none, which is known too
	m.Read("gone", wanted)
	m.Forget("gone")
	m.Forget("never known")
	for what, m := range map[string]*streamtags.Memory{"the first": m, "the next": streamtags.Open(dir, nil)} {
		if tags, known := m.Of("door"); !known || tags != wanted {
			t.Errorf("%s start knows %+v, %v of the door", what, tags, known)
		}
		if tags, known := m.Of("yard"); !known || tags != (desired.Tags{}) {
			t.Errorf("%s start knows %+v, %v of the yard", what, tags, known)
		}
		if _, known := m.Of("gone"); known {
			t.Errorf("%s start knows a stream that was forgotten", what)
		}
	}
	var none *streamtags.Memory
	if _, known := none.Of("door"); known {
		t.Error("without a memory tags are known")
	}
	none.Forget("door")
}

// TestTheFileIsWrittenOnlyWhenItHasTo, to spare the flash: at each change, and again when somebody removed it.
func TestTheFileIsWrittenOnlyWhenItHasTo(t *testing.T) {
	t.Parallel()
	dir := dirOf(t)
	path := filepath.Join(dir.Path(), "stream-tags.json")
	m := streamtags.Open(dir, nil)
	m.Read("door", desired.Tags{Upload: "live"})
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	m.Read("door", desired.Tags{Upload: "live"})
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("the same tags are written again: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	m.Read("door", desired.Tags{Upload: "live"})
	if _, known := streamtags.Open(dir, nil).Of("door"); !known {
		t.Error("a file that was removed is not written again")
	}
	// Where it cannot be written, the next reading of the same tags tries again.
	if err := os.RemoveAll(dir.Path()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Path(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.Read("door", desired.Tags{Upload: "scheduled"})
	if err := os.Remove(dir.Path()); err != nil {
		t.Fatal(err)
	}
	m.Read("door", desired.Tags{Upload: "scheduled"})
	if tags, _ := streamtags.Open(dir, nil).Of("door"); tags.Upload != "scheduled" {
		t.Errorf("after a failure %+v is saved", tags)
	}
}

// TestADamagedFileIsNotBelieved, nor one with what no stream has.
func TestADamagedFileIsNotBelieved(t *testing.T) {
	t.Parallel()
	dir := dirOf(t)
	if err := dir.Write("stream-tags.json", map[string]map[string]string{
		"../door": {desired.TagUpload: "live"}, "long": {desired.TagUpload: strings.Repeat("x", 2000)},
		"door": {desired.TagUpload: "live", "kvs-edge:other": "of a later version"},
	}); err != nil {
		t.Fatal(err)
	}
	m := streamtags.Open(dir, nil)
	if tags, known := m.Of("door"); !known || tags != (desired.Tags{Upload: "live"}) {
		t.Errorf("of the door %+v is known", tags)
	}
	for _, name := range []string{"../door", "long"} {
		if _, known := m.Of(name); known {
			t.Errorf("%.10s is known", name)
		}
	}
	path := filepath.Join(dir.Path(), "stream-tags.json")
	if err := os.WriteFile(path, []byte(`{"document":`), 0o600); err != nil {
		t.Fatal(err)
	}
	m = streamtags.Open(dir, nil)
	if _, known := m.Of("door"); known {
		t.Error("a torn file is believed")
	}
}
