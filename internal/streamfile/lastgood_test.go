package streamfile

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// TestAnUpgradeStopsNoStream starts with what 0.2.0 found right and wrote to its state, and with the same file, which is
// refused now or not. The stream runs in any case, also after one more start and without the directory.
func TestAnUpgradeStopsNoStream(t *testing.T) {
	t.Parallel()
	whole := documentOf("door", 5)
	twice := func(member, value string) string { return strings.Replace(whole, "{", "{"+member+":"+value+",", 1) }
	for name, row := range map[string]struct {
		text, says string
	}{
		"as it must be now":       {whole, ""},
		"the name twice":          {twice(`"StreamName"`, `"gate"`), "StreamName occurs twice, and must occur once"},
		"the configuration twice": {twice(`"EdgeConfig"`, `{}`), "EdgeConfig occurs twice, and must occur once"},
		"the tags twice":          {twice(`"Tags":{},"Tags"`, `{}`), "Tags occurs twice, and must occur once"},
		"a value twice": {strings.Replace(whole, `"EdgeR`, `"EdgeRetentionInHours":9,"EdgeR`, 1),
			"EdgeRetentionInHours occurs twice"},
		"a value in other letters too": {strings.Replace(whole, `"EdgeR`, `"edgeretentioninhours":9,"EdgeR`, 1),
			"EdgeRetentionInHours occurs twice"},
		"a comment twice":          {twice(`"_comment":1,"_comment"`, `2`), ""},
		"a schema twice":           {twice(`"$schema":{"a":1,"a":2},"$schema"`, `2`), ""},
		"a described member twice": {twice(`"SyncStatus":"IN_SYNC","SyncStatus"`, `"SYNCING"`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.write("door.json", row.text)
				info, err := os.Stat(h.path("door.json"))
				must(t, err)
				state, err := statefile.Open(h.stateDir, atomicfile.OS{})
				must(t, errors.Join(err, state.Write(stateFile, map[string]any{"Version": 1, "Files": []map[string]any{{
					"Name": "door.json", "Modified": info.ModTime().Format(time.RFC3339Nano), "Content": []byte(row.text), "Decides": true,
				}}})))
				for _, when := range []string{"after the upgrade", "after one more start"} {
					h.start()
					h.expect(when, "door 5h")
					h.elapse(vanishAfter + 3*readEvery)
					h.expect(when+", later", "door 5h")
					h.knows(when, "all")
					if row.says == "" {
						h.says(when)
					} else {
						h.says(when, "door.json is wrong, and what it held before stays in force for stream door: ")
						h.says(when, row.says)
					}
					h.stop()
				}
				must(t, os.RemoveAll(h.dir))
				h.start()
				defer h.stop()
				h.expect("without the directory", "door 5h")
			})
		})
	}
}

// TestAFileThatIsBeingSavedIsNotGone has a file that cannot be followed, and removes it for a moment or writes it slowly: the media
// of its stream must not get the default policy meanwhile. The state of earlier runs holds it where held says so.
func TestAFileThatIsBeingSavedIsNotGone(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		held   bool
		change func(h *hub)
		gone   bool // after vanishAfter
	}{
		"held, removed for a moment":     {true, func(h *hub) { must(h.t, os.Remove(h.path("door.json"))) }, true},
		"held, truncated":                {true, func(h *hub) { h.write("door.json", "") }, false},
		"held, half written":             {true, func(h *hub) { h.write("door.json", `{"StreamName":"do`) }, false},
		"held, not to be read":           {true, func(h *hub) { must(h.t, os.Chmod(h.path("door.json"), 0o644)) }, false},
		"wrong, removed for a moment":    {false, func(h *hub) { must(h.t, os.Remove(h.path("door.json"))) }, true},
		"wrong, truncated":               {false, func(h *hub) { h.write("door.json", "") }, false},
		"wrong, renamed to another name": {false, func(h *hub) { must(h.t, os.Rename(h.path("door.json"), h.path("a.json"))) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.write("README", "what is here")
				const hubArn = `"HubDeviceArn":"arn:aws:iot:eu-central-1:111122223333:thing/hub-1",`
				text := strings.Replace(documentOf("door", 5), `"EdgeConfig":{`, `"EdgeConfig":{`+hubArn, 1)
				h.write("door.json", text)
				if row.held {
					h.start()
					h.stop()
				}
				h.edit = func(o *Options) { o.ThingName = "hub-2" }
				h.start()
				defer h.stop()
				h.elapse(3 * readEvery)
				h.knows("at first", "all but door")
				row.change(h)
				kept := func() bool {
					h.mu.Lock()
					defer h.mu.Unlock()
					return slices.Contains(h.unclear, "door")
				}
				for past := time.Duration(0); past < vanishAfter; past += readEvery {
					h.elapse(readEvery)
					if !kept() {
						t.Fatalf("the media of door is not kept %v later", past+readEvery)
					}
				}
				h.elapse(2 * readEvery)
				if kept() == row.gone {
					t.Errorf("%v later the media of door is kept: %v", vanishAfter, !row.gone)
				}
				h.write("door.json", text)
				h.elapse(3 * readEvery)
				h.knows("when it is back", "all but door")
			})
		})
	}
}

// TestACheckNamesTheFilesThatAreNotRead has more files than are read, right and wrong ones.
func TestACheckNamesTheFilesThatAreNotRead(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ files, unread int }{
		"none": {0, 0}, "as many as are read": {maxFiles, 0}, "one more": {maxFiles + 1, 1}, "many more": {maxFiles + 30, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			for i := range row.files {
				text := "{"
				if i%2 == 0 {
					text = documentOf(fmt.Sprint("s", i), 3)
				}
				h.write(fmt.Sprintf("%04d.json", i), text)
			}
			list, err := Check(h.dir, "hub-1", false)
			if err != nil || len(list) != row.files {
				t.Fatalf("%d files, %v", len(list), err)
			}
			for i, c := range list {
				unread := strings.HasPrefix(c.Wrong, "The file is not read, as the directory has more than 1000 stream files: remove")
				if want := fmt.Sprintf("%04d.json", i); c.File != want || unread != (i >= maxFiles) {
					t.Errorf("%s: not read %v: %q, want %s", c.File, unread, c.Wrong, want)
				}
			}
		})
	}
}
