package streamfile

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// conditionRows are the conditions of stream files, in synctest's time.
var conditionRows = []conditiontest.Row{
	{Code: "stream-file", Job: health.JobConfig, Start: followed(func(h *hub) (undo func()) {
		h.write("door.json", "no JSON")
		return func() { h.write("door.json", documentOf("door", 5)) }
	})},
	{Code: "stream-files", Job: health.JobConfig, Start: followed(func(h *hub) (undo func()) {
		must(h.t, os.Rename(h.dir, h.dir+".away"))
		return func() { must(h.t, os.Rename(h.dir+".away", h.dir)) }
	})},
	{Code: "stream-files", Job: health.JobConfig, Start: followed(func(h *hub) (undo func()) {
		answer := h.hang()
		h.t.Cleanup(answer)
		return answer
	})},
	{Code: "stream-files", Job: health.JobConfig, Start: of(nil, func(h *hub) (undo func()) {
		return func() { h.write("README", "no streams here") }
	})},
	{Code: "stream-files", Job: health.JobConfig, Start: of(nil, func(h *hub) (undo func()) {
		return func() { h.write("door.json", documentOf("door", 5)) }
	})},
	{Code: "stream-file-state", Job: health.JobConfig, Start: followed(func(h *hub) (undo func()) {
		must(h.t, os.RemoveAll(h.stateDir))
		must(h.t, os.WriteFile(h.stateDir, nil, 0o600)) // root writes anywhere else
		return func() { must(h.t, os.Remove(h.stateDir)) }
	})},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, way) })
			})
		}
	}
}

// followed is a directory with one stream, and README.
func followed(arrange func(*hub) (undo func())) func(*testing.T) conditiontest.Case {
	return of(map[string]string{"door.json": documentOf("door", 5), "README": "what is here"}, arrange)
}

// of is a directory with these files at the start.
func of(files map[string]string, arrange func(*hub) (undo func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		h := newHub(t)
		for name, text := range files {
			h.write(name, text)
		}
		h.start()
		t.Cleanup(h.stop)
		var undo func()
		return conditiontest.Case{
			Health: h.health, Now: time.Now, Step: time.Second,
			Raise: func() {
				if undo == nil {
					undo = arrange(h)
				}
			},
			Repair: func() { undo() },
			Ways:   map[conditiontest.Way]func(){conditiontest.Configuration: func() { h.write("yard.json", documentOf("yard", 5)) }},
		}
	}
}

// TestADirectoryWithoutStreams says so for as long as media is kept because of it, and no longer.
func TestADirectoryWithoutStreams(t *testing.T) {
	t.Parallel()
	const unknown = "so it is not known whether streams are configured there, and media of streams without a configuration is kept"
	before := func(files map[string]string) func(h *hub) { // a run before, after which they are removed
		return func(h *hub) {
			for name, text := range files {
				h.write(name, text)
			}
			h.start()
			h.stop()
			for name := range files {
				must(h.t, os.Remove(h.path(name)))
			}
		}
	}
	removed := func(h *hub) { // the last stream file, and then README
		h.write("door.json", documentOf("door", 5))
		h.start()
		h.stop()
		must(h.t, os.Remove(h.path("door.json")))
		before(map[string]string{"README": "no streams here"})(h)
	}
	for name, row := range map[string]struct {
		before func(h *hub)
		away   bool // there is no such directory
		says   []string
		knows  string
	}{
		"empty": {func(*hub) {}, false, []string{"has no file at all, " + unknown + ": mount its disk, or put a file of any other name there, " +
			"such as README."}, "not all"},
		"empty, and known to have none": {removed, false, nil, "all"},
		"empty, with a file that is wrong by now": {func(h *hub) {
			h.edit = func(o *Options) { o.NoCloud = true }
			before(map[string]string{"door.json": `{"StreamName":"door","EdgeConfig":{"HubDeviceArn":` +
				`"arn:aws:iot:eu-central-1:111122223333:thing/hub-1",` + source + `}}`})(h)
			h.edit = func(o *Options) { o.ThingName = "hub-2" }
		}, false, []string{"has no file at all, " + unknown}, "all but door"},
		"missing": {func(*hub) {}, true, []string{"cannot be read (no such file or directory), " + unknown + ". Create it, readable for the " +
			"agent's group (chgrp kvs-edge-agent, chmod 0750), and put a file such as README there if it is to have no streams, or correct"},
			"not all"},
		"missing, and known to have none": {removed, true, []string{"so there are no streams from files. Create it, readable for the " +
			"agent's group (chgrp kvs-edge-agent, chmod 0750), or correct"}, "all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				row.before(h)
				if row.away {
					must(t, os.Remove(h.dir))
				}
				h.start()
				defer h.stop()
				h.elapse(vanishAfter)
				h.says("at first", row.says...)
				h.knows("at first", row.knows)
				for _, c := range h.health.Component("", health.JobConfig).Snapshot().Conditions {
					if c.Severity != health.Info {
						t.Errorf("%s is %v", c.Code, c.Severity)
					}
				}
				must(t, os.MkdirAll(h.dir, 0o750))
				h.write("README", "no streams here")
				h.elapse(vanishAfter + 2*readEvery)
				h.says("with a README")
				h.knows("with a README", "all")
			})
		})
	}
}
