package streamfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	before   = "door 5h, yard 7h" // what runs before a file is saved
	settled  = 3 * readEvery
	vanished = vanishAfter + 2*readEvery
)

// saved is something that happens to the file of the stream door while another one, yard, runs.
type saved struct {
	change func(h *hub)
	wait   time.Duration
	want   string
	says   []string
	undo   func(h *hub) // nil: there is nothing to undo
	after  string

	rewrites bool // the file of the other stream too
}

// test has the change happen, and be undone. The other stream never notices.
func (s saved) test(t *testing.T) {
	h := newHub(t)
	h.write("door.json", documentOf("door", 5))
	h.write("yard.json", documentOf("yard", 7))
	h.start()
	defer h.stop()
	h.expect("at first", before)
	yard := h.of("yard")
	h.elapse(settled)
	s.change(h)
	h.elapse(s.wait)
	h.expect("after it", s.want)
	h.says("after it", s.says...)
	if s.undo != nil {
		s.undo(h)
		h.elapse(settled)
		h.expect("in the end", s.after)
		h.says("in the end")
	}
	if s.rewrites {
		yard.Version = h.of("yard").Version
	}
	if h.of("yard") != yard {
		t.Error("the other stream was changed")
	}
}

// TestHowFilesAreSaved changes the directory as people, editors and other programs do.
func TestHowFilesAreSaved(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]saved{
		"rewritten in place": {func(h *hub) { h.write("door.json", documentOf("door", 9)) }, settled, "door 9h, yard 7h", nil, nil, "", false},
		"removed and renamed into place": {func(h *hub) {
			must(h.t, os.Remove(h.path("door.json")))
			h.elapse(vanishAfter - readEvery)
			h.expect("between removing and renaming", before)
			h.write(".door.json.new", documentOf("door", 9))
			must(h.t, os.Rename(h.path(".door.json.new"), h.path("door.json")))
		}, settled, "door 9h, yard 7h", nil, nil, "", false},
		"truncated and written slowly": {func(h *hub) {
			whole := documentOf("door", 9)
			for _, part := range []string{"", whole[:20], whole[:60], whole} {
				h.write("door.json", part)
				h.elapse(readEvery)
			}
		}, settled, "door 9h, yard 7h", nil, nil, "", false},
		"a copy of an editor beside it": {func(h *hub) {
			h.write("door.json~", "no JSON")
			h.write(".door.json.swp", "no JSON")
			h.write("README", "what is here")
		}, settled, before, nil, nil, "", false},
		"wrong JSON": {func(h *hub) { h.write("door.json", `{"StreamName": "door",,}`) }, settled, before,
			[]string{"door.json is wrong, and what it held before stays in force for stream door: The file is not JSON: the first " +
				"error is in line 1, column 23"},
			func(h *hub) { h.write("door.json", documentOf("door", 9)) }, "door 9h, yard 7h", false},
		"emptied": {func(h *hub) { h.write("door.json", "") }, settled, before, []string{"The file is empty"},
			func(h *hub) { h.write("door.json", documentOf("door", 5)) }, before, false},
		"a wrong value": {func(h *hub) { h.write("door.json", documentOf("door", 9000)) }, settled, before,
			[]string{"EdgeConfig.DeletionConfig.EdgeRetentionInHours is 9000: it must be 1 to 720"},
			func(h *hub) { h.write("door.json", documentOf("door", 9)) }, "door 9h, yard 7h", false},
		"mode 0644": {func(h *hub) { must(h.t, os.Chmod(h.path("door.json"), 0o644)) }, settled, before,
			[]string{"door.json is wrong, and what it held before stays in force for stream door: The file has the mode 0644, and must have 0640 " +
				"or less"},
			func(h *hub) { must(h.t, os.Chmod(h.path("door.json"), 0o600)) }, before, false},
		"a third one with mode 0644": {func(h *hub) {
			h.write("gate.json", documentOf("gate", 3))
			must(h.t, os.Chmod(h.path("gate.json"), 0o644))
		}, settled, before, []string{"gate.json is wrong, and is not followed: The file has the mode 0644"},
			func(h *hub) { must(h.t, os.Chmod(h.path("gate.json"), 0o440)) }, "door 5h, gate 3h, yard 7h", false},
		"an odd name": {func(h *hub) { h.write("a\x1b[31m\n.json", "x") }, settled, before,
			[]string{"\ufffd[31m .json is wrong, and is not followed: The file is not JSON"},
			func(h *hub) { must(h.t, os.Remove(h.path("a\x1b[31m\n.json"))) }, before, false},
		"a pipe": {func(h *hub) { must(h.t, syscall.Mkfifo(h.path("gate.json"), 0o640)) }, settled, before,
			[]string{"The file must be a regular file"}, func(h *hub) { must(h.t, os.Remove(h.path("gate.json"))) }, before, false},
		"too large": {func(h *hub) { h.write("gate.json", strings.Repeat(" ", maxFile+1)) }, settled, before,
			[]string{"The file has 65537 bytes; at most 65536 are allowed"}, func(h *hub) { must(h.t, os.Remove(h.path("gate.json"))) }, before,
			false},
		"the same stream in a second file": {func(h *hub) { h.write("a.json", documentOf("door", 9)) }, settled, before,
			[]string{`a.json is not followed: StreamName is "door", but must not be that of another file, as it is of door.json`},
			func(h *hub) { must(h.t, os.Remove(h.path("door.json"))) }, "door 9h, yard 7h", false},
		"renamed": {func(h *hub) { must(h.t, os.Rename(h.path("door.json"), h.path("a.json"))) }, vanished, before, nil,
			nil, "", false},
		"another stream in the file": {func(h *hub) { h.write("door.json", documentOf("gate", 5)) }, settled, "gate 5h, yard 7h", nil, nil,
			"", false},
		"removed": {func(h *hub) { must(h.t, os.Remove(h.path("door.json"))) }, vanished, "yard 7h", nil,
			func(h *hub) { h.write("door.json", documentOf("door", 5)) }, before, false},
		"wrong, then removed": {func(h *hub) {
			h.write("door.json", "x")
			h.elapse(settled)
			must(h.t, os.Remove(h.path("door.json")))
		}, vanished, "yard 7h", nil, nil, "", false},
		"all removed": {func(h *hub) {
			must(h.t, os.Remove(h.path("door.json")))
			must(h.t, os.Remove(h.path("yard.json")))
		}, vanished, before, []string{"has no file at all, as if its disk were not mounted, so its streams stay as before: door, yard"},
			func(h *hub) { h.write("README", "no streams here") }, before, false},
		"the directory removed": {func(h *hub) { must(h.t, os.RemoveAll(h.dir)) }, vanished, before,
			[]string{"cannot be read (no such file or directory), so its streams stay as before: door, yard"},
			func(h *hub) {
				must(h.t, os.Mkdir(h.dir, 0o750))
				h.write("yard.json", documentOf("yard", 7))
				h.write("door.json", documentOf("door", 9))
			}, "door 9h, yard 7h", true},
		"replaced by a file": {func(h *hub) {
			must(h.t, os.RemoveAll(h.dir))
			must(h.t, os.WriteFile(h.dir, nil, 0o600))
		}, vanished, before, []string{"cannot be read (not a directory)"}, func(h *hub) {
			must(h.t, os.Remove(h.dir))
			must(h.t, os.Mkdir(h.dir, 0o750))
			h.write("yard.json", documentOf("yard", 7))
		}, before, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, row.test)
		})
	}
}

