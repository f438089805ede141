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

func followed(arrange func(*hub) (undo func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		h := newHub(t)
		h.write("door.json", documentOf("door", 5))
		h.write("README", "what is here")
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
