package streams

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Kinds is the set of kinds of finished segments that a Walk visits.
type Kinds uint8

// The kinds of finished segments.
const (
	NotUploaded Kinds = 1 << iota
	UploadedWhole
	UploadedRefused // uploaded except for fragments that the service refused
	Deletable       // not a kind: of the kinds only segments that no hold holds
	Finished        = NotUploaded | UploadedWhole | UploadedRefused
)

// Heads returns the starts of a walk over segments of these kinds.
func (which Kinds) Heads() (heads []catalog.Head) {
	for bit, k := range map[Kinds]catalog.Kind{
		NotUploaded: catalog.KindSealed, UploadedWhole: catalog.KindUploaded, UploadedRefused: catalog.KindRefused,
	} {
		if which&bit != 0 {
			heads = append(heads, catalog.Head{Kind: k, From: layout.First, Free: which&Deletable != 0})
		}
	}
	return heads
}
