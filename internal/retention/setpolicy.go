package retention

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// SetPolicy sets the policy of a configured stream, from the next pass on.
func (k *Keeper) SetPolicy(stream string, p Policy) {
	k.policies.set(stream, p)
	k.o.Store.SetLimit(stream, k.limitOf(stream, p))
	k.Wake()
}

// Remove records that a stream is no longer configured. Its media is kept by its last policy.
func (k *Keeper) Remove(stream string) {
	k.policies.remove(stream)
	k.Wake()
}

// Forget records that all media of a stream was deleted by a person or the cloud, and drops its policy and its earlier
// losses.
func (k *Keeper) Forget(stream string) {
	k.policies.forget(stream)
	k.mu.Lock()
	k.forgotten = append(k.forgotten, stream)
	k.mu.Unlock()
	k.o.Store.SetLimit(stream, k.limitOf(stream, k.o.Default))
	k.Wake()
}

// forget drops the state of streams whose media was deleted.
func (k *Keeper) forget() {
	k.mu.Lock()
	list := k.forgotten
	k.forgotten = nil
	k.mu.Unlock()
	for _, stream := range list {
		k.losses.forget(stream)
		delete(k.pauses.byStream, stream)
		delete(k.stuck, stream)
	}
}

// Begin records that all configuration known so far is applied. From then on media of configured streams is deleted by their
// policies, also before its upload. Of other streams only uploaded segments are deleted, for the space of the disk or by a
// policy from before this start.
func (k *Keeper) Begin() {
	if !k.started.Swap(true) {
		k.Wake()
	}
}

// Applied records that the configuration is known and applied. From then on the default applies to streams without a policy,
// except for those whose configuration cannot be understood: their media stays. It may be called again with other such
// streams.
func (k *Keeper) Applied(unclear ...string) {
	k.mu.Lock()
	k.unclear = unclear
	k.mu.Unlock()
	k.started.Store(true)
	k.applied.Store(true)
	k.Wake()
}

// loadPolicies reads the policies from before this start.
func (k *Keeper) loadPolicies() {
	err := k.policies.load(jsonFile{k.o.Policies, k.o.Files}, func(stream string, p Policy) {
		k.o.Store.SetLimit(stream, k.limitOf(stream, p))
	})
	if err != nil {
		logevent.PoliciesUnreadable.Log(k.o.Log, zap.String("file", k.o.Policies), zap.Error(err))
	}
}

// savePolicies writes the file when something changed, once a pass.
func (k *Keeper) savePolicies(now time.Time) {
	file := jsonFile{k.o.Policies, k.o.Files}
	if file.path == "" {
		return
	}
	records, changed := k.policies.records(now, k.o.Store.Streams())
	if !file.due(changed, len(records)) {
		return
	}
	part := k.o.Health.Component("", health.JobRetention)
	err := file.save(json.MarshalIndent(records, "", " "))
	if err == nil {
		part.OK(scopePolicies)
		return
	}
	k.policies.saveAgain()
	fault := health.SystemFault(codePolicies, err,
		"The retention of each stream cannot be saved in %s, so a stream that is no longer configured is kept for the default time after a "+
			"restart: "+
			"check the disk of that directory.", k.o.Policies)
	if part.Report(scopePolicies, health.Info, fault) {
		logevent.Condition(k.o.Log, fault)
	}
}
