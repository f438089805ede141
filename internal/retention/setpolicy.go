package retention

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// SetPolicy sets what is kept of a configured stream, from the next pass on.
func (k *Keeper) SetPolicy(stream string, p Policy) {
	k.policies.set(stream, p)
	k.o.Store.SetLimit(stream, k.limitOf(stream, p))
	k.Wake()
}

// Remove says that a stream is no longer configured. What there is of it is kept as before.
func (k *Keeper) Remove(stream string) {
	k.policies.remove(stream)
	k.Wake()
}

// Forget says that all media of a stream was deleted by a person or the cloud, and its policy with it. What it lost
// before does not matter any longer either.
func (k *Keeper) Forget(stream string) {
	k.policies.forget(stream)
	k.mu.Lock()
	k.forgotten = append(k.forgotten, stream)
	k.mu.Unlock()
	k.o.Store.SetLimit(stream, k.limitOf(stream, k.o.Default))
	k.Wake()
}

// forget drops what is known of streams whose media is gone.
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

// Begin says that all is applied that is known by now. From then on media of configured streams is deleted by their policies, also
// what is not uploaded. Of the others nothing goes but what is uploaded, and that only for the disk's sake or by a policy from
// before this start.
func (k *Keeper) Begin() {
	if !k.started.Swap(true) {
		k.Wake()
	}
}

// Applied says that the configuration is known, and applied. Streams without a policy are kept by the default from then on, but
// for those that are configured in a way that nobody can tell: their media stays. It may be called again with others of those.
func (k *Keeper) Applied(unclear ...string) {
	k.mu.Lock()
	k.unclear = unclear
	k.mu.Unlock()
	k.started.Store(true)
	k.applied.Store(true)
	k.Wake()
}

// loadPolicies reads what was kept of each stream before this start.
func (k *Keeper) loadPolicies() {
	err := k.policies.load(jsonFile(k.o.Policies), func(stream string, p Policy) { k.o.Store.SetLimit(stream, k.limitOf(stream, p)) })
	if err != nil {
		logevent.PoliciesUnreadable.Log(k.o.Log, zap.String("file", k.o.Policies), zap.Error(err))
	}
}

// savePolicies writes the file when there is something new to say, once a pass.
func (k *Keeper) savePolicies(now time.Time) {
	file := jsonFile(k.o.Policies)
	if file == "" {
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
