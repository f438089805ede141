package retention

import (
	"context"
	"maps"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// limitOf returns the limit by which the store enforces a policy's size between two passes.
func (k *Keeper) limitOf(stream string, p Policy) segment.Limit {
	l := segment.Limit{Bytes: p.MaxBytes, Ahead: p.ahead(), Deny: p.OnFull == DenyNew, Low: func() { k.runsLow(stream) }}
	if l.Full = p.denies(0); p.OnFull == DeleteOldest {
		l.Full = health.SystemFault(codeFull, nil,
			"The limit of %d MB is reached, and older media is not deleted as fast as new media arrives: check the disk, or raise "+
				"MaxLocalMediaSizeInMB.",
			p.MaxBytes/1e6)
	}
	return l
}

// runsLow requests room for a stream at once. It is called by the goroutine that records.
func (k *Keeper) runsLow(stream string) {
	k.mu.Lock()
	k.low[stream] = true
	k.mu.Unlock()
	k.lows.Set()
}

// relieve makes room for the streams that requested it.
func (k *Keeper) relieve(ctx context.Context) {
	k.mu.Lock()
	low := slices.Sorted(maps.Keys(k.low))
	clear(k.low)
	k.mu.Unlock()
	for _, stream := range low {
		if ctx.Err() != nil {
			return
		}
		if k.hasPolicy(stream) {
			k.limit(stream, k.policy(stream))
		}
	}
	k.saveLosses(k.o.Now())
}

// ahead returns how much a stream's segments use, including the expected growth of the one being written.
func (k *Keeper) ahead(stream string) int64 {
	u := k.o.Store.Usage(stream)
	return u.Bytes - u.Quarantine + u.Growing
}

// counted returns how much of its limit a stream uses: what holds hold does not count.
func (k *Keeper) counted(stream string, p Policy) int64 {
	u := k.o.Store.Usage(stream)
	return u.Bytes - u.Quarantine + u.Growing - u.HeldBytes - u.HeldGrowing + segment.Limit{Bytes: p.MaxBytes}.Counted(u.Quarantine)
}

// limit keeps a stream within its size.
func (k *Keeper) limit(stream string, p Policy) {
	full := func() bool { return p.full(k.counted(stream, p)) }
	if p.OnFull == DeleteOldest {
		k.shrink(stream, full)
	}
	if p.OnFull == DenyNew && full() && k.configured(stream) {
		k.pauses.add(stream, p.denies(k.refused(stream)))
	} else {
		k.pauses.end(stream, codeFull)
	}
}

func (k *Keeper) shrink(stream string, full func() bool) {
	for _, which := range k.order(stream) {
		for s := range k.o.Store.Walk(stream, which) {
			if !full() || k.delete(s, "MaxLocalMediaSizeInMB is reached") == diskFails {
				return
			}
		}
	}
}

// refused returns how much of a stream is in segments with refused fragments.
func (k *Keeper) refused(stream string) (bytes int64) {
	for s := range k.o.Store.Walk(stream, segment.UploadedRefused) {
		bytes += s.Bytes
	}
	return bytes
}

// SegmentBytes returns the most that a segment of a stream should have; 0 without a limit.
func (k *Keeper) SegmentBytes(stream string) int64 {
	return k.policy(stream).MaxBytes / SegmentsPerLimit
}
