package sitewise_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	ours "github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// assets is SiteWise in memory, for synctest's time: a hub with one camera.
type assets struct {
	t        *testing.T
	health   *health.Registry
	stateDir string
	source   *ours.Source

	mu     sync.Mutex
	err    error             // of each call
	ensure error             // of creating streams
	values map[string]string // of the camera, by name
	none   bool              // there is no camera
}

func (a *assets) fault() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// set changes what the assets are.
func (a *assets) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *assets) Asset(_ context.Context, id string) (cloud.Asset, error) {
	if id == "hub" {
		return cloud.Asset{ID: id, Name: "hub", ModelID: "m", Hierarchies: []string{"h"}}, a.fault()
	}
	asset := cloud.Asset{ID: id, Name: "front"}
	for _, name := range ours.Names() {
		asset.Properties = append(asset.Properties, cloud.Property{ID: name, Name: name})
	}
	return asset, a.fault()
}

func (a *assets) ModelName(context.Context, string) (string, error) {
	return "EdgeConnectorForKVSHubModel-0000", a.fault()
}

func (a *assets) Children(context.Context, string, string) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.none {
		return nil, a.err
	}
	return []string{"camera"}, a.err
}

func (a *assets) Values(_ context.Context, refs []cloud.Ref) (map[cloud.Ref]cloud.Value, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	values := make(map[cloud.Ref]cloud.Value)
	for _, ref := range refs {
		if text, has := a.values[ref.Property]; has {
			values[ref] = cloud.Value{Time: time.Unix(1, 0), Kind: cloud.Text, Text: text}
		}
	}
	return values, a.err
}

// accepting applies everything.
type accepting struct{}

func (accepting) Apply(_ context.Context, wanted desired.Set) (outcomes []desired.Outcome) {
	for _, name := range wanted.Names() {
		outcomes = append(outcomes, desired.Outcome{Stream: name})
	}
	return outcomes
}

// run starts a source, and what creates its streams.
func newAssets(t *testing.T) *assets {
	a := &assets{t: t, health: health.NewRegistry(time.Now), stateDir: t.TempDir(), values: map[string]string{
		ours.StreamName: conditiontest.Stream, ours.SecretARN: secretARN}}
	state, err := statefile.Open(a.stateDir, atomicfile.OS{})
	must(t, err)
	a.source = ours.New(ours.Options{
		Hub: "hub", Cloud: a, State: state, Applier: accepting{}, Applied: func(bool, []string) {}, Every: 5 * time.Second,
		Clock: func() (time.Time, *time.Location) { return time.Now(), time.UTC }, Log: zap.NewNop(),
		Health: a.health.Component("", health.JobConfig),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	a.source.Start(ctx)
	group.Go(func() { a.source.Run(ctx) })
	group.Go(func() {
		ours.EnsureStreams(ctx, ours.StreamOptions{
			Source: a.source, Health: a.health, Log: zap.NewNop(),
			Ensure: func(context.Context, string) (bool, error) { a.mu.Lock(); defer a.mu.Unlock(); return false, a.ensure },
			Meaning: func(err error) (awserr.Error, string) {
				return awserr.Error{Kind: awserr.Denied, Status: 403}, "kinesisvideo:CreateStream"
			},
		})
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return a
}

// of is a case of these assets; begin is done before anything is read.
func of(arrange func(*assets) (undo func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		a := newAssets(t)
		var undo func()
		return conditiontest.Case{
			Health: a.health, Now: time.Now, Step: time.Second,
			Raise: func() {
				if undo == nil {
					undo = arrange(a)
				}
			},
			Repair: func() { undo() },
			Ways:   map[conditiontest.Way]func(){conditiontest.Reload: a.source.ReadNow},
		}
	}
}

var conditionRows = []conditiontest.Row{
	{Code: "sitewise", Job: health.JobConfig, Start: of(func(a *assets) func() {
		a.set(func() {
			a.err = &cloud.Error{Operation: "DescribeAsset", Meaning: awserr.Error{Kind: awserr.Denied, Status: 403}}
		})
		return func() { a.set(func() { a.err = nil }) }
	})},
	{Code: "sitewise", Job: health.JobConfig, Start: of(func(a *assets) func() {
		a.set(func() { a.none = true })
		return func() { a.set(func() { a.none = false }) }
	})},
	{Code: "sitewise-camera", Job: health.JobConfig, Start: of(func(a *assets) func() {
		a.set(func() { a.values = maps.Clone(a.values); a.values[ours.Retention] = "soon" })
		return func() { a.set(func() { a.values = maps.Clone(a.values); a.values[ours.Retention] = "60" }) }
	})},
	{Code: "sitewise-state", Job: health.JobConfig, Start: of(func(a *assets) func() {
		time.Sleep(1500 * time.Millisecond) // what was read first is saved
		must(a.t, os.RemoveAll(a.stateDir))
		must(a.t, os.WriteFile(a.stateDir, nil, 0o600)) // root writes anywhere else
		a.set(func() { a.values = maps.Clone(a.values); a.values[ours.Retention] = "61" })
		return func() { must(a.t, os.Remove(a.stateDir)) }
	})},
	{Code: "sitewise-stream", Job: health.JobConfig, Limit: 6 * time.Minute, Reason: "it is tried again after 5 min at most",
		Start: of(func(a *assets) func() {
			a.set(func() {
				a.ensure, a.values = errors.New("no"), maps.Clone(a.values)
				a.values[ours.StreamName] = "other"
			})
			time.Sleep(time.Minute) // until door is forgotten
			a.set(func() { a.values = maps.Clone(a.values); a.values[ours.StreamName] = conditiontest.Stream })
			return func() { a.set(func() { a.ensure = nil }) }
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
