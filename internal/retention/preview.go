package retention

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// preview has what a pass would delete now.
type preview struct {
	gone               map[segment.Key]bool
	of                 map[string]int64 // bytes by stream
	bytes, notUploaded int64
}

func newPreview() *preview {
	return &preview{gone: make(map[segment.Key]bool), of: make(map[string]int64)}
}

// take adds a segment, unless it is included already. local is true for deletions by the policy of its stream.
func (n *preview) take(s segment.Info, local bool) bool {
	if n.gone[s.Key] {
		return false
	}
	n.gone[s.Key] = true
	n.of[s.Stream] += s.Bytes
	n.bytes += s.Bytes
	if !uploaded(s) && !local {
		n.notUploaded += s.Bytes
	}
	return true
}

// previewPolicy adds the segments that a stream's policy would delete, in the order of a pass.
func (k *Keeper) previewPolicy(n *preview, stream string, p Policy, now time.Time) {
	if !k.hasPolicy(stream) {
		return
	}
	if p.DeleteAfterUpload {
		for s := range k.arrived(stream) {
			n.take(s, p.Local)
		}
	}
	if p.MaxAge > 0 && k.clock.trusted.Load() && k.ages(stream) {
		for s := range k.old(stream, now.Add(-p.MaxAge)) {
			n.take(s, p.Local)
		}
	}
	if p.OnFull != DeleteOldest {
		return
	}
	held := k.counted(stream, p)
	for _, which := range k.order(stream) {
		for s := range k.o.Store.Walk(stream, which) {
			if !p.full(held - n.of[stream]) {
				return
			}
			n.take(s, p.Local)
		}
	}
}

// previewReclaim adds the segments of all streams that would be deleted for a disk that lacks that many bytes.
func (k *Keeper) previewReclaim(n *preview, streams []string, lacks int64) {
	if lacks <= n.bytes {
		return
	}
	suffices := k.suffices(streams, lacks)
	g := k.newReclaim(streams, lacks-n.bytes, suffices, func(stream string) int64 { return k.held(stream) - n.of[stream] })
	defer g.stop()
	for n.bytes < lacks {
		s, ok := g.next()
		if !ok {
			return
		}
		n.take(s, k.policy(s.Stream).Local)
	}
}
