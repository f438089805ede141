package request

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

var conditionRows = []conditiontest.Row{
	{Code: "sitewise-request", Job: health.JobConfig, Limit: 25 * time.Hour, Reason: "it is shown for a day, unless a later one is followed",
		Start: func(t *testing.T) conditiontest.Case {
			r := newRig(t)
			r.start()
			asked := false
			return conditiontest.Case{
				Health: r.health, Now: time.Now, Step: time.Second,
				Raise: func() {
					if !asked {
						asked = true
						r.ask(noon, "yesterday")
					}
				},
				Repair: func() {
					r.goOn <- nil
					r.ask(noon.Add(time.Minute), span("09:00:00", "09:05:00"))
				},
			}
		}},
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