// After the last file is removed from a directory that has others, its stream stops.
func TestTheLastStreamFileMayGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.write("README", "what is here")
		h.write("door.json", documentOf("door", 5))
		h.start()
		defer h.stop()
		must(t, os.Rename(h.path("door.json"), h.path("door.json.off")))
		h.elapse(vanishAfter - readEvery)
		h.expect("within 10 s", "door 5h")
		h.elapse(2 * readEvery)
		h.expect("after 10 s", "")
		h.says("after 10 s")
	})
}

// A start uses the last good contents where the files cannot be read or are wrong.
func TestAStartWithTheLastGoodContents(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(h *hub)
		want   string
		says   []string
	}{
		"nothing changed":    {func(*hub) {}, "door 5h, yard 7h", nil},
		"the directory gone": {func(h *hub) { must(h.t, os.RemoveAll(h.dir)) }, "door 5h, yard 7h", []string{"cannot be read"}},
		"the directory empty": {func(h *hub) { must(h.t, os.RemoveAll(h.dir)); must(h.t, os.Mkdir(h.dir, 0o750)) }, "door 5h, yard 7h",
			[]string{"no file at all"}},
		"a file wrong":   {func(h *hub) { h.write("door.json", "x") }, "door 5h, yard 7h", []string{"stays in force for stream door"}},
		"a file gone":    {func(h *hub) { must(h.t, os.Remove(h.path("door.json"))) }, "yard 7h", nil},
		"a file changed": {func(h *hub) { h.write("door.json", documentOf("door", 9)) }, "door 9h, yard 7h", nil},
		"the state gone": {func(h *hub) { must(h.t, os.Remove(filepath.Join(h.stateDir, stateFile))) }, "door 5h, yard 7h", nil},
		"the state damaged": {func(h *hub) { must(h.t, os.WriteFile(filepath.Join(h.stateDir, stateFile), []byte("x"), 0o600)) },
			"door 5h, yard 7h",
			nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.write("door.json", documentOf("door", 5))
				h.write("yard.json", documentOf("yard", 7))
				h.start()
				h.stop()
				row.change(h)
				h.start()
				defer h.stop()
				h.expect("at the start", row.want)
				h.elapse(3 * readEvery)
				h.expect("then", row.want)
				h.says("then", row.says...)
				if info, err := os.Stat(filepath.Join(h.stateDir, stateFile)); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("the state: %v, %v", info, err)
				}
			})
		})
	}
}

