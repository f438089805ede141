package streams

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Kinds says which finished segments a Walk visits.
type Kinds uint8

// The kinds of finished segments.
const (
	NotUploaded Kinds = 1 << iota
	UploadedWhole
	UploadedRefused // uploaded but for fragments that the service refused
	Finished        = NotUploaded | UploadedWhole | UploadedRefused
)

// Heads are the starts of a walk over segments of these kinds.
func (which Kinds) Heads() (heads []catalog.Head) {
	for bit, k := range map[Kinds]catalog.Kind{
		NotUploaded: catalog.KindSealed, UploadedWhole: catalog.KindUploaded, UploadedRefused: catalog.KindRefused,
	} {
		if which&bit != 0 {
			heads = append(heads, catalog.Head{Kind: k, From: layout.First})
		}
	}
	return heads
}
