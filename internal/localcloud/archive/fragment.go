package archive

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// The files in Dir with one line per fragment, and with the tags of fragments.
const (
	indexName    = "fragments.jsonl"
	tagIndexName = "tags.jsonl"
)

// Fragment is one stored fragment.
type Fragment struct {
	Stream   string
	Number   string          // decimal, as acknowledged
	Producer time.Time       // start, whole ms
	Server   time.Time       // when its first byte was read, whole ms
	Duration time.Duration   // from its start to its last frame
	Bytes    int64           // of the Cluster element in File
	Frames   int             // video blocks; all blocks where there is no video track
	SHA256   string          // of these bytes, hex
	File     string          // name in Dir
	Offset   int64           // of the Cluster element in File
	Tags     []strictmkv.Tag // in the order in which they came

	// What GetMedia needs beside the Cluster in File; all empty for fragments of versions that did
	// not keep it.
	Head        string // name of the producer's head in the heads folder
	ClusterHead []byte // head of the Cluster as it was sent, where File has another
	Lead, Tail  []byte // the elements before it that belong to it, and those that follow it
}

// line is a Fragment in fragments.jsonl. Times are ms since 1970.
type line struct {
	Stream     string `json:"stream"`
	Number     string `json:"fragment_number"`
	ProducerMS int64  `json:"producer_timestamp_ms"`
	ServerMS   int64  `json:"server_timestamp_ms"`
	DurationMS int64  `json:"duration_ms"`
	Bytes      int64  `json:"bytes"`
	Frames     int    `json:"frames"`
	SHA256     string `json:"sha256"`
	File       string `json:"file"`
	Offset     int64  `json:"offset"`

	Head        string `json:"head,omitempty"`
	ClusterHead []byte `json:"cluster_head,omitempty"`
}

// tagLine is a line of tags.jsonl: the elements between Clusters that belong to a fragment. Earlier versions
// had a line for each Tags element, without Before and Behind.
type tagLine struct {
	Stream string          `json:"stream"`
	Number string          `json:"fragment_number"`
	Tags   []strictmkv.Tag `json:"tags"`

	Before []byte `json:"before,omitempty"`
	Behind []byte `json:"behind,omitempty"`
}

func (f Fragment) line() line {
	return line{
		Stream: f.Stream, Number: f.Number, ProducerMS: f.Producer.UnixMilli(), ServerMS: f.Server.UnixMilli(),
		DurationMS: f.Duration.Milliseconds(), Bytes: f.Bytes, Frames: f.Frames, SHA256: f.SHA256, File: f.File, Offset: f.Offset,
		Head: f.Head, ClusterHead: f.ClusterHead,
	}
}

func (l line) fragment() Fragment {
	return Fragment{
		Stream: l.Stream, Number: l.Number, Producer: time.UnixMilli(l.ProducerMS).UTC(), Server: time.UnixMilli(l.ServerMS).UTC(),
		Duration: time.Duration(l.DurationMS) * time.Millisecond, Bytes: l.Bytes, Frames: l.Frames,
		SHA256: l.SHA256, File: l.File, Offset: l.Offset, Head: l.Head, ClusterHead: l.ClusterHead,
	}
}
