package agent

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/camerasecret"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// configuration is how the hub learns what it is to do, and how it answers.
type configuration struct {
	sources *precedence.Sources
	cameras *camerasecret.Cache

	health *health.Component
	log    *zap.Logger
}

// loadPatience is how long sources wait at the start for one that takes precedence over them, and may want the same streams.
const loadPatience = 5 * time.Second

// run applies the last good configurations at once, then follows the sources until ctx ends. It returns nil.
func (c *configuration) run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	keep := func(task precedence.Task) {
		group.Go(func() {
			_ = supervise.Keep(ctx, supervise.Options{What: task.What, Component: c.health, Log: c.log},
				func(ctx context.Context) error { task.Run(ctx); return nil })
		})
	}
	keep(precedence.Task{What: "Reading the cameras' secrets", Run: c.cameras.Run})
	for _, source := range c.sources.Rows() {
		if source.Start != nil {
			source.Start(ctx)
		}
		for _, task := range source.Tasks {
			keep(task)
		}
		if source.Loaded == nil {
			continue
		}
		patience := time.NewTimer(loadPatience)
		select {
		case <-source.Loaded:
		case <-patience.C:
		case <-ctx.Done():
		}
		patience.Stop()
	}
	return nil
}

// known has retention go as far as it is known what the sources want.
func (a *Agent) known(k precedence.Known) {
	switch {
	case k.All:
		a.retention.Applied(k.Unclear...)
	case k.Started:
		a.retention.Begin()
	}
}

// streamFiles is the source of the hub's own files.
func (a *Agent) streamFiles(c *configuration, source *precedence.Source, dir statefile.Dir) precedence.Row {
	s := a.settings()
	files := streamfile.New(streamfile.Options{
		Dir: s.StreamsDirectory, ThingName: s.IoT.ThingName, NoCloud: s.NoCloud, State: dir, Applier: source,
		OutcomeChanged: source.Changed(), Applied: source.Applied, Now: time.Now, Log: c.log, Health: c.health,
	})
	return precedence.Row{
		Origins: []desired.Origin{desired.File}, Restored: files.Restored(), Sync: files.Sync, Deletion: files.Deletion,
		Place: files.Place,
		Await: "make the stream files in " + s.StreamsDirectory + " readable and right, each of them; if it is empty on purpose, put a file " +
			"such as README there",
		Refused: "correct or remove its stream file in " + s.StreamsDirectory + ", which cannot be followed; if the directory is empty on " +
			"purpose, put a file such as README there",
		Tasks:  []precedence.Task{{What: "Reading the stream files", Run: files.Run}},
		Loaded: files.Loaded(),
	}
}

// retryRights tries at once what the hub was not allowed to do, as it may be now.
func (c *configuration) retryRights() {
	for _, source := range c.sources.Rows() {
		if source.Retry != nil {
			source.Retry()
		}
	}
}

// noSecrets is Secrets Manager without the cloud.
type noSecrets struct{}

// MediaURI implements camerasecret.Secrets.
func (noSecrets) MediaURI(context.Context, string) (secret.String, error) {
	return secret.String{}, health.UserFault("camera-secret", nil, "Secrets are not read, as AWS_KVS_EDGE_CLOUD is off: "+
		"put the camera's URL into the stream file.")
}