// A directory on a server that is away holds up neither a start, nor what runs, nor a stop. It is asked once.
func TestADirectoryThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slow = "cannot be read (no answer within 3 s), so its streams stay as before: door, yard. Restore the server"
		h := newHub(t)
		h.write("door.json", documentOf("door", 5))
		h.write("yard.json", documentOf("yard", 7))
		h.start()
		h.stop()
		h.write("door.json", documentOf("door", 9))
		must(t, os.Remove(h.path("yard.json")))
		answer := h.hang()
		defer answer()
		h.readings.Store(0)
		started := time.Now()
		h.start()
		if took := time.Since(started); took != readPatience {
			t.Errorf("the start took %v", took)
		}
		h.expect("at the start", "door 5h, yard 7h")
		h.says("at the start", slow)
		h.elapse(time.Minute)
		h.expect("a minute later", "door 5h, yard 7h")
		if n := h.readings.Load(); n != 1 {
			t.Errorf("the directory that hangs is read %d times", n)
		}
		answer()
		h.elapse(2 * readEvery)
		h.expect("when it answers", "door 9h, yard 7h")
		h.says("when it answers")
		h.elapse(vanishAfter)
		h.expect("10 s later", "door 9h")

		answer = h.hang()
		defer answer()
		h.elapse(time.Minute)
		h.expect("while it runs", "door 9h")
		started = time.Now()
		h.stop()
		if took := time.Since(started); took > 0 {
			t.Errorf("the stop took %v", took)
		}
	})
}

// What the last good contents want is known before the directory is read, so that no other source takes it.
func TestTheLastGoodContentsAreWantedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.write("door.json", documentOf("door", 5))
		h.start()
		h.stop()
		must(t, os.RemoveAll(h.dir))
		state, err := statefile.Open(h.stateDir, atomicfile.OS{})
		must(t, err)
		f := New(Options{
			Dir: h.dir, ThingName: "hub-1", State: state, Applier: h, Now: time.Now, Log: zap.NewNop(),
			Health: h.health.Component("", health.JobConfig),
		})
		if got := f.Restored(); len(got) != 1 || got["door"] != h.of("door") {
			t.Errorf("wanted is %+v, want %+v", got, h.of("door"))
		}
	})
}

// Of two files with one stream the one that was followed before decides, also over restarts.
func TestWhichOfTwoFilesDecidesStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.write("b.json", documentOf("door", 5))
		h.start()
		h.write("a.json", documentOf("door", 9))
		h.elapse(3 * readEvery)
		h.stop()
		for range 2 {
			h.start()
			h.elapse(3 * readEvery)
			h.expect("after a restart", "door 5h")
			h.says("after a restart", "a.json is not followed")
			h.stop()
		}
		must(t, os.Rename(h.dir, h.dir+".away"))
		h.start()
		h.expect("without the directory", "door 5h")
		must(t, os.Rename(h.dir+".away", h.dir))
		must(t, os.Remove(h.path("b.json")))
		h.elapse(vanishAfter + 2*readEvery)
		h.expect("when it is gone", "door 9h")
		h.stop()
		h.write("b.json", documentOf("door", 5))
		h.start()
		defer h.stop()
		h.expect("when the other one comes back", "door 9h")
	})
}

