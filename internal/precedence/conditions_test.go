package precedence_test

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	row := conditiontest.Row{Code: "stream-overruled", Job: health.JobConfig, Start: func(t *testing.T) conditiontest.Case {
		registry := health.NewRegistry(time.Now)
		sources := precedence.New(precedence.Options{Streams: new(hub), Secrets: func(map[string]bool) {}, Known: nobody,
			Health: registry})
		files, cloud := fileAndCloud(t, sources, nil)
		cloud.Apply(t.Context(), wanted(desired.KVS, conditiontest.Stream))
		return conditiontest.Case{
			Health: registry, Now: time.Now, Pass: func() {},
			Raise:  func() { files.Apply(t.Context(), wanted(desired.File, conditiontest.Stream)) },
			Repair: func() { files.Apply(t.Context(), nil) },
		}
	}}
	for _, way := range conditiontest.Ways {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			conditiontest.Check(t, row, way)
		})
	}
}
