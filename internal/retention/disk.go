package retention

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// guardDisk keeps MinFree of the disk. The stream that holds the most gives first.
func (k *Keeper) guardDisk(ctx context.Context, streams []string) {
	part := k.o.Health.Part("", health.JobRetention)
	lists := make(map[string][]segment.Info)
	for ctx.Err() == nil {
		free, total, err := k.o.Store.DiskFree()
		if err != nil { // not knowing is no reason to delete
			if fault := health.FaultOf(err, segment.CodeDisk); part.Raise(health.Degraded, fault) {
				k.o.Log.Error("cannot watch the disk", zap.Error(fault), zap.NamedError("cause", fault.Err))
			}
			return
		}
		part.Clear(segment.CodeDisk)
		need := k.o.MinFree(total)
		if free >= need {
			for _, stream := range streams {
				k.resume(stream, codeLow)
			}
			part.Clear(codeLow)
			return
		}
		if !k.giveOne(streams, lists) {
			why := health.SystemFault(codeLow, nil,
				"The disk has %d MB left, %d MB must stay free, and nothing may be deleted: free some space, or lower the streams' limits.", free>>20, need>>20)
			part.Raise(health.Failed, why)
			for _, stream := range streams {
				k.pause(stream, why)
			}
			return
		}
	}
}

// giveOne deletes one segment of the stream that holds the most and has one to give.
func (k *Keeper) giveOne(streams []string, lists map[string][]segment.Info) bool {
	for {
		most, at := int64(0), ""
		for _, stream := range streams {
			list, listed := lists[stream]
			if !listed {
				list = k.disposable(stream)
				lists[stream] = list
			}
			if bytes := k.o.Store.Usage(stream).Bytes; len(list) > 0 && bytes > most {
				most, at = bytes, stream
			}
		}
		if at == "" {
			return false
		}
		first := lists[at][0]
		lists[at] = lists[at][1:]
		if k.delete(first, "the disk runs low") {
			return true
		}
	}
}

// disposable lists what may go for the sake of the disk: a stream that denies new media is never
// robbed of what is not uploaded.
func (k *Keeper) disposable(stream string) []segment.Info {
	list := candidates(k.o.Store.Segments(stream, time.Time{}, time.Time{}))
	if k.policy(stream).OnFull != DenyNew {
		return list
	}
	for i, s := range list {
		if s.State != segment.Uploaded {
			return list[:i]
		}
	}
	return list
}