// What is not changed is not applied again, and a directory that nobody made is information.
func TestAQuietDirectoryCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.write("door.json", documentOf("door", 5))
		h.start()
		h.elapse(time.Minute)
		if n := h.calls(); n != 1 {
			t.Errorf("it is applied %d times", n)
		}
		if got := h.sync("door"); got != "IN_SYNC" {
			t.Errorf("sync status %q", got)
		}
		h.write("door.json", "x")
		h.elapse(3 * readEvery)
		if got := h.sync("door"); !strings.HasPrefix(got, "SYNC_FAILED The file door.json is wrong") {
			t.Errorf("sync status %q", got)
		}
		h.stop()

		h.dir, h.stateDir = filepath.Join(t.TempDir(), "none"), t.TempDir()
		h.start()
		h.elapse(time.Minute)
		h.says("without a directory", "so it is not known whether streams are configured there, and media of "+
			"streams without a configuration is kept. Create it, readable for the agent's group (chgrp kvs-edge-agent, chmod 0750), and put a "+
			"file such as README there if it is to have no streams")
		h.knows("without a directory", "not all")
		h.stop()
	})
}

// A changed outcome is asked for again: another source may have taken over, or given back.
func TestAChangedOutcomeIsAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1)
		h := newHub(t)
		h.edit = func(o *Options) { o.OutcomeChanged = changed }
		h.write("door.json", documentOf("door", 5))
		h.start()
		defer h.stop()
		changed <- struct{}{}
		synctest.Wait()
		if n := h.calls(); n != 2 {
			t.Errorf("it is applied %d times, want 2", n)
		}
	})
}

// TestWhatIsKnownOfTheFiles has starts without what was right before, and with it.
func TestWhatIsKnownOfTheFiles(t *testing.T) {
	t.Parallel()
	forget := func(h *hub) { must(h.t, os.Remove(filepath.Join(h.stateDir, stateFile))) }
	for name, row := range map[string]struct {
		change func(h *hub)
		knows  string
	}{
		"nothing changed":              {func(*hub) {}, "all"},
		"the state gone":               {forget, "all"},
		"the directory gone":           {func(h *hub) { must(h.t, os.RemoveAll(h.dir)) }, "all"},
		"both gone":                    {func(h *hub) { forget(h); must(h.t, os.RemoveAll(h.dir)) }, "not all"},
		"the directory empty":          {func(h *hub) { forget(h); must(h.t, os.Remove(h.path("door.json"))) }, "not all"},
		"other files only":             {func(h *hub) { forget(h); must(h.t, os.Rename(h.path("door.json"), h.path("door.off"))) }, "all"},
		"a file wrong":                 {func(h *hub) { h.write("door.json", `{"StreamName":"door"}`) }, "all"},
		"a file wrong, the state gone": {func(h *hub) { forget(h); h.write("door.json", `{"StreamName":"door"}`) }, "all but door"},
		"no JSON, the state gone":      {func(h *hub) { forget(h); h.write("door.json", `{"StreamName":"door"`) }, "not all"},
		"no name, the state gone":      {func(h *hub) { forget(h); h.write("door.json", `{"StreamName":"../door"}`) }, "not all"},
		"not to be read":               {func(h *hub) { forget(h); must(h.t, os.Chmod(h.path("door.json"), 0o644)) }, "not all"},
		"another file of the stream":   {func(h *hub) { forget(h); h.write("a.json", `{"StreamName":"door"}`) }, "all"},
		"wrong by now, and no directory": {func(h *hub) {
			h.edit = func(o *Options) { o.ThingName = "hub-2" }
			must(h.t, os.RemoveAll(h.dir))
		}, "all but door"},
		"the state of another version": {func(h *hub) {
			state, err := statefile.Open(h.stateDir, atomicfile.OS{})
			must(h.t, errors.Join(err, state.Write(stateFile, map[string]any{"Version": 2}), os.RemoveAll(h.dir)))
		}, "not all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				hubArn := `"HubDeviceArn":"arn:aws:iot:eu-central-1:111122223333:thing/hub-1",`
				h.write("door.json", strings.Replace(documentOf("door", 5), `"EdgeConfig":{`, `"EdgeConfig":{`+hubArn, 1))
				h.start()
				h.stop()
				row.change(h)
				for range 2 { // what is not right any more is kept on disk
					h.start()
					h.elapse(3 * readEvery)
					h.knows("then", row.knows)
					h.stop()
				}
			})
		})
	}
}

// The sentence names the file that is to be removed, as soon as it decides.
func TestWhichFileIsToBeRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.write("front.json", documentOf("door", 5))
		h.start()
		defer h.stop()
		want := "Stream door is configured for this hub by a stream file (" + h.path("front.json") + "): remove that first, and 10 s later"
		if got := h.files.Deletion("door"); !strings.HasPrefix(got, want) {
			t.Errorf("it says %q, want %q", got, want)
		}
		if got := h.files.Place("door").Text("Correct the secret's MediaURI."); !strings.Contains(got, h.path("front.json")) {
			t.Errorf("it says %q", got)
		}
	})
}
