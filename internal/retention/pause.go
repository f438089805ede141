package retention

import (
	"slices"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// pause ends the recording of a stream with its present segment. There may be several reasons;
// the store tells the latest.
func (k *Keeper) pause(stream string, why *health.Fault) {
	k.o.Store.Pause(stream, why)
	if k.o.Health.Component(stream, health.JobRetention).Report(pauseScope(why.Code), health.Failed, why) {
		k.o.Log.Warn("recording paused", zap.String("code", why.Code), zap.String("stream", stream), zap.Error(why))
	}
	k.paused[stream] = append(without(k.paused[stream], why.Code), why)
}

// resume ends a pause for that reason.
func (k *Keeper) resume(stream, code string) {
	before := k.paused[stream]
	left := without(before, code)
	if len(left) == len(before) {
		return
	}
	k.o.Health.Component(stream, health.JobRetention).OK(pauseScope(code))
	if len(left) > 0 {
		k.paused[stream] = left
		k.o.Store.Pause(stream, left[len(left)-1])
		return
	}
	delete(k.paused, stream)
	k.o.Store.Resume(stream)
	k.o.Log.Info("recording resumed", zap.String("stream", stream))
}

func without(faults []*health.Fault, code string) []*health.Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f *health.Fault) bool { return f.Code == code })
}
